"""So many requests of a key in a while, counted in Redis by every process; a Redis that is away refuses nobody."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import time_machine
from django.core.cache import cache
from redis.connection import Connection

from core import clock
from core.metrics import RATE_LIMIT_DEGRADED
from merchants.api import rate_limit
from merchants.models import IdempotencyKey
from payments_site.embedded.redis import EmbeddedRedis
from payments_site.settings import base
from tests.concurrency.threads import soon
from tests.faults.proxy import FaultProxy
from tests.problems import assert_problem, rows

pytestmark = pytest.mark.django_db

SPEI = {"method": "spei", "amount": 100_000, "currency": "MXN"}


@pytest.fixture(autouse=True)
def _fresh(settings, monkeypatch):
    settings.RATE_LIMITS = {"read": "3/m", "write": "2/m", "test": "1/m"}
    monkeypatch.setattr(rate_limit, "breaker", rate_limit.CircuitBreaker())
    with time_machine.travel(clock.now(), tick=False):  # no window ends within a test
        yield


def at(settings, url):
    """Let requests be counted there, with the time-outs of production."""
    settings.CACHES = {"default": {**base.CACHES["default"], "LOCATION": url}}


def test_the_answer_says_how_many_are_left_and_when_the_window_ends(api):
    with time_machine.travel("2026-11-26T18:00:00Z", tick=False):
        answers = [api.get("/v1/merchant") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert [answer["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0"]
    assert {answer["RateLimit-Limit"] for answer in answers} == {"3"}
    (reset,) = {int(answer["RateLimit-Reset"]) for answer in answers}
    assert 1 <= reset <= 60


def test_one_request_too_many_is_429_and_the_next_window_is_fresh(api):
    with time_machine.travel("2026-11-26T18:00:00Z", tick=False) as clock:
        for _ in range(3):
            api.get("/v1/merchant")
        refused = api.get("/v1/merchant")
        clock.shift(int(refused["Retry-After"]) + 1)
        later = api.get("/v1/merchant")

    assert_problem(refused, 429, "rate_limited")
    assert refused["Retry-After"] == refused["RateLimit-Reset"]
    assert (refused["RateLimit-Limit"], refused["RateLimit-Remaining"]) == ("3", "0")
    assert later.status_code == 200


def test_reads_writes_keys_and_merchants_are_counted_apart(api, stp, merchant, other_merchant, make_api):
    for number in range(2):
        assert api.post("/v1/payments", SPEI, key=f"k-{number}").status_code == 201
    assert api.post("/v1/payments", SPEI, key="k-2").status_code == 429

    assert api.get("/v1/payments").status_code == 200
    assert make_api(merchant).post("/v1/payments", SPEI, key="k-3").status_code == 201
    assert make_api(other_merchant).post("/v1/payments", SPEI, key="k-4").status_code == 201


def test_test_helpers_have_a_limit_of_their_own(api, settings):
    settings.RATE_LIMITS = {"read": "3/m", "write": "100/m", "test": "1/m"}
    path = "/v1/test/payments/pay_00000000000000000000000000/pay"

    assert api.post(path, {})["RateLimit-Limit"] == "1"
    assert_problem(api.post(path, {}), 429, "rate_limited")


def test_a_refused_request_is_not_remembered_and_a_replay_counts_too(api, stp, settings):
    first = api.post("/v1/payments", SPEI)
    assert api.post("/v1/payments", SPEI)["Idempotent-Replayed"] == "true"
    before = rows()

    assert_problem(api.post("/v1/payments", SPEI), 429, "rate_limited")
    assert_problem(api.post("/v1/payments", SPEI, key="fresh"), 429, "rate_limited")

    assert rows() == before
    settings.RATE_LIMITS = {"read": "3/m", "write": "100/m", "test": "1/m"}
    assert api.post("/v1/payments", SPEI).content == first.content
    assert api.post("/v1/payments", SPEI, key="fresh").status_code == 201
    assert IdempotencyKey.objects.count() == 2


def test_a_faulty_request_and_one_without_the_right_are_counted(merchant, make_api):
    reader = make_api(merchant, scopes=["payments:read"])

    answers = [reader.post("/v1/payments", {}), reader.post("/v1/payments", SPEI), reader.post("/v1/payments", SPEI)]

    assert [answer.status_code for answer in answers] == [403, 403, 429]


def test_a_stranger_is_not_counted_and_hears_nothing_of_limits(api):
    for _ in range(5):
        answer = api.client.get("/v1/merchant", headers={"Authorization": "Bearer sk_test_" + "a" * 43})
        assert answer.status_code == 401
        assert "RateLimit-Limit" not in answer


def test_counting_is_one_command(api, monkeypatch):
    api.get("/v1/merchant")
    sent = []
    send = Connection.send_packed_command

    def spy(connection, command, *args, **options):
        sent.append(b"".join(command))
        return send(connection, command, *args, **options)

    monkeypatch.setattr(Connection, "send_packed_command", spy)
    api.get("/v1/merchant")

    assert len(sent) == 1
    assert b"EVALSHA" in sent[0]


@pytest.mark.parametrize("change", ["connections cut", "scripts forgotten"])
def test_a_redis_that_was_started_anew_counts_the_next_request(api, change):
    first = api.get("/v1/merchant")
    client = cache._cache.get_client(write=True)
    degraded = RATE_LIMIT_DEGRADED.labels("api")._value.get()

    if change == "connections cut":
        client.client_kill_filter(_type="normal", skipme=True)
    else:
        client.script_flush()
    second = api.get("/v1/merchant")

    assert int(first["RateLimit-Remaining"]) - int(second["RateLimit-Remaining"]) in (1, -2)  # -2: the next window
    assert RATE_LIMIT_DEGRADED.labels("api")._value.get() == degraded


def test_many_threads_keep_a_bounded_number_of_connections(settings, monkeypatch):
    monkeypatch.setattr(rate_limit, "_MOST_IDLE", 2)
    counter = rate_limit._Counter(settings.CACHES["default"]["LOCATION"])

    with ThreadPoolExecutor(8) as threads:
        counts = list(threads.map(lambda _: counter.count("rl:threads", 60), range(200)))

    assert sorted(counts) == list(range(1, 201))
    assert len(counter._idle) <= 2


def test_a_counter_ends_with_its_window(api):
    api.get("/v1/merchant")

    client = cache._cache.get_client(write=True)
    lives = [client.ttl(key) for key in client.keys("*rl:*")]
    assert len(lives) == 1
    assert 0 < lives[0] <= 65


@pytest.mark.promise("P19", "the API with Redis refused, reset or hung", unit="outages")
@pytest.mark.parametrize("fault", ["refuse", "reset", "black_hole"])
def test_a_redis_that_is_away_costs_one_request_a_moment_and_refuses_nobody(
    api, stp, settings, fault, trials, monkeypatch
):
    redis = urlsplit(settings.CACHES["default"]["LOCATION"])
    with FaultProxy(redis.port) as proxy:
        at(settings, redis._replace(netloc=redis.netloc.replace(f":{redis.port}", f":{proxy.port}")).geturl())
        assert soon(lambda: "RateLimit-Limit" in api.get("/v1/merchant"))
        degraded = RATE_LIMIT_DEGRADED.labels("api")._value.get()
        asked = []
        counter = rate_limit._counter
        monkeypatch.setattr(rate_limit, "_counter", lambda url: asked.append(time.monotonic()) or counter(url))
        getattr(proxy, fault)()

        began = time.monotonic()
        costs = [_seconds(api) for _ in range(12)]
        assert len(asked) <= 1 + (time.monotonic() - began) / rate_limit._PAUSE, "a second request waited for Redis"
        created = api.post("/v1/payments", SPEI)
        assert created.status_code == 201
        assert "RateLimit-Limit" not in created
        accepted = proxy.accepted

        assert min(costs[1:]) < 0.3
        assert max(costs) < 15, "a hung Redis without limits takes for ever"
        assert RATE_LIMIT_DEGRADED.labels("api")._value.get() == degraded + 13
        rate_limit.breaker._open_until = time.monotonic()  # the pause is over: one request asks for all
        _seconds(api)
        _seconds(api)
        assert proxy.accepted - accepted <= 1
        proxy.heal()
        rate_limit.breaker._open_until = time.monotonic()
        assert soon(lambda: api.get("/v1/banks").get("RateLimit-Limit") == "3")
    trials.done(unit="outages")


def test_a_redis_that_is_stopped_and_started_again(api, settings, tmp_path):
    redis = EmbeddedRedis(tmp_path / "redis", run_dir=tmp_path / "run")
    redis.start()
    try:
        at(settings, redis.url)
        assert soon(lambda: "RateLimit-Limit" in api.get("/v1/merchant"))
        redis.stop()
        assert [api.get("/v1/merchant").status_code for _ in range(6)] == [200] * 6
    finally:
        redis.stop()


@pytest.mark.parametrize("fault", ["refuse", "reset", "black_hole"])
def test_the_warning_is_said_once_an_outage_and_names_no_secret(api, settings, caplog, fault):
    redis = urlsplit(settings.CACHES["default"]["LOCATION"])
    with FaultProxy(redis.port) as proxy, caplog.at_level("WARNING", logger="merchants.api.rate_limit"):
        at(settings, redis._replace(netloc=redis.netloc.replace(f":{redis.port}", f":{proxy.port}")).geturl())
        getattr(proxy, fault)()
        for _ in range(4):
            api.get("/v1/merchant")

    assert [record.name for record in caplog.records].count("merchants.api.rate_limit") == 1
    assert (redis.password or "no password") not in caplog.text


def _seconds(api):
    began = time.monotonic()
    assert api.get("/v1/merchant").status_code in (200, 429)
    return time.monotonic() - began
