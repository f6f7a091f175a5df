"""The one source of time, and the calendar of Mexico City.

Every moment in this project is an aware datetime in UTC; a naive one raises ``ValueError`` wherever it is handed in.
Mexico City's clock exists only to find a day: the SPEI operating date, a report's day, what a person reads.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MEXICO_CITY = ZoneInfo("America/Mexico_City")


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def mexico_city_date(moment: datetime) -> date:
    """The date that calendars in Mexico City show at ``moment``."""
    return aware(moment).astimezone(MEXICO_CITY).date()


def local_day_bounds(day: date) -> tuple[datetime, datetime]:
    """First moment of ``day`` in Mexico City and first moment of the day after, both in UTC: ``start <= t < end``."""
    start = datetime.combine(day, time.min, MEXICO_CITY)
    end = datetime.combine(day + timedelta(days=1), time.min, MEXICO_CITY)
    return start.astimezone(UTC), end.astimezone(UTC)


def to_rfc3339(moment: datetime) -> str:
    """``2026-11-23T18:04:05.000006Z``: UTC, always six decimals (RFC 3339)."""
    return aware(moment).astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def aware(moment: datetime) -> datetime:
    """``moment``; ``ValueError`` if it has no time zone."""
    if moment.utcoffset() is None:
        raise ValueError("a moment needs its time zone: this datetime is naive")
    return moment
