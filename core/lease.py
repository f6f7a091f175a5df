"""Leases on rows: a nullable timestamp column until which other workers leave the row alone.

The lease of a crashed holder expires; the next holder must expect that the previous one still runs.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from core import clock


def is_free(field: str) -> Q:
    """Condition for rows whose lease in ``field`` is not held."""
    return Q(**{field: None}) | Q(**{f"{field}__lt": clock.now()})


def is_held(until: datetime | None) -> bool:
    """True if a lease with this value is held; for a row that is locked."""
    return until is not None and until > clock.now()


def take(rows: QuerySet[Any], field: str, duration: timedelta) -> bool:
    """Acquire the lease of the row in ``rows`` if it is free; True for exactly one of several concurrent callers."""
    return bool(rows.filter(is_free(field)).update(**{field: clock.now() + duration}))


def release(rows: QuerySet[Any], field: str) -> None:
    """Release the lease before it expires."""
    rows.update(**{field: None})
