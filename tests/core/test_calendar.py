"""core.calendar: the rule and the days that differ from it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from core import calendar, clock

CLOSED, OPEN = date(2026, 11, 24), date(2026, 12, 25)


@pytest.fixture
def different(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[date, bool]]:
    """Days that differ from the rule, as a source gives them."""
    days: dict[date, bool] = {}
    monkeypatch.setattr(calendar, "_source", lambda: dict(days))
    calendar.forget()
    yield days
    calendar.forget()


def at(day: date, hour: int = 12) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=clock.MEXICO_CITY).astimezone(UTC)


def test_without_changes_the_rule_holds(different: dict[date, bool]) -> None:
    assert calendar.is_banking_day(CLOSED)
    assert not calendar.is_banking_day(OPEN)
    assert calendar.operating_date(at(date(2026, 12, 24), 19)) == date(2026, 12, 28)


def test_a_day_that_was_added_is_no_banking_day(different: dict[date, bool]) -> None:
    different[CLOSED] = False
    calendar.forget()

    assert not calendar.is_banking_day(CLOSED)
    assert calendar.next_banking_day(date(2026, 11, 23)) == date(2026, 11, 25)
    assert calendar.operating_date(at(CLOSED)) == date(2026, 11, 25)
    assert calendar.operating_date(at(date(2026, 11, 23), 18)) == date(2026, 11, 25)


def test_a_holiday_on_which_banks_work_is_a_banking_day(different: dict[date, bool]) -> None:
    different[OPEN] = True
    calendar.forget()

    assert calendar.is_banking_day(OPEN)
    assert calendar.operating_date(at(date(2026, 12, 24), 19)) == OPEN


def test_changes_of_the_next_year_count_at_its_turn(different: dict[date, bool]) -> None:
    different[date(2027, 1, 4)] = False
    calendar.forget()

    assert calendar.operating_date(at(date(2026, 12, 31), 18)) == date(2027, 1, 5)


def test_the_source_is_asked_once_a_minute(different: dict[date, bool], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(calendar.monotonic_time, "monotonic", lambda: now)
    calendar.forget()
    assert calendar.is_banking_day(CLOSED)
    different[CLOSED] = False

    before = calendar.is_banking_day(CLOSED)
    now += calendar.CACHE_SECONDS
    after = calendar.is_banking_day(CLOSED)

    assert (before, after) == (True, False)


def test_a_naive_moment_is_refused(different: dict[date, bool]) -> None:
    with pytest.raises(ValueError, match="time zone"):
        calendar.operating_date(datetime(2026, 11, 24))  # noqa: DTZ001
