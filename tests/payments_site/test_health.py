"""/healthz asks nobody; /readyz says whether traffic may come."""

from __future__ import annotations

import json
import socket
import time
from unittest import mock

import pytest
from django.db import OperationalError, connections
from django.test import override_settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from payments_site import health
from tests import cluster

NOBODY_THERE = "redis://127.0.0.1:9/0"


def redis_at(url):
    options = {"socket_connect_timeout": 0.2, "socket_timeout": 0.2, "retry": Retry(NoBackoff(), 0)}
    backend = "django.core.cache.backends.redis.RedisCache"
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
    }


@pytest.mark.django_db
def test_a_redis_that_never_answers_costs_a_quarter_of_a_second(client):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with redis_at(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"):
            answer = client.get("/readyz")

    assert time.monotonic() - started < 15
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


def test_a_migration_that_is_missing_is_not_ready_until_it_is_applied(committed_db, client, owner):
    owner.execute("DELETE FROM django_migrations WHERE app = 'payments' AND name = '0001_initial'")
    owner.commit()

    behind = client.get("/readyz")
    owner.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('payments', '0001_initial', now())")
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
