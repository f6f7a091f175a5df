"""Django's Redis cache, counting in one round trip."""

from __future__ import annotations

from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.redis import RedisCache

_COUNT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return count
"""


class CountingCache(RedisCache):
    """django-ratelimit adds a counter and, if it is there already, increments it: three round trips of Django's cache.

    Here ``add(key, 1, timeout)`` counts in Redis at once, and the ``incr(key)`` that follows only hands over the
    number. Django keeps one instance for each thread, so nobody comes between the two.
    """

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._script: Any = None
        self._counted: tuple[str, int] | None = None

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        if value != 1 or type(timeout) is not int:
            return bool(super().add(key, value, timeout, version))
        full = self.make_and_validate_key(key, version=version)
        if self._script is None:
            self._script = self._cache.get_client(full, write=True).register_script(_COUNT)
        count = int(self._script(keys=[full], args=[timeout]))
        self._counted = (key, count) if count > 1 else None
        return count == 1

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        counted, self._counted = self._counted, None
        if counted is not None and counted[0] == key and delta == 1:
            return counted[1]
        return int(super().incr(key, delta, version))
