"""kill -9 of the whole site while a payment is being made: the retry makes one, and both ask for the same."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import psycopg
import pytest

from tests.concurrency.threads import soon
from tests.faults.house import DATABASE

SPEI = json.dumps({"method": "spei", "amount": 10_000, "currency": "MXN"}).encode()
_WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'merchants_event'::regclass"
_AT_WORK = "SELECT FROM pg_stat_activity WHERE usename = 'payments_app' AND state = 'active'"
_COUNTS = "SELECT (SELECT count(*) FROM payments_payment), (SELECT count(*) FROM merchants_event)"


def create(web, house, key):
    """The answer to a payment's creation, or None if none came."""
    try:
        return web.post("/v1/payments", SPEI, Authorization=f"Bearer {house.api_secret}", **{"Idempotency-Key": key})
    except (OSError, HTTPException):
        return None


@pytest.mark.promise("P9", "kill -9 while a payment is being made, then the same request again")
def test_a_kill_in_the_middle_and_a_retry_make_one_payment(web, house, trials):
    for number in trials.each(quick=2, full=60, unit="kills"):
        key = f"killed-{trials.seed}-{number}"
        ((payments, events),) = house.query(_COUNTS)
        with ThreadPoolExecutor(1) as sender:
            if number % 2:  # anywhere, also between the commit and the answer
                sender.submit(create, web, house, key)
                time.sleep(trials.random.uniform(0, 0.06))
                web.kill()
            else:  # certainly in the middle: its event cannot be written yet, and nobody is left who would hear of it
                with psycopg.connect(house.postgres.url("payments_owner", DATABASE)) as holder:
                    holder.execute("LOCK TABLE merchants_event IN SHARE MODE")
                    sender.submit(create, web, house, key)
                    assert soon(lambda: house.query(_WAITING)[0][0] > 0)
                    web.kill()
                assert soon(lambda: house.query(_WAITING)[0][0] == 0)
                # COMMIT went along with the statement: PostgreSQL may carry both out. All of it, or nothing.
                assert soon(lambda: not house.query(_AT_WORK))
                ((keys,),) = house.query("SELECT count(*) FROM merchants_idempotencykey WHERE key = %s", key)
                assert house.query(_COUNTS) == [(payments + keys, events + keys)]
        web.start()

        first, second = create(web, house, key), create(web, house, key)

        assert first.status == second.status == 201
        assert first.body == second.body
        assert second.headers["idempotent-replayed"] == "true"
        assert house.query(_COUNTS) == [(payments + 1, events + 1)]
        made = house.query("SELECT state, object_id FROM merchants_idempotencykey WHERE key = %s", key)
        assert made == [("completed", json.loads(first.body)["id"])]
