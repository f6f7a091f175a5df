"""Mexican bank holidays by rule, and the SPEI operating date.

The CNBV publishes them in yearly "disposiciones de carácter general" on the closing days of credit institutions, with
the same rules every year. It may add or move a day; ``core.calendar`` applies such exceptions and is what the rest of
the project uses.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from core import clock

SPEI_CUT = time(18, 0)
"""Cut-off in Mexico City: from this time on a SPEI order belongs to the next banking day."""

_MONDAY = 0
_SATURDAY = 5
_FIRST_HANDOVER = 2024
_HANDOVER_EVERY = 6


@lru_cache(maxsize=256)
def banking_holidays(year: int) -> frozenset[date]:
    """Bank holidays of ``year`` by rule; some may fall on a weekend.

    1 January, first Monday of February, third Monday of March, Maundy Thursday and Good Friday, 1 May, 16 September,
    2 November, third Monday of November, 12 and 25 December; 1 October when a president takes office (2024, 2030, …).
    """
    easter = _easter(year)
    holidays = {
        date(year, 1, 1),
        _nth_monday(year, 2, 1),
        _nth_monday(year, 3, 3),
        easter - timedelta(days=3),
        easter - timedelta(days=2),
        date(year, 5, 1),
        date(year, 9, 16),
        date(year, 11, 2),
        _nth_monday(year, 11, 3),
        date(year, 12, 12),
        date(year, 12, 25),
    }
    if year >= _FIRST_HANDOVER and (year - _FIRST_HANDOVER) % _HANDOVER_EVERY == 0:
        holidays.add(date(year, 10, 1))
    return frozenset(holidays)


def is_banking_day(day: date, holidays: Collection[date]) -> bool:
    """True for Monday to Friday unless ``day`` is among ``holidays``."""
    return not is_weekend(day) and day not in holidays


def next_banking_day(day: date, holidays: Collection[date]) -> date:
    """The first banking day after ``day``. Near the end of a year ``holidays`` must include the next year's."""
    following = day + timedelta(days=1)
    while not is_banking_day(following, holidays):
        following += timedelta(days=1)
    return following


def is_weekend(day: date) -> bool:
    """True for Saturday and Sunday."""
    return day.weekday() >= _SATURDAY


def operating_date(moment: datetime, *, holidays: Collection[date], cut: time = SPEI_CUT) -> date:
    """SPEI operating date of ``moment``: the banking day it belongs to.

    A time at or after ``cut`` (Mexico City), on a weekend or on a holiday belongs to the next banking day. ``holidays``
    must include those of the year and, in December, of the next year.
    """
    local = clock.aware(moment).astimezone(clock.MEXICO_CITY)
    if local.time() < cut and is_banking_day(local.date(), holidays):
        return local.date()
    return next_banking_day(local.date(), holidays)


def _nth_monday(year: int, month: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(_MONDAY - first.weekday()) % 7 + 7 * (nth - 1))


def _easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the "anonymous" algorithm; Meeus, Astronomical Algorithms, ch. 8)."""
    golden = year % 19
    century, in_century = divmod(year, 100)
    leap_centuries, century_rest = divmod(century, 4)
    moon_correction = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap_centuries - moon_correction + 15) % 30
    leaps, leap_rest = divmod(in_century, 4)
    weekday = (32 + 2 * century_rest + 2 * leaps - epact - leap_rest) % 7
    late_moon = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late_moon + 114, 31)
    return date(year, month, day + 1)
