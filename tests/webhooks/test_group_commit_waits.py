"""Behind a leader that hangs or gets no connection nobody waits longer than for a connection."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from core.errors import Overloaded
from payments.models import ProviderAccount
from payments.services import provider_account
from tests.concurrency.test_notices import make_payments
from tests.concurrency.threads import at_once
from tests.webhooks.test_group_commit import Send, assert_each_paid_once, paid
from webhooks.inbound.services import group_commit, inbox


@pytest.mark.usefixtures("production_timeouts")
def test_nobody_waits_longer_than_for_a_connection_and_the_next_leads_past_whoever_hangs(
    merchant, conekta, groups, monkeypatch
):
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
def test_whoever_waits_behind_a_leader_that_gets_no_connection_hears_so_with_it_each_by_its_own_error(
    merchant, conekta, groups, monkeypatch, settings
):
    """One after the other they would each wait for the pool; an error that all raise would grow with each of them."""
    settings.PROVIDER_ACCOUNT_CACHE_SECONDS = 3_600
    first, *payments = make_payments(merchant, "oxxo", 5)
    assert paid(conekta, first)().status_code == 200
    groups.clear()
    monkeypatch.setattr(inbox, "_recent", set())  # of another test's database
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
        answers = at_once([paid(conekta, p) for p in payments])
    finally:
        for one in held:
            pool.putconn(one)

    assert time.monotonic() - began < 15  # 2 s of patience, and a busy machine
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, Overloaded.code)] * 4
    assert len({id(error) for error in raised}) == len(raised) == 4
    assert groups == []
    assert [paid(conekta, p)().status_code for p in payments] == [200] * 4
    assert_each_paid_once([first, *payments])
