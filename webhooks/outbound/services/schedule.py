"""When a failed delivery is tried again, and how long an endpoint is left alone."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from core import backoff

DELAYS = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Delay before each attempt: the schedule of Standard Webhooks, about 76 hours in all."""
JITTER = 0.2
LONGEST_RETRY_AFTER = timedelta(hours=24)
LONGEST_HOLD = timedelta(hours=1)
"""How long a Retry-After may keep the other deliveries of its endpoint waiting."""
_THROTTLE_FIRST, _THROTTLE_MOST = timedelta(seconds=1), timedelta(minutes=1)


def delay(failed: int) -> timedelta | None:
    """The delay after ``failed`` failed attempts, with jitter; None if the schedule has ended."""
    if failed >= len(DELAYS):
        return None
    return DELAYS[failed] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, keeps no secret


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """The answer's Retry-After (seconds or a date), at most ``LONGEST_RETRY_AFTER``; None if there is no usable one."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), LONGEST_RETRY_AFTER.total_seconds()))
    try:
        moment = parsedate_to_datetime(text)
    except (OverflowError, TypeError, ValueError):
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return min(max(moment - now, timedelta(0)), LONGEST_RETRY_AFTER)


def hold(throttle: int) -> timedelta:
    """How long an endpoint is left alone that asked ``throttle`` times to be slowed down, or keeps failing."""
    return backoff.backoff(max(throttle - 1, 0), first=_THROTTLE_FIRST, most=_THROTTLE_MOST)
