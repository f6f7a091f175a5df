"""Leases: a nullable timestamp column that keeps other workers away from a row until then.

A holder that dies loses its lease by time alone; a later holder must expect the former one to come back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from core import clock


def is_free(field: str) -> Q:
    """Rows whose lease in ``field`` is not held now."""
    return Q(**{field: None}) | Q(**{f"{field}__lt": clock.now()})


def is_held(until: datetime | None) -> bool:
    """True if a lease with this value is held now; for a row that is locked."""
    return until is not None and until > clock.now()


def take(rows: QuerySet[Any], field: str, duration: timedelta) -> bool:
    """Take the lease of the row in ``rows`` if it is free. Of several callers at once one gets it."""
    return bool(rows.filter(is_free(field)).update(**{field: clock.now() + duration}))


def release(rows: QuerySet[Any], field: str) -> None:
    """Let others take the lease at once."""
    rows.update(**{field: None})
