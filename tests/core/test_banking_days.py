"""core.mx.banking_days: the rules behind Mexico's banking holidays."""

from __future__ import annotations

from datetime import date

import pytest

from core.mx.banking_days import banking_holidays, is_banking_day, next_banking_day


def test_the_holidays_of_2026_are_those_banks_publish():
    assert banking_holidays(2026) == {
        date(2026, 1, 1),
        date(2026, 2, 2),
        date(2026, 3, 16),
        date(2026, 4, 2),
        date(2026, 4, 3),
        date(2026, 5, 1),
        date(2026, 9, 16),
        date(2026, 11, 2),
        date(2026, 11, 16),
        date(2026, 12, 12),
        date(2026, 12, 25),
    }


@pytest.mark.parametrize(
    ("year", "good_friday"),
    [
        (2019, date(2019, 4, 19)),
        (2024, date(2024, 3, 29)),
        (2025, date(2025, 4, 18)),
        (2027, date(2027, 3, 26)),
        (2028, date(2028, 4, 14)),
        (2035, date(2035, 3, 23)),
        (2038, date(2038, 4, 23)),  # Easter at its latest, 25 April
        (2049, date(2049, 4, 16)),
        (2076, date(2076, 4, 17)),
        (2285, date(2285, 3, 20)),  # Easter at its earliest, 22 March
    ],
)
def test_holy_week_follows_easter_in_every_year(year, good_friday):
    holy = {day for day in banking_holidays(year) if day.month in (3, 4) and day.weekday() in (3, 4)}

    assert holy == {good_friday.replace(day=good_friday.day - 1), good_friday}


def test_a_president_takes_office_every_six_years_from_2024_on():
    handovers = [year for year in range(2000, 2050) if date(year, 10, 1) in banking_holidays(year)]

    assert handovers == [2024, 2030, 2036, 2042, 2048]


def test_the_movable_holidays_are_always_mondays_of_their_week():
    for year in range(2020, 2100):
        mondays = sorted(day for day in banking_holidays(year) if day.weekday() == 0)

        assert [day for day in mondays if day.month == 2][0].day <= 7
        assert any(day.month == 3 and 15 <= day.day <= 21 for day in mondays)
        assert any(day.month == 11 and 15 <= day.day <= 21 for day in mondays)


def test_weekends_and_holidays_are_not_banking_days():
    holidays = banking_holidays(2026)

    assert is_banking_day(date(2026, 11, 13), holidays)
    assert not is_banking_day(date(2026, 11, 14), holidays)
    assert not is_banking_day(date(2026, 11, 15), holidays)
    assert not is_banking_day(date(2026, 11, 16), holidays)


def test_the_next_banking_day_is_never_the_same_day():
    holidays = banking_holidays(2026) | banking_holidays(2027)

    assert next_banking_day(date(2026, 11, 11), holidays) == date(2026, 11, 12)
    assert next_banking_day(date(2026, 11, 13), holidays) == date(2026, 11, 17)
    assert next_banking_day(date(2026, 4, 1), holidays) == date(2026, 4, 6)
    assert next_banking_day(date(2026, 12, 31), holidays) == date(2027, 1, 4)


def test_a_holiday_that_staff_added_is_honoured():
    assert next_banking_day(date(2026, 11, 23), banking_holidays(2026) | {date(2026, 11, 24)}) == date(2026, 11, 25)
