"""core.clock: moments are aware UTC; Mexico City only decides which day it is."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
import time_machine

from core import clock
from core.mx import banking_days
from core.mx.banking_days import banking_holidays

HOLIDAYS = frozenset().union(*(banking_holidays(year) for year in range(2024, 2035)))


def local(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=clock.MEXICO_CITY)


def test_now_is_aware_and_in_utc():
    with time_machine.travel(datetime(2026, 11, 23, 18, 4, 5, tzinfo=UTC), tick=False):
        assert clock.now() == datetime(2026, 11, 23, 18, 4, 5, tzinfo=UTC)
        assert clock.now().tzinfo is UTC


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (local(2026, 11, 13, 17, 59, 59, 999999), date(2026, 11, 13)),
        (local(2026, 11, 13, 18, 0), date(2026, 11, 17)),  # the 16th is Revolution Day
        (local(2026, 11, 23, 17, 59), date(2026, 11, 23)),
        (local(2026, 11, 23, 18, 0), date(2026, 11, 24)),
        (local(2026, 11, 2, 10, 0), date(2026, 11, 3)),
        (local(2026, 4, 2, 10, 0), date(2026, 4, 6)),  # Maundy Thursday, Good Friday, weekend
        (local(2026, 11, 21, 9, 0), date(2026, 11, 23)),  # Saturday
        (local(2026, 11, 22, 23, 59), date(2026, 11, 23)),  # Sunday, after the cut too
        (local(2026, 12, 31, 17, 0), date(2026, 12, 31)),
        (local(2026, 12, 31, 18, 0), date(2027, 1, 4)),  # 1 January 2027 is a Friday
        (local(2027, 3, 25, 9, 0), date(2027, 3, 29)),
        (local(2027, 12, 31, 20, 0), date(2028, 1, 3)),
        (local(2030, 9, 30, 18, 0), date(2030, 10, 2)),  # presidential handover
    ],
)
def test_operating_date_is_the_banking_day_a_moment_counts_for(moment, expected):
    assert banking_days.operating_date(moment, holidays=HOLIDAYS) == expected
    assert banking_days.operating_date(moment.astimezone(UTC), holidays=HOLIDAYS) == expected


def test_midnight_in_utc_is_six_in_the_evening_in_mexico_city_all_year():
    for day in (date(2026, 1, 15), date(2026, 7, 15)):
        midnight = datetime.combine(day, time.min, UTC)

        assert banking_days.operating_date(midnight - timedelta(microseconds=1), holidays=()) == day - timedelta(days=1)
        assert banking_days.operating_date(midnight, holidays=()) == day


def test_local_midnight_begins_a_new_day_but_not_a_new_operating_date():
    assert banking_days.operating_date(local(2026, 11, 24, 0, 0), holidays=HOLIDAYS) == date(2026, 11, 24)
    assert banking_days.operating_date(local(2026, 11, 23, 23, 59), holidays=HOLIDAYS) == date(2026, 11, 24)


def test_another_cut_can_be_given():
    moment = local(2026, 11, 23, 16, 30)

    assert banking_days.operating_date(moment, holidays=HOLIDAYS, cut=time(16, 30)) == date(2026, 11, 24)
    assert banking_days.operating_date(moment, holidays=HOLIDAYS, cut=time(16, 31)) == date(2026, 11, 23)


@pytest.mark.parametrize(
    "ask", [lambda m: banking_days.operating_date(m, holidays=()), clock.mexico_city_date, clock.to_rfc3339]
)
def test_a_naive_datetime_is_refused(ask):
    with pytest.raises(ValueError, match="naive"):
        ask(datetime(2026, 11, 23, 12, 0))  # noqa: DTZ001


def test_mexico_city_date_is_the_day_before_until_six_in_utc():
    assert clock.mexico_city_date(datetime(2027, 1, 1, 5, 59, 59, tzinfo=UTC)) == date(2026, 12, 31)
    assert clock.mexico_city_date(datetime(2027, 1, 1, 6, 0, tzinfo=UTC)) == date(2027, 1, 1)


def test_day_bounds_are_six_in_utc_in_winter_and_in_summer():
    for day in (date(2026, 1, 31), date(2026, 7, 31), date(2026, 12, 31), date(2028, 2, 29)):
        start, end = clock.local_day_bounds(day)

        assert start == datetime.combine(day, time(6), UTC)
        assert end == start + timedelta(days=1)
        assert (start.tzinfo, end.tzinfo) == (UTC, UTC)
        assert clock.mexico_city_date(start) == clock.mexico_city_date(end - timedelta(microseconds=1)) == day
        assert clock.mexico_city_date(end) == day + timedelta(days=1)


def test_a_day_of_the_old_summer_time_had_23_hours():
    start, end = clock.local_day_bounds(date(2022, 4, 3))

    assert end - start == timedelta(hours=23)


def test_rfc3339_is_utc_with_six_decimals():
    assert clock.to_rfc3339(local(2026, 11, 23, 12, 4, 5)) == "2026-11-23T18:04:05.000000Z"
    assert clock.to_rfc3339(datetime(2026, 11, 23, 18, 4, 5, 6, tzinfo=UTC)) == "2026-11-23T18:04:05.000006Z"
    assert clock.to_rfc3339(datetime(2027, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2)))).startswith("2026-12-31T23")
