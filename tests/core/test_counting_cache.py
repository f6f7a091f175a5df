"""However many threads and greenlets there are, a process keeps few connections to Redis."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from django.core.cache import caches
from django.test import override_settings

from core import counting_cache
from core.counting_cache import CountingCache


def clients(cache: CountingCache) -> int:
    return len(cache._cache.get_client().client_list())


def test_instances_of_many_threads_share_their_connections() -> None:
    cache = caches.create_connection("default")
    assert isinstance(cache, CountingCache)
    cache.add("before", 1, 60)
    before = clients(cache)

    for number in range(100):
        of_another_thread = caches.create_connection("default")
        assert isinstance(of_another_thread, CountingCache)
        assert of_another_thread.add("many", 1, 60) is (number == 0)
        assert number == 0 or of_another_thread.incr("many") == number + 1
        of_another_thread.get("something")

    assert clients(cache) <= before + 1


def test_of_many_who_count_at_once_a_bounded_number_of_connections_stays(monkeypatch) -> None:
    monkeypatch.setattr(counting_cache, "_MOST_IDLE", 2)
    cache = caches.create_connection("default")
    assert isinstance(cache, CountingCache)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: caches["default"].add(f"k{n % 3}", 1, 60), range(200)))

    assert len(cache._redis.idle) <= 2
    assert [cache.get(f"k{n}") for n in range(3)] == [67, 67, 66]


def test_another_server_has_connections_of_its_own() -> None:
    first = caches.create_connection("default")
    location = caches.settings["default"]["LOCATION"] + "5"  # another number of database
    with override_settings(CACHES={"default": caches.settings["default"] | {"LOCATION": location}}):
        second = caches.create_connection("default")

    assert isinstance(first, CountingCache)
    assert isinstance(second, CountingCache)
    assert first._redis is not second._redis
