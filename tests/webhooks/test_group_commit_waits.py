"""Group commit: notices behind a leader that hangs or gets no connection."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from core.errors import Overloaded
from payments.models import ProviderAccount
from payments.services import provider_account
from tests.concurrency.threads import at_once
from tests.factories.notice import Send, assert_each_paid_once, paid
from tests.factories.payment import make_payments
from webhooks.inbound.services import group_commit


@pytest.mark.usefixtures("production_timeouts")
def test_a_hanging_leader_is_replaced_after_the_connection_timeout(merchant, conekta, groups, monkeypatch):
    lead, waiting, later = make_payments(merchant, "oxxo", 3)
    carry_out, hangs, goes_on = group_commit._process, threading.Event(), threading.Event()

    def hanging(group):
        if not hangs.is_set():
            hangs.set()
            assert goes_on.wait(timeout=60)
        carry_out(group)

    def run(send: Send) -> tuple[int, str]:
        try:
            answer = send()
            return answer.status_code, answer.json().get("code", "")
        finally:
            connections.close_all()

    monkeypatch.setattr(group_commit, "_process", hanging)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(run, paid(conekta, lead))
        try:
            assert hangs.wait(timeout=60)
            began = time.monotonic()
            given_up = pool.submit(run, paid(conekta, waiting)).result(timeout=60)
            waited = time.monotonic() - began
            passed = pool.submit(run, paid(conekta, later)).result(timeout=60)
            assert not first.done()
        finally:
            goes_on.set()

        assert (given_up, passed, first.result()) == ((503, Overloaded.code), (200, ""), (200, ""))
    assert waited < 15  # 2 s of patience, and a busy machine
    assert paid(conekta, waiting)().status_code == 200
    assert_each_paid_once([lead, waiting, later])


@pytest.mark.usefixtures("production_timeouts")
def test_notices_behind_a_leader_without_connection_fail_with_their_own_errors(
    merchant, conekta, groups, monkeypatch, settings
):
    """One after the other they would each wait for the pool; an error that all raise would grow with each of them."""
    settings.PROVIDER_ACCOUNT_CACHE_SECONDS = 3_600
    first, *payments = make_payments(merchant, "oxxo", 5)
    assert paid(conekta, first, event_id="first")().status_code == 200
    groups.clear()
    provider_account.accepting_notices(ProviderAccount.Provider.CONEKTA)
    connection.close()
    pool = connection.pool
    pool.open()
    raised, join = list[Exception](), group_commit.submit

    def watching(item):
        try:
            return join(item)
        except Exception as error:
            raised.append(error)
            raise

    monkeypatch.setattr(group_commit, "submit", watching)
    held = [pool.getconn() for _ in range(pool.max_size)]
    began = time.monotonic()
    try:
        answers = at_once([paid(conekta, p, event_id=f"waits-{p.pk}") for p in payments])
    finally:
        for one in held:
            pool.putconn(one)

    assert time.monotonic() - began < 15  # 2 s of patience, and a busy machine
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, Overloaded.code)] * 4
    assert len({id(error) for error in raised}) == len(raised) == 4
    assert groups == []
    assert [paid(conekta, p, event_id=f"waits-{p.pk}")().status_code for p in payments] == [200] * 4
    assert_each_paid_once([first, *payments])
