"""The current time and the time zone of Mexico City.

Every timestamp in this project is an aware datetime in UTC; functions raise ``ValueError`` for a naive one. Mexico
City's time zone is used only to determine a date (SPEI operating date, day of a report) and for display.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MEXICO_CITY = ZoneInfo("America/Mexico_City")


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def mexico_city_date(moment: datetime) -> date:
    """The date in Mexico City at ``moment``."""
    return aware(moment).astimezone(MEXICO_CITY).date()


def local_day_bounds(day: date) -> tuple[datetime, datetime]:
    """Start of ``day`` and start of the next day in Mexico City, both in UTC: ``start <= t < end``."""
    start = datetime.combine(day, time.min, MEXICO_CITY)
    end = datetime.combine(day + timedelta(days=1), time.min, MEXICO_CITY)
    return start.astimezone(UTC), end.astimezone(UTC)


def to_rfc3339(moment: datetime) -> str:
    """``2026-11-23T18:04:05.000006Z``: UTC, always six decimals (RFC 3339)."""
    return aware(moment).astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def aware(moment: datetime) -> datetime:
    """Return ``moment``. Raises ``ValueError`` if it has no time zone."""
    if moment.utcoffset() is None:
        raise ValueError("this datetime is naive: a time zone is required")
    return moment
