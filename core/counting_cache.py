"""Django's Redis cache, counting in one round trip over a connection that stays."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as NoAnswer

_COUNT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return count
"""
_SHA = hashlib.sha1(_COUNT.encode(), usedforsecurity=False).hexdigest()


class CountingCache(RedisCache):
    """django-ratelimit adds a counter and, if it is there already, increments it: three round trips of Django's cache.

    Here ``add(key, 1, timeout)`` counts in Redis at once, and the ``incr(key)`` that follows only hands over the
    number. Django keeps one instance for each thread, so nobody comes between the two, and the instance may keep a
    connection: to borrow it and to dress the command up cost redis-py more than Redis needs to count.
    """

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._counted: tuple[str, int] | None = None

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        if value != 1 or type(timeout) is not int:
            return bool(super().add(key, value, timeout, version))
        count = self._count(self.make_key(key, version), timeout)
        self._counted = (key, count) if count > 1 else None
        return count == 1

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        counted, self._counted = self._counted, None
        if counted is not None and counted[0] == key and delta == 1:
            return counted[1]
        return int(super().incr(key, delta, version))

    @cached_property
    def _connection(self) -> Any:
        return self._cache.get_client(write=True).connection_pool.make_connection()

    def _count(self, key: str, seconds: int) -> int:
        """Raises ``RedisError`` or ``OSError``, at the latest after the time-outs that the settings give."""
        connection, was_open = self._connection, self._connection._sock is not None
        try:
            return self._ask(connection, key, seconds)
        except NoAnswer:
            connection.disconnect()
            raise
        except NoScriptError:
            connection.send_command("SCRIPT", "LOAD", _COUNT)
            connection.read_response()
            return self._ask(connection, key, seconds)
        except ResponseError:
            raise
        except (ConnectionLost, OSError):
            connection.disconnect()
            if not was_open:
                raise
            return self._count(key, seconds)  # Redis was started anew meanwhile: nothing was counted
        except RedisError:
            connection.disconnect()
            raise

    def _ask(self, connection: Any, key: str, seconds: int) -> int:
        connection.send_command("EVALSHA", _SHA, 1, key, seconds)
        return int(connection.read_response())
