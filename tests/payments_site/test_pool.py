"""A full house answers 503 within two seconds and stays reachable; statements end; connections fit the server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from unittest import mock

import psycopg
import pytest
from django.db import OperationalError, connection, connections, transaction
from django.test import Client

from core import pool as core_pool
from ledger.services import balance
from payments_site import checks, health
from payments_site.unpooled import UnpooledConnection
from tests import cluster
from tests.concurrency.threads import soon
from tests.problems import assert_problem
from tests.web_process import ROOT


@pytest.fixture
def exhausted(production_timeouts, api):
    """Every connection of this process's pool is out."""
    pool = connection.pool
    connections.close_all()
    held = [pool.getconn() for _ in range(pool.max_size)]
    yield pool
    for one in held:
        pool.putconn(one)


def test_an_exhausted_pool_is_503_within_two_seconds_and_recovers(exhausted, api):
    started = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(api.get, path) for path in ("/v1/balance", "/v1/payments", "/v1/events")]
        created = threads.submit(api.post, "/v1/payments", {"method": "spei", "amount": 1_000, "currency": "MXN"})
        healthy: list[float] = []
        while not all(future.done() for future in [*asked, created]):
            began = time.monotonic()
            assert [Client().get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
            healthy.append(time.monotonic() - began)
        held_answers = [future.result() for future in [*asked, created]]
    seconds = time.monotonic() - started

    for answer in held_answers:
        assert_problem(answer, 503, "database_unavailable")
        assert answer["Retry-After"] == "2"
    assert 1.9 < seconds < 15  # one that waits as long as the library would takes thirty
    assert min(healthy) < 1.9  # the pool's patience is two seconds


def test_after_the_rush_it_serves_again(production_timeouts, api):
    pool = connection.pool
    connections.close_all()
    held = [pool.getconn() for _ in range(pool.max_size)]
    refused = api.get("/v1/balance")
    for one in held:
        pool.putconn(one)

    assert refused.status_code == 503
    assert api.get("/v1/balance").status_code == 200


def test_connections_that_broke_together_cost_one_answer(committed_db, api):
    connections.close_all()
    pool = connection.pool
    pool.open()
    held = [pool.getconn() for _ in range(6)]
    for one in held:
        pool.putconn(one)
    with cluster_admin() as admin:
        mine = "usename = 'payments_app' AND datname = %s"
        admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}", [cluster.DATABASE])
        asked = f"SELECT count(*) FROM pg_stat_activity WHERE {mine}"
        assert soon(lambda: admin.execute(asked, [cluster.DATABASE]).fetchone() == (0,))

    def read():
        try:
            return api.get("/v1/balance")
        finally:
            connection.close()  # as at the end of each request, which the test client leaves out

    first = read()
    assert soon(lambda: not core_pool._check_running.locked())
    later = [read().status_code for _ in range(12)]

    assert_problem(first, 503, "database_unavailable")
    assert later == [200] * 12


def test_a_transaction_that_stood_still_for_too_long_is_503_and_the_next_is_served(committed_db, api, monkeypatch):
    """PostgreSQL ends such a session; psycopg calls that an internal error, which would be a 500."""
    of_merchant = balance.of_merchant

    def stand_still(*args, **kwargs):
        monkeypatch.setattr(balance, "of_merchant", of_merchant)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '50ms'")
            time.sleep(0.5)
            cursor.execute("SELECT 1")

    monkeypatch.setattr(balance, "of_merchant", stand_still)

    assert_problem(api.get("/v1/balance"), 503, "database_unavailable")
    connection.close()  # as at the end of each request
    assert api.get("/v1/balance").status_code == 200


def test_a_pages_reader_hears_503_too(exhausted):
    answer = Client(raise_request_exception=False).get("/pay/pay_01kb3wdga4q9c7mx0yj65re201")

    assert (answer.status_code, answer["Retry-After"]) == (503, "2")


@pytest.mark.django_db
def test_a_request_has_five_seconds_for_a_statement_and_two_for_a_lock():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
        assert cursor.fetchone() == ("5s", "2s")


def test_a_job_has_sixty_seconds_for_a_statement():
    """Seen in a process of its own, as the worker makes it, in its threads and in its queue's connections."""
    script = (
        "import django; django.setup()\n"
        "from django.db import connection\n"
        "with connection.cursor() as cursor: cursor.execute('SELECT 1')\n"
        "from payments_site.management.commands.worker import prepare_database\n"
        "prepare_database(7)\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from procrastinate.contrib.django.utils import connector_params\n"
        "def ask():\n"
        "    with connection.cursor() as cursor:\n"
        "        cursor.execute('SHOW statement_timeout'); return cursor.fetchone()[0]\n"
        "print(ask(), ThreadPoolExecutor(1).submit(ask).result(), '60s' in connector_params()['options'])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )

    assert done.stdout.split() == ["1min", "1min", "True"], done.stderr


class Slow(UnpooledConnection):
    """A database that takes its time."""

    slow = True

    def run(self, function, timeout=0.5):
        if self.slow:
            raise TimeoutError
        return super().run(function, timeout)


@pytest.fixture
def unpooled(committed_db):
    made = Slow()
    made.slow = False
    yield made
    made.close()


def test_a_slow_database_is_not_ready_only_after_three_times(unpooled, client, monkeypatch):
    monkeypatch.setattr(health, "unpooled", unpooled)
    monkeypatch.setattr(health, "probe", health.DatabaseProbe())
    assert client.get("/readyz").json()["status"] == "ok"

    unpooled.slow = True
    answers = [client.get("/readyz") for _ in range(4)]
    unpooled.slow = False
    after = client.get("/readyz")

    assert [answer.status_code for answer in answers] == [200, 200, 503, 503]
    assert [answer.json()["status"] for answer in answers[:2]] == ["degraded", "degraded"]
    assert answers[0].json()["database"] == "slow"
    assert (after.status_code, after.json()["status"]) == (200, "ok")


def test_a_database_that_was_never_seen_is_not_ready(monkeypatch, client):
    monkeypatch.setattr(health, "unpooled", Slow())
    monkeypatch.setattr(health, "probe", health.DatabaseProbe())

    assert client.get("/readyz").status_code == 503


def test_a_question_that_hangs_is_left_after_half_a_second_and_the_next_is_answered(unpooled, monkeypatch):
    monkeypatch.setattr("payments_site.unpooled.TIMEOUT", 0.5)
    unpooled.run(lambda: None, timeout=60)
    started = time.monotonic()

    with pytest.raises((TimeoutError, OperationalError)):
        unpooled.run(lambda: connection.cursor().execute("SELECT pg_sleep(90)"))

    assert time.monotonic() - started < 30
    assert unpooled.run(lambda: "again", timeout=30) == "again"


def test_a_connection_that_broke_is_replaced(unpooled):
    def backend():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return cursor.fetchone()[0]

    first = unpooled.run(backend, timeout=60)
    with cluster_admin() as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", [first])

    assert unpooled.run(backend, timeout=60) != first


def cluster_admin():
    return psycopg.connect(cluster.url("postgres", "postgres"), autocommit=True)


@pytest.mark.django_db
def test_a_budget_that_fits_passes_and_one_that_does_not_says_the_sum(settings):
    assert found(checks.database_is_durable(databases=["default"])) == []

    settings.DATABASE = replace(settings.DATABASE, pool_size=50, web_instances=2)
    (message,) = checks.database_is_durable(databases=["default"])

    assert message.id == "payments_site.E006"
    assert (
        "2 web × 2 processes × (50 pool + 1 for /readyz) + 1 worker × (12 jobs + 2 × 4 lanes' queues + 1 for webhooks)"
        in message.msg
    )
    assert "= 227" in message.msg


def found(messages):
    return [message.id for message in messages]


def manage(*arguments, **environ):
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_doctor_finds_a_sound_installation_sound(committed_db):
    with mock.patch.dict(os.environ, {"DATABASE_POOL_SIZE": "8"}):
        ended = manage("doctor")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "WRONG" not in ended.stdout
    assert "ok    migrations: applied" in ended.stdout
    assert "1 web × 2 processes × (8 pool + 1 for /readyz)" in ended.stdout


def test_the_doctor_names_what_is_wrong(committed_db):
    ended = manage("doctor", DATABASE_POOL_SIZE="2", WEB_INSTANCES="40", REDIS_URL="redis://127.0.0.1:9/0")

    assert ended.returncode == 1
    assert "WRONG connections: 40 web × 2 processes" in ended.stdout
    assert "WRONG redis" in ended.stdout


def test_the_doctor_says_that_the_database_is_away_without_its_address():
    ended = manage("doctor", DATABASE_URL="postgresql://payments_app:hunter2@127.0.0.1:9/payments")

    assert ended.returncode == 1
    assert "WRONG database" in ended.stdout
    assert "hunter2" not in ended.stdout + ended.stderr
