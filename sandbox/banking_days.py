"""STP's operating day: Monday to Friday without bank holidays, until 18:00 in Mexico City."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache

from .world import MEXICO_CITY

CUT_HOUR = 18


@lru_cache(maxsize=64)
def holidays(year: int) -> frozenset[date]:
    """Days on which Mexican banks close, by the rules of the yearly decree; some fall on a weekend."""
    easter = _easter(year)
    fixed = [(1, 1), (5, 1), (9, 16), (11, 2), (12, 12), (12, 25)]
    if (year - 2024) % 6 == 0:
        fixed.append((10, 1))
    mondays = [_monday(year, 2, 1), _monday(year, 3, 3), _monday(year, 11, 3)]
    return frozenset([date(year, *day) for day in fixed] + mondays + [easter - timedelta(days=n) for n in (3, 2)])


def is_open(day: date) -> bool:
    """True for a banking day."""
    return day.weekday() < 5 and day not in holidays(day.year)


def operating_date(moment: datetime) -> date:
    """Operating date of a transfer: from 18:00 in Mexico City the next day; closed days become the next open one."""
    local = moment.astimezone(MEXICO_CITY)
    day = local.date() + timedelta(days=local.hour >= CUT_HOUR)
    while not is_open(day):
        day += timedelta(days=1)
    return day


def _monday(year: int, month: int, number: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=-first.weekday() % 7 + 7 * (number - 1))


def _easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (Meeus, Jones, Butcher)."""
    century = year // 100
    golden = year % 19
    lean = century - century // 4 - (8 * century + 13) // 25
    moon = (19 * golden + lean + 15) % 30
    moon -= moon // 28 * (1 - 29 // (moon + 1) * ((21 - golden) // 11))
    week = (year + year // 4 + moon + 2 - century + century // 4) % 7
    ahead = moon - week
    month = 3 + (ahead + 40) // 44
    return date(year, month, ahead + 28 - 31 * (month // 4))
