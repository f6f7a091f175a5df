"""Rate limits per API key and class of route, counted in Redis by one command.

If Redis is down, unreachable or hangs, requests are served uncounted: one request pays the timeout (0.3 s at most) and
opens the circuit breaker; after a pause one request tries Redis again.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from redis import ConnectionPool
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import NoScriptError, RedisError

from core.metrics import RATE_LIMIT_DEGRADED
from merchants.models import ApiKey

logger = logging.getLogger(__name__)

_PAUSE = 5.0
"""Seconds for which the breaker stays open after a failure."""
_COUNT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return count
"""
_SHA = hashlib.sha1(_COUNT.encode(), usedforsecurity=False).hexdigest()
_MOST_IDLE = 16
"""Idle connections that a process keeps."""
_MARGIN = 5
"""Seconds that a counter outlives its window: clocks differ."""
_PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


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


def count(key: ApiKey, route_class: str) -> Usage | None:
    """Count one request of this key; None if Redis is unavailable and the request is to be served uncounted."""
    if not breaker.allows_call():
        RATE_LIMIT_DEGRADED.labels("api").inc()
        return None
    limit, period = _parsed(settings.RATE_LIMITS[route_class])
    now = int(time.time())
    ends = now - now % period + period
    try:
        used = _counter(settings.CACHES["default"]["LOCATION"]).count(
            f"rl:{route_class}:{key.public_id}:{ends}", period + _MARGIN
        )
    except (RedisError, OSError) as error:
        breaker.failed()
        RATE_LIMIT_DEGRADED.labels("api").inc()
        logger.warning("Redis cannot count requests; they are served uncounted", extra={"why": type(error).__name__})
        return None
    breaker.succeeded()
    return Usage(limit, max(limit - used, 0), ends - now, used > limit)


class _Counter:
    """Counts by a registered script, over connections that all greenlets of the process share.

    redis-py's client and pool would cost 5 % of a list's CPU (docs/adr/0039).
    """

    def __init__(self, url: str) -> None:
        self._pool = ConnectionPool.from_url(url, **settings.CACHES["default"]["OPTIONS"])
        self._idle: deque[Any] = deque()

    def count(self, key: str, seconds: int) -> int:
        """Increment and return the counter, which lives for ``seconds``. Raises ``RedisError`` or ``OSError``."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._count(self._pool.make_connection(), key, seconds)
            try:
                return self._count(connection, key, seconds)
            except (ConnectionLost, OSError):  # Redis was restarted: nothing was counted
                continue

    def _count(self, connection: Any, key: str, seconds: int) -> int:
        try:
            connection.send_command("EVALSHA", _SHA, 1, key, seconds)
            try:
                count = connection.read_response()
            except NoScriptError:
                connection.send_command("EVAL", _COUNT, 1, key, seconds)
                count = connection.read_response()
        except BaseException:
            connection.disconnect()
            raise
        if len(self._idle) < _MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.disconnect()
        return int(count)


@cache
def _counter(url: str) -> _Counter:
    return _Counter(url)


@cache
def _parsed(rate: str) -> tuple[int, int]:
    """Requests and seconds of a rate like ``600/10m``, in django-ratelimit's notation."""
    limit, _, window = rate.partition("/")
    return int(limit), int(window[:-1] or 1) * _PERIODS[window[-1]]
