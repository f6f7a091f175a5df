"""Django's Redis cache, counting in one round trip over connections that stay."""

from __future__ import annotations

import hashlib
from collections import deque
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import NoScriptError

_COUNT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return count
"""
_SHA = hashlib.sha1(_COUNT.encode(), usedforsecurity=False).hexdigest()


_MOST_IDLE = 16
"""Connections that a process keeps although nobody counts."""


class _Redis(NamedTuple):
    """What a process has of one Redis. Django makes an instance of a cache for each thread, and greenlets are many."""

    client: Any
    idle: deque[Any]
    options: dict[str, Any]


_known: dict[tuple[str, int], _Redis] = {}
_lock = Lock()


class CountingCache(RedisCache):
    """django-ratelimit adds a counter and, if it is there already, increments it: three round trips of Django's cache.

    Here ``add(key, 1, timeout)`` counts in Redis at once, and the ``incr(key)`` that follows only hands over the
    number. Django keeps one instance for each thread or greenlet, so nobody comes between the two. Connections belong
    to the process: to borrow one from redis-py and to dress the command up costs more than Redis needs to count.
    """

    _class: type[Any]
    _servers: list[str]
    _options: dict[str, Any]

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
    def _redis(self) -> _Redis:
        key = ",".join(self._servers), id(self._options)
        with _lock:
            if key not in _known:
                _known[key] = _Redis(self._class(self._servers, **self._options), deque(), self._options)
            return _known[key]

    @property
    def _cache(self) -> Any:
        """Django's client."""
        return self._redis.client

    def _count(self, key: str, seconds: int) -> int:
        """Raises ``RedisError`` or ``OSError``, at the latest after the time-outs that the settings give."""
        idle = self._redis.idle
        try:
            connection = idle.pop()
        except IndexError:
            connection = self._cache.get_client(write=True).connection_pool.make_connection()
        was_open = connection._sock is not None
        try:
            count = self._ask(connection, key, seconds)
        except BaseException as error:
            connection.disconnect()
            if was_open and isinstance(error, ConnectionLost | OSError):
                return self._count(key, seconds)  # Redis was started anew meanwhile: nothing was counted
            raise
        if len(idle) < _MOST_IDLE:
            idle.append(connection)
        else:
            connection.disconnect()
        return count

    def _ask(self, connection: Any, key: str, seconds: int) -> int:
        try:
            return self._send(connection, key, seconds)
        except NoScriptError:
            connection.send_command("SCRIPT", "LOAD", _COUNT)
            connection.read_response()
            return self._send(connection, key, seconds)

    def _send(self, connection: Any, key: str, seconds: int) -> int:
        connection.send_command("EVALSHA", _SHA, 1, key, seconds)
        return int(connection.read_response())
