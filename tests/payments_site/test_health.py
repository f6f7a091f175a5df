"""/healthz asks nobody; /readyz says whether traffic may come."""

from __future__ import annotations

import json
import socket
import time
from unittest import mock

import pytest
from django.core.management import call_command
from django.db import OperationalError, connections
from django.test import override_settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from merchants.api import rate_limit
from payments_site import health
from payments_site.embedded.redis import EmbeddedRedis
from staff.models import SignInCounter
from staff.services import sign_in_limit
from tests import cluster

NOBODY_THERE = "redis://127.0.0.1:9/0"


def redis_at(url, *, backend="django.core.cache.backends.redis.RedisCache", seconds=0.2):
    options = {"socket_connect_timeout": seconds, "socket_timeout": seconds, "retry": Retry(NoBackoff(), 0)}
    return override_settings(CACHES={"default": {"BACKEND": backend, "LOCATION": url, "OPTIONS": options}})


def test_the_process_is_alive_whatever_the_database_does(client):
    """Without a database fixture, any query would fail this test."""
    answer = client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_a_released_database_is_ready(client):
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "database": "ok",
        "migrations": "applied",
        "redis": "ok",
        "ledger": "ok",
        "feeds": "ok",
    }


@pytest.mark.django_db
def test_without_redis_it_is_ready_and_says_so_quickly(client):
    started = time.monotonic()

    with redis_at(NOBODY_THERE):
        answer = client.get("/readyz")

    assert time.monotonic() - started < 15
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "degraded",
        "database": "ok",
        "migrations": "applied",
        "redis": "unavailable",
        "ledger": "ok",
        "feeds": "ok",
    }


@pytest.mark.django_db
def test_a_redis_that_never_answers_costs_a_quarter_of_a_second(client):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with redis_at(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"):
            answer = client.get("/readyz")

    assert time.monotonic() - started < 15
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


@pytest.fixture(scope="module")
def small_redis(tmp_path_factory):
    """A Redis of this module's own, and a client that may configure it."""
    home = tmp_path_factory.mktemp("redis")
    server = EmbeddedRedis(home / "data", run_dir=home / "run")
    server.start()
    try:
        with Redis.from_url(server.url) as client:
            yield server, client
    finally:
        server.stop()


FAULTS = {
    "full": ["CONFIG SET maxmemory 1"],
    "replica": ["REPLICAOF 127.0.0.1 9"],
    "unprivileged": ["ACL SETUSER default -@write"],
}
SOUND = ["CONFIG SET maxmemory 0", "REPLICAOF NO ONE", "ACL SETUSER default +@all"]


@pytest.fixture(params=sorted(FAULTS))
def refusing_redis(request, small_redis):
    """One that answers reads and refuses to count."""
    server, client = small_redis
    for command in FAULTS[request.param]:
        client.execute_command(*command.split())
    try:
        assert client.get("readyz") is None
        yield server.url
    finally:
        for command in SOUND:
            client.execute_command(*command.split())


@pytest.mark.django_db
def test_a_redis_that_answers_reads_and_refuses_to_count_is_degraded(client, refusing_redis):
    with redis_at(refusing_redis, backend="django.core.cache.backends.redis.RedisCache", seconds=10):
        answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["redis"] == "refuses to count"


@pytest.mark.django_db
def test_a_redis_that_refuses_to_count_keeps_limits_as_one_that_is_away(
    api, client, refusing_redis, rf, monkeypatch, capsys
):
    monkeypatch.setattr(rate_limit, "breaker", rate_limit.CircuitBreaker())
    monkeypatch.setattr(sign_in_limit, "_redis_paused_until", 0.0)
    with redis_at(refusing_redis, backend="django.core.cache.backends.redis.RedisCache", seconds=10):
        served = api.get("/v1/merchant")
        tries = [sign_in_limit.check(rf.post("/admin/login/"), "ana") for _ in range(6)]
        with pytest.raises(SystemExit):
            call_command("doctor")

    assert served.status_code == 200
    assert "RateLimit-Limit" not in served
    assert [refused is None for refused in tries] == [True] * 5 + [False]
    assert SignInCounter.objects.exists()
    assert "WRONG redis: refuses to count" in capsys.readouterr().out


@pytest.mark.django_db
def test_a_redis_that_counts_is_ok(client, small_redis):
    with redis_at(small_redis[0].url, backend="django.core.cache.backends.redis.RedisCache", seconds=10):
        for _ in range(3):
            assert client.get("/readyz").json()["redis"] == "ok"


def test_a_database_that_refuses_writes_is_not_ready(committed_db, client, owner):
    name = connections["default"].settings_dict["NAME"]
    owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    owner.commit()
    health.unpooled.run(lambda: connections["default"].close(), 10.0)
    try:
        answer = client.get("/readyz")
    finally:
        owner.execute("SET transaction_read_only = off")
        owner.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        owner.commit()
        health.unpooled.run(lambda: connections["default"].close(), 10.0)

    assert answer.status_code == 503
    assert answer.json()["database"].startswith("read-only")
    assert client.get("/readyz").status_code == 200


def test_a_migration_that_is_missing_is_not_ready_until_it_is_applied(committed_db, client, owner):
    owner.execute("DELETE FROM django_migrations WHERE app = 'payments' AND name = '0002_tables'")
    owner.commit()

    behind = client.get("/readyz")
    owner.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('payments', '0002_tables', now())")
    owner.commit()

    assert behind.status_code == 503
    assert behind["Retry-After"] == "5"
    assert behind.json()["status"] == "not_ready"
    assert "1 not applied" in behind.json()["migrations"]
    assert client.get("/readyz").status_code == 200


def test_a_migration_of_a_newer_release_is_ready(committed_db, client, owner):
    owner.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('payments', '9999_future', now())")
    owner.commit()

    assert client.get("/readyz").status_code == 200


def test_an_empty_database_is_not_ready(committed_db, client):
    cluster.postgres.ensure_database("test_empty")
    settings = connections["default"].settings_dict
    connections["default"].close()
    connections["default"].close_pool()
    try:
        with mock.patch.dict(settings, {"NAME": "test_empty"}):
            answer = client.get("/readyz")
            connections["default"].close()
            connections["default"].close_pool()
    finally:
        cluster.postgres.drop_database("test_empty")

    assert answer.status_code == 503
    assert "not applied" in answer.json()["migrations"]


@pytest.mark.django_db
def test_a_database_that_is_away_is_not_ready_and_nothing_of_it_is_shown(client, monkeypatch):
    def refuse(*args, **kwargs):
        raise OperationalError("connection to 10.0.0.5:5432 as payments_app failed")

    monkeypatch.setattr(health, "unapplied_migrations", refuse)

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert json.loads(answer.content) == {"status": "not_ready", "database": "unavailable"}
