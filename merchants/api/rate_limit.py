"""Rate limits per API key and class of route, counted by django-ratelimit in Redis.

If Redis is down, unreachable or hangs, requests are served uncounted: one request pays the timeout (0.3 s at most) and
opens the circuit breaker; after a pause one request tries Redis again.
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
"""Seconds for which the breaker stays open after a failure."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage of a key in the current window; ``reset`` is in seconds."""

    limit: int
    remaining: int
    reset: int
    exceeded: bool

    @property
    def headers(self) -> dict[str, str]:
        """The response headers."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class CircuitBreaker:
    """Opens when Redis fails, so that not every request waits for its timeout."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open_until: float | None = None

    def allows_call(self) -> bool:
        """True if the breaker is closed, or if this request is the one that tries Redis again."""
        if self._open_until is None:
            return True
        with self._lock:
            now = time.monotonic()
            if self._open_until is not None and now < self._open_until:
                return False
            self._open_until = now + _PAUSE
            return True

    def failed(self) -> None:
        """Open the breaker: Redis did not answer."""
        self._open_until = time.monotonic() + _PAUSE

    def succeeded(self) -> None:
        """Close the breaker: Redis answered."""
        self._open_until = None


breaker = CircuitBreaker()


def count(request: HttpRequest, key: ApiKey, route_class: str) -> Usage | None:
    """Count one request of this key; None if Redis is unavailable and the request is to be served uncounted."""
    if not breaker.allows_call():
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
    breaker.succeeded()
    if usage is None:
        return None
    left = usage["limit"] - usage["count"]
    return Usage(usage["limit"], max(left, 0), max(int(usage["time_left"]), 1), left < 0)
