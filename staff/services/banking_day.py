"""Feeds exceptions from the database into the banking calendar."""

from __future__ import annotations

from datetime import timedelta

from core import calendar, clock
from staff.models import BankingDay

_BACK = timedelta(days=400)
"""How far back operating dates are needed: notices may arrive late."""


def register() -> None:
    """Register the table as the calendar's source of exceptions."""
    calendar.register_source(changes)


def changes() -> calendar.Changes:
    """Days that differ from the yearly calendar, from about a year ago on."""
    rows = BankingDay.objects.filter(day__gte=clock.mexico_city_date(clock.now()) - _BACK)
    return dict(rows.values_list("day", "is_open"))
