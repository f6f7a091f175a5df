"""The banking calendar: banking days in Mexico and the SPEI operating date of a timestamp.

The rule is the CNBV's (``core.mx.banking_days``). Exceptions come from a source that a higher app registers (``staff``
keeps them in a table). All code that needs a banking day uses this module.
"""

from __future__ import annotations

import time as monotonic_time
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta

from core import clock
from core.mx import banking_days

CACHE_SECONDS = 60.0
"""Seconds for which a process caches the exceptions."""

Changes = Mapping[date, bool]
"""Exceptions to the rule: True for a banking day, False for a holiday."""

_source: Callable[[], Changes] = dict
_known: tuple[float, Changes] | None = None


def register_source(source: Callable[[], Changes]) -> None:
    """Read exceptions from ``source`` from now on."""
    global _source
    _source = source
    forget()


def forget() -> None:
    """Clear the cache."""
    global _known
    _known = None


def changes() -> Changes:
    """The exceptions to the rule, at most ``CACHE_SECONDS`` seconds old."""
    global _known
    known, now = _known, monotonic_time.monotonic()
    if known is None or now - known[0] >= CACHE_SECONDS:
        known = _known = (now, _source())
    return known[1]


def holidays(year: int) -> frozenset[date]:
    """Bank holidays of ``year``; some may fall on a weekend."""
    rule, exceptions = banking_days.banking_holidays(year), changes()
    if not exceptions:
        return rule
    closed = {day for day, is_open in exceptions.items() if not is_open and day.year == year}
    return frozenset(day for day in rule | closed if not exceptions.get(day, False))


def is_banking_day(day: date) -> bool:
    """True if ``day`` is a banking day."""
    return banking_days.is_banking_day(day, holidays(day.year))


def next_banking_day(day: date) -> date:
    """The first banking day after ``day``."""
    return banking_days.next_banking_day(day, holidays(day.year) | holidays(day.year + 1))


def previous_banking_day(day: date) -> date:
    """The last banking day before ``day``."""
    day -= timedelta(days=1)
    return day if is_banking_day(day) else previous_banking_day(day)


def operating_date(moment: datetime) -> date:
    """The SPEI operating date of ``moment``; ``ValueError`` for a naive one."""
    year = clock.mexico_city_date(moment).year
    return banking_days.operating_date(moment, holidays=holidays(year) | holidays(year + 1))
