"""An equal creation waits for the voucher of the first one and replays its answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
import time_machine
from django.db import connection

from core import clock
from core.clock import to_rfc3339
from merchants.api import idempotency
from payments.models import Payment
from payments.providers.conekta.client import ConektaClient
from tests.factories.idempotency import OXXO, assert_replays
from tests.problems import assert_problem

pytest_plugins = ["tests.sandbox_process"]


@pytest.fixture
def patient(monkeypatch):
    """A busy machine may take its time."""
    monkeypatch.setattr(idempotency, "WAIT_SECONDS", 60)


@contextmanager
def held_voucher(api, monkeypatch, body=OXXO) -> Iterator[tuple[Future, threading.Event]]:
    """A creation that has reached Conekta, which answers once the event is set."""
    asked, answer, create = threading.Event(), threading.Event(), ConektaClient.create_cash_order

    def held(self, **options):
        asked.set()
        assert answer.wait(120)
        return create(self, **options)

    with monkeypatch.context() as patched, ThreadPoolExecutor(1) as pool:
        patched.setattr(ConektaClient, "create_cash_order", held)
        first = pool.submit(in_thread, lambda: api.post("/v1/payments", body))
        try:
            assert asked.wait(120)
            yield first, answer
        finally:
            answer.set()


def in_thread(send):
    """What ``send`` returns, with a database connection that is closed afterwards."""
    try:
        return send()
    finally:
        connection.close()


def test_equal_creations_wait_for_the_voucher_and_replay_the_answer(
    committed_db, api, at_conekta, monkeypatch, patient
):
    with held_voucher(api, monkeypatch) as (first, answer), ThreadPoolExecutor(3) as pool:
        others = [pool.submit(in_thread, lambda: api.post("/v1/payments", OXXO)) for _ in range(3)]
        time.sleep(0.5)
        early = [other.done() for other in others]
        answer.set()

    assert early == [False] * 3
    assert (first.result().status_code, first.result().json()["oxxo"] is None) == (201, False)
    for other in others:
        assert_replays(other.result(), first.result())
    assert (Payment.objects.count(), len(at_conekta.orders())) == (1, 1)


def test_who_waits_for_a_voucher_holds_no_database_connection(committed_db, api, at_conekta, monkeypatch, patient):
    held, sleep = list[bool](), time.sleep

    with held_voucher(api, monkeypatch) as (first, answer):

        def watched(seconds):
            held.append(connection.connection is not None)
            if len(held) == 3:
                answer.set()
            sleep(seconds)

        monkeypatch.setattr(idempotency, "sleep", watched)
        again = api.post("/v1/payments", OXXO)

    assert_replays(again, first.result())
    assert len(held) >= 3
    assert not any(held)


def test_another_body_under_the_key_of_a_voucher_under_way_is_refused_at_once(
    committed_db, api, at_conekta, monkeypatch
):
    with held_voucher(api, monkeypatch) as (first, _):
        other = api.post("/v1/payments", {**OXXO, "amount": 5_000})
        assert not first.done()

    assert_problem(other, 422, "idempotency_key_reused", "amount")


def test_a_creation_whose_expiry_passes_while_the_first_runs_waits_too(
    committed_db, api, at_conekta, monkeypatch, patient
):
    body = {**OXXO, "expires_at": to_rfc3339(clock.now() + timedelta(seconds=30))}
    with held_voucher(api, monkeypatch, body) as (first, answer), ThreadPoolExecutor(1) as pool:
        with time_machine.travel(clock.now() + timedelta(seconds=31)):
            again = pool.submit(in_thread, lambda: api.post("/v1/payments", body))
            time.sleep(0.5)
            assert not again.done()
        answer.set()

    assert_replays(again.result(), first.result())


def test_a_voucher_that_takes_longer_than_two_seconds_is_409(committed_db, api, at_conekta, monkeypatch):
    with held_voucher(api, monkeypatch) as (first, _):
        started = time.monotonic()
        again = api.post("/v1/payments", OXXO)
        waited = time.monotonic() - started

    assert_problem(again, 409, "idempotency_in_progress")
    assert again["Retry-After"] == "1"
    assert 2 <= waited < 15
    assert_replays(api.post("/v1/payments", OXXO), first.result())
