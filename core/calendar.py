"""The banking calendar: the days on which Mexican banks work, and the SPEI operating date of a moment.

The rule is the CNBV's (``core.mx.banking_days``). Days that the CNBV adds or takes back come from a source that a
higher app registers: ``staff`` keeps them in a table. All code that needs a banking day asks here.
"""

from __future__ import annotations

import time as monotonic_time
from collections.abc import Callable, Mapping
from datetime import date, datetime

from core import clock
from core.mx import banking_days

KEPT = 60.0
"""Seconds for which a process may believe the changes that it has read."""

Changes = Mapping[date, bool]
"""Days on which banks do not follow the rule: True if they work, False if they are closed."""

_source: Callable[[], Changes] = dict
_known: tuple[float, Changes] | None = None


def register_source(source: Callable[[], Changes]) -> None:
    """Read the changes from ``source`` from now on."""
    global _source
    _source = source
    forget()


def forget() -> None:
    """Read the changes again when they are needed next."""
    global _known
    _known = None


def changes() -> Changes:
    """The days that differ from the rule, at most ``KEPT`` seconds old."""
    global _known
    known, now = _known, monotonic_time.monotonic()
    if known is None or now - known[0] >= KEPT:
        known = _known = (now, _source())
    return known[1]


def holidays(year: int) -> frozenset[date]:
    """Days of ``year`` on which banks are closed; some may fall on a weekend."""
    rule, different = banking_days.banking_holidays(year), changes()
    if not different:
        return rule
    closed = {day for day, is_open in different.items() if not is_open and day.year == year}
    return frozenset(day for day in rule | closed if not different.get(day, False))


def is_banking_day(day: date) -> bool:
    """True if banks work on ``day``."""
    return banking_days.is_banking_day(day, holidays(day.year))


def next_banking_day(day: date) -> date:
    """The first banking day after ``day``."""
    return banking_days.next_banking_day(day, holidays(day.year) | holidays(day.year + 1))


def operating_date(moment: datetime) -> date:
    """The SPEI operating date of ``moment``; ``ValueError`` for a naive one."""
    year = clock.mexico_city_date(moment).year
    return banking_days.operating_date(moment, holidays=holidays(year) | holidays(year + 1))
