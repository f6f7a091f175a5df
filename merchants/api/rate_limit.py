"""How often a key may ask: counted by django-ratelimit in Redis, per key and class of route.

A Redis that is refused, reset or hung lets requests through uncounted: one of them pays its time-out (0.3 s at most),
the others do not ask it for a while, and then one asks again for all of them.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from django_ratelimit.core import get_usage
from redis.exceptions import RedisError

from core.metrics import RATE_LIMIT_DEGRADED
from merchants.models import ApiKey

logger = logging.getLogger(__name__)

_PAUSE = 5.0
"""Seconds during which Redis is not asked again after it failed."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Where a key stands in the present window; ``reset`` in seconds."""

    limit: int
    remaining: int
    reset: int
    exceeded: bool

    @property
    def headers(self) -> dict[str, str]:
        """As the answer says it."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class Breaker:
    """Remembers that Redis failed, so that not every request waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed_until: float | None = None

    def lets_ask(self) -> bool:
        """True if Redis works, as far as is known, or if it is this request's turn to find out."""
        if self._closed_until is None:
            return True
        with self._lock:
            now = time.monotonic()
            if self._closed_until is not None and now < self._closed_until:
                return False
            self._closed_until = now + _PAUSE
            return True

    def failed(self) -> None:
        """Redis did not answer."""
        self._closed_until = time.monotonic() + _PAUSE

    def worked(self) -> None:
        """Redis answered."""
        self._closed_until = None


breaker = Breaker()


def count(request: HttpRequest, key: ApiKey, route_class: str) -> Usage | None:
    """Count one request of this key; None if nothing can count now, and the request is to be served."""
    if not breaker.lets_ask():
        RATE_LIMIT_DEGRADED.labels("api").inc()
        return None
    try:
        usage = get_usage(
            request,
            group=f"api:{route_class}",
            key=lambda group, asked: key.public_id,
            rate=settings.RATE_LIMITS[route_class],
            increment=True,
        )
    except (RedisError, OSError) as error:
        breaker.failed()
        RATE_LIMIT_DEGRADED.labels("api").inc()
        logger.warning("Redis cannot count requests; they are served uncounted", extra={"why": type(error).__name__})
        return None
    breaker.worked()
    if usage is None:
        return None
    left = usage["limit"] - usage["count"]
    return Usage(usage["limit"], max(left, 0), max(int(usage["time_left"]), 1), left < 0)
