"""Redis refused, hung, reset or slow: webhooks and payments never need it, and the rest says so quickly."""

from __future__ import annotations

import json
import time

import pytest

from tests.concurrency.threads import soon
from tests.faults.books import assert_paid_once
from tests.faults.house import AMOUNT, through
from tests.faults.proxy import FaultProxy
from tests.faults.traffic import oxxo_paid, spei_paid

PATIENCE = 15.0
"""Seconds: a busy machine's own. A hung Redis without limits takes for ever."""
AS_IN_PRODUCTION = {"DJANGO_SETTINGS_MODULE": "payments_site.settings.base"}
"""With the time-outs of production; the other tests' Redis always answers."""
FAULTS = ["refuse", "black_hole", "reset", "cut", "latency", "heal"]


@pytest.mark.promise("P19", "Redis refused, hung, reset, cut, slow: webhooks never ask it, payments are served")
def test_webhooks_never_ask_redis_and_payments_do_without_it(trials, house):
    each = 5
    spei, oxxo = house.orders("spei", len(FAULTS) * each), house.orders("oxxo", len(FAULTS) * each)
    with FaultProxy(int(house.environ["REDIS_URL"].rpartition(":")[2].partition("/")[0])) as redis:
        with house.web(**AS_IN_PRODUCTION, REDIS_URL=through(house.environ["REDIS_URL"], redis.port)) as web:
            assert soon(lambda: json.loads(web.get("/readyz").body)["redis"] == "ok")
            for number, fault in enumerate(FAULTS):
                {"cut": lambda: redis.cut_after(2), "latency": lambda: redis.latency(0.5)}.get(
                    fault, getattr(redis, fault, None)
                )()
                asked, slowest = redis.accepted, 0.0
                for turn in range(number * each, (number + 1) * each):
                    messages = [spei_paid(house, spei[turn]), *oxxo_paid(house, oxxo[turn])]
                    for message in messages:
                        began = time.monotonic()
                        assert message.post(web).status == 200
                        slowest = max(slowest, time.monotonic() - began)
                        trials.done(unit="requests")
                assert redis.accepted == asked, f"{fault}: somebody asked Redis"
                for turn in range(number * each, (number + 1) * each):
                    began = time.monotonic()
                    assert create(web, house, f"redis-{turn}").status == 201  # counted or not
                    slowest = max(slowest, time.monotonic() - began)
                    trials.done(unit="requests")
                assert slowest < PATIENCE, f"{fault}: {slowest:.2f} s"
                began, ready = time.monotonic(), web.get("/readyz")
                assert ready.status == 200
                assert time.monotonic() - began < PATIENCE
                if fault == "heal":
                    assert soon(lambda: json.loads(web.get("/readyz").body)["redis"] == "ok")
                else:
                    assert json.loads(ready.body)["redis"] == "unavailable", fault
                trials.done(unit="outages" if fault != "heal" else "recoveries")

    assert_paid_once(house, [*spei, *oxxo])


def create(web, house, key):
    body = json.dumps({"method": "spei", "amount": AMOUNT, "currency": "MXN"}).encode()
    headers = {"Authorization": f"Bearer {house.api_secret}", "Idempotency-Key": key}
    return web.post("/v1/payments", body, **headers)
