"""All connections are taken by a database that hangs: 503 in two seconds, health answers, then everything goes on."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice

import pytest
from django.db import connections
from django.test import Client

from tests.concurrency.threads import soon
from tests.faults.books import assert_paid_once
from tests.faults.house import through
from tests.faults.proxy import FaultProxy
from tests.faults.traffic import spei_paid
from tests.promises import pick

SIZE = 1
WAIT, PROMPT, LATEST = 2.0, 1.5, 15.0
"""Seconds: the pool's patience; what the quickest of several answers may take besides, and the slowest at all: without
a limit of ours a request waits for thirty."""


@pytest.mark.promise("P21", "all connections hang: 503 within 2 s, health answers, afterwards all goes on")
def test_an_exhausted_pool_is_503_in_two_seconds_and_health_answers(trials, house):
    orders = house.orders("spei", pick(3, 20) * (SIZE + 4))
    with FaultProxy(house.postgres.port) as database:
        url = through(house.environ["DATABASE_URL"], database.port)
        small = {"DATABASE_URL": url, "DATABASE_POOL_SIZE": str(SIZE), "WEB_CONCURRENCY": "1"}
        with house.web(**small) as web, ThreadPoolExecutor(8) as threads:

            def timed(call):
                began = time.monotonic()
                return call(), time.monotonic() - began

            for number in trials.each(quick=3, full=20, unit="exhausted pools"):
                mine = orders[number * (SIZE + 4) :][: SIZE + 4]
                messages = [spei_paid(house, order) for order in mine]
                assert soon(lambda: web.get("/readyz").status == 200)
                database.black_hole()
                sent = [threads.submit(timed, lambda m=m: m.post(web)) for m in messages]
                try:
                    alive = [timed(lambda: web.get("/healthz")) for _ in range(3)]
                    refused = list(islice(as_completed(sent), len(sent) - SIZE))
                    stuck = [future for future in sent if future not in refused]
                    assert not any(future.done() for future in stuck)
                finally:
                    database.heal()

                assert {answer.status for answer, _ in alive} == {200}
                assert min(seconds for _, seconds in alive) < WAIT
                took = []
                for answer, seconds in (future.result() for future in refused):
                    assert answer.status == 503, answer.body
                    assert json.loads(answer.body)["code"] == "database_unavailable"
                    assert int(answer.headers["retry-after"]) > 0
                    took.append(seconds)
                assert min(took) < WAIT + PROMPT
                assert max(took) < LATEST
                assert {future.result()[0].status for future in stuck} == {200}
                assert [message.post(web).status for message in messages] == [200] * len(messages)
                assert_paid_once(house, mine)


@pytest.mark.promise("P21", "the pool of one process is taken: every route is 503 in 2 s", unit="exhausted pools")
@pytest.mark.usefixtures("production_timeouts")
def test_a_full_pool_is_503_after_two_seconds(api, stp):
    notice = stp.deposit("646180157099999997", 100)
    connections["default"].close()
    pool = connections["default"].pool
    pool.open()
    held = [pool.getconn() for _ in range(pool.max_size)]

    def timed(call):
        started = time.monotonic()
        answer = call(Client(raise_request_exception=False))
        return answer, time.monotonic() - started

    key = {"Authorization": f"Bearer {api.secret}"}
    wanted = {"method": "spei", "amount": 10_000, "currency": "MXN"}
    calls = {
        "list": lambda client: client.get("/v1/payments", headers=key),
        "create": lambda client: client.post(
            "/v1/payments", wanted, content_type="application/json", headers={**key, "Idempotency-Key": "k"}
        ),
        "notice": lambda client: stp.post(notice, client=client),
        "page": lambda client: client.get("/pay/pay_00000000000000000000000000"),
        "alive": lambda client: client.get("/healthz"),
    }
    try:
        with ThreadPoolExecutor(len(calls)) as threads:
            answers = dict(zip(calls, threads.map(timed, calls.values()), strict=True))
    finally:
        for connection in held:
            pool.putconn(connection)

    alive, alive_seconds = answers.pop("alive")
    assert alive.status_code == 200
    assert alive_seconds < min(seconds for _, seconds in answers.values())
    for name, (answer, seconds) in answers.items():
        assert answer.status_code == 503, name
        assert int(answer["Retry-After"]) > 0
        assert 1.8 < seconds < LATEST, name
    assert min(seconds for _, seconds in answers.values()) < WAIT + PROMPT
    assert api.get("/v1/payments").status_code == 200
    assert stp.post(notice).status_code == 200
