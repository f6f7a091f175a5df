"""The table behind the banking calendar."""

from __future__ import annotations

from datetime import timedelta

from core import calendar, clock
from staff.models import BankingDay

_BACK = timedelta(days=400)
"""How far back a moment's operating date is still asked for: notices may come late."""


def register() -> None:
    """Let the calendar read its changes from the table."""
    calendar.register_source(changes)


def changes() -> calendar.Changes:
    """Days that differ from the rule, from about a year ago on."""
    rows = BankingDay.objects.filter(day__gte=clock.mexico_city_date(clock.now()) - _BACK)
    return dict(rows.values_list("day", "is_open"))
