"""PostgreSQL away under load: 503 and never 2xx without a row, and afterwards everything goes on by itself."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import pytest

from tests.concurrency.threads import soon
from tests.faults.books import assert_books_are_sound, assert_paid_once, assert_settled
from tests.faults.house import AMOUNT
from tests.faults.traffic import Traffic, conekta_event, oxxo_paid, spei_paid
from tests.promises import pick

AWAY, BACK_WITHIN, ANSWER_WITHIN = 10.0, 5.0, 2.0 + 1.5
"""Seconds: the outage; from PostgreSQL's start to the first good answer; the pool's patience and an answer's time."""
BUSY = 10.0
"""Seconds that a busy machine may add to what is promised; who waits for ever takes longer."""

JOB = "ledger.check_invariants"
_DEFER = f"""
import django; django.setup()
from django.db import connection, transaction
from core import jobs
with transaction.atomic():
    jobs.defer("{JOB}", timestamp=0)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET priority = 100 WHERE task_name = '{JOB}' AND status = 'todo'")
"""
"""Before the vouchers of orders that earlier tests made, which have become due meanwhile."""


@pytest.mark.promise("P20", "10 s without PostgreSQL under load: no 2xx without a row, no 500, back in 5 s")
def test_an_outage_under_load_is_503_and_ends_by_itself(trials, house):
    spei, oxxo = house.orders("spei", pick(90, 150)), house.orders("oxxo", pick(45, 75))
    messages = [spei_paid(house, order) for order in spei] + [one for order in oxxo for one in oxxo_paid(house, order)]
    with house.web() as web, house.worker() as worker:
        with Traffic(web, messages, trials.random, threads=4, pause=0.03) as traffic:
            traffic.wait_for_answers(50)
            port = house.postgres.end("fast")
            time.sleep(0.05)  # what was answered while it stopped
            stopped = time.monotonic()
            try:
                time.sleep(AWAY)
            finally:
                restarted = time.monotonic()
                house.postgres.start(port=port)
            started = time.monotonic()
            traffic.wait_until_done()
        house.run("-c", _DEFER)
        todo = f"SELECT count(*) FROM procrastinate_jobs WHERE task_name = '{JOB}' AND status = 'todo'"
        assert soon(lambda: house.query(todo) == [(0,)]), "the worker does not work any more"
        assert worker.is_running, worker.log.read_text()

    assert_settled(house, list(traffic.acknowledged))
    assert_paid_once(house, [*spei, *oxxo])
    assert_books_are_sound(house)
    assert set(traffic.statuses()) == {200, 503}
    assert {answer.headers["retry-after"] for answer in traffic.refused} <= {"2", "5", "30"}
    assert {json.loads(answer.body)["code"] for answer in traffic.refused} == {"database_unavailable"}
    during = [one for one in traffic.answers if stopped < one[0] and one[0] + one[1] < restarted]
    assert len(during) >= 4
    assert {status for _, _, status in during} == {503}
    assert median(took for _, took, _ in during) < ANSWER_WITHIN
    assert max(took for sent, took, _ in traffic.answers if stopped < sent < restarted) < ANSWER_WITHIN + BUSY
    first = min(sent + took for sent, took, status in traffic.answers if status == 200 and sent + took > stopped)
    assert first - started < BACK_WITHIN + BUSY
    print(f"back {first - started:.1f} s after PostgreSQL")  # noqa: T201 - pytest keeps it for a failure
    trials.done(unit="outages")
    trials.done(len(during), "answers during it")


@pytest.mark.promise("P20", "every kind of request without PostgreSQL: 503 with Retry-After, health answers")
def test_every_route_says_503_and_liveness_goes_on(trials, house, web):
    (order,) = house.orders("spei", 1)
    key = {"Authorization": f"Bearer {house.api_secret}"}
    create = json.dumps({"method": "spei", "amount": AMOUNT, "currency": "MXN"}).encode()
    ping = conekta_event(house, "evt-away", "webhook_ping", {})
    assert web.get("/v1/payments", **key).status == 200  # there are connections that will break
    port = house.postgres.end("fast")
    try:
        requests = [
            lambda: web.get("/readyz"),
            lambda: spei_paid(house, order).post(web),
            lambda: ping.post(web),
            lambda: web.get("/v1/payments", **key),
            lambda: web.get("/v1/balance", **key),
            lambda: web.get("/v1/events", **key),
            lambda: web.post("/v1/payments", create, **key, **{"Idempotency-Key": "while-away"}),
        ]
        for _ in range(2):
            with ThreadPoolExecutor(len(requests)) as pool:
                waiting = [pool.submit(request) for request in requests]
                assert web.get("/healthz").status == 200
                ready, *answers = [future.result() for future in waiting]
            assert (ready.status, json.loads(ready.body)["database"]) == (503, "unavailable")
            for answer in answers:
                assert answer.status == 503, answer.body
                assert int(answer.headers["retry-after"]) > 0
                assert answer.headers["content-type"] == "application/problem+json"
                assert json.loads(answer.body)["code"] == "database_unavailable"
                assert str(port).encode() not in answer.body
                trials.done(unit="answers")
    finally:
        house.postgres.start(port=port)

    assert house.query("SELECT count(*) FROM webhooks_providerevent WHERE event_id = 'evt-away'") == [(0,)]
    assert soon(lambda: web.get("/readyz").status == 200)
    message, until = spei_paid(house, order), time.monotonic() + BACK_WITHIN + BUSY
    while (retried := message.post(web).status) != 200:
        assert retried == 503  # the first broken connection of each process costs an answer
        assert time.monotonic() < until
    assert_paid_once(house, [order])
