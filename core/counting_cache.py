"""Django's Redis cache backend with counting in one round trip over persistent connections."""

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
"""Idle connections that a process keeps."""


class _Redis(NamedTuple):
    """A process's client and idle connections for one Redis, shared by the cache instances of all greenlets."""

    client: Any
    idle: deque[Any]
    options: dict[str, Any]


_known: dict[tuple[str, int], _Redis] = {}
_lock = Lock()


class CountingCache(RedisCache):
    """Counts for django-ratelimit, which adds a counter and increments it if it exists: three round trips in Django.

    Here ``add(key, 1, timeout)`` increments in Redis, and the ``incr(key)`` that follows only returns the result.
    Django keeps one instance per thread or greenlet, so no other call comes between the two. Connections belong to the
    process: taking one from redis-py's pool and packing the command costs more than Redis needs to count.
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
        """Increment and return the counter. Raises ``RedisError`` or ``OSError``, at the latest after the timeouts."""
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
                return self._count(key, seconds)  # Redis was restarted: nothing was counted
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
