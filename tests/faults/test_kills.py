"""What was answered 2xx outlives kill -9 of web and worker and a crash of PostgreSQL at any moment, and counts once."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from http.client import HTTPException

import pytest

from tests.concurrency.threads import soon
from tests.faults.books import assert_books_are_sound, assert_paid_once, assert_settled
from tests.faults.house import AMOUNT
from tests.faults.killer import Killer
from tests.faults.traffic import Traffic, oxxo_expired, oxxo_paid, spei_paid
from tests.promises import pick

SPEI = {"method": "spei", "amount": AMOUNT, "currency": "MXN"}


def storm(house, count):
    """Pending payments of both kinds, and every notice about them: five for two payments."""
    spei, oxxo = house.orders("spei", count), house.orders("oxxo", count)
    messages = [spei_paid(house, order) for order in spei]
    messages += [message for order in oxxo for message in (*oxxo_paid(house, order), oxxo_expired(house, order))]
    return [*spei, *oxxo], messages


class Buyer(threading.Thread):
    """Creates payments one after another over the API, each under its own Idempotency-Key."""

    def __init__(self, web, house):
        super().__init__(daemon=True)
        self.web, self.house, self.ended = web, house, threading.Event()
        self.created = {}
        """Idempotency-Key -> body of the 201 that was received."""

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join(150)

    def run(self):
        number = 0
        while not self.ended.wait(0.2):
            number += 1
            try:
                answer = self.create(f"buyer-{id(self)}-{number}")
            except (OSError, HTTPException):
                continue
            if answer.status == 201:
                self.created[f"buyer-{id(self)}-{number}"] = answer.body

    def create(self, key):
        headers = {"Authorization": f"Bearer {self.house.api_secret}", "Idempotency-Key": key}
        return self.web.post("/v1/payments", json.dumps(SPEI).encode(), **headers)


def assert_nothing_lost(house, web, orders, traffic, buyer):
    """Whatever was acknowledged is there, is settled in time, and everything counts once."""
    recovery = assert_settled(house, list(traffic.acknowledged))
    assert_paid_once(house, orders)
    assert_books_are_sound(house)
    for key, body in buyer.created.items():
        answer = buyer.create(key)
        assert (answer.status, answer.body) == (201, body)
        assert answer.headers["idempotent-replayed"] == "true"
    assert len(buyer.created) > 0
    print(f"settled {recovery:.1f} s after the storm")  # noqa: T201 - pytest keeps it for a failure


@pytest.mark.promise("P1", "kill -9 of gunicorn (all, master, one process) and worker at random moments under load")
def test_killing_web_and_worker_loses_nothing_that_was_acknowledged(trials, house):
    orders, messages = storm(house, pick(50, 2_000))
    with house.web() as web, house.worker() as worker:
        killer = Killer(
            trials.random,
            ("one gunicorn process", 3, lambda: web.kill_child(trials.random.randrange(2))),
            ("gunicorn's master", 1, web.kill_leader),
            ("gunicorn", 1, web.kill),
            ("the worker", 1, worker.kill),
            ("everything", 1, lambda: (worker.kill(), web.kill())),
        )
        pause = pick(0.02, 0.05)
        with Traffic(web, messages, trials.random, pause=pause) as traffic, Buyer(web, house) as buyer:
            for _ in trials.each(quick=7, full=200, unit="kills"):
                traffic.wait_for_answers(trials.random.randint(1, 20))
                killer.strike()
                if not worker.is_running:
                    worker.stop()
                    worker.launch()
                if not web.is_running:
                    web.stop()
                    web.start()
            before = len(traffic.acknowledged)
            traffic.wait_until_done(seconds=600)
        worker.wait_ready()

        assert_nothing_lost(house, web, orders, traffic, buyer)

    assert len(killer.counts()) == 5
    assert before >= 20
    assert traffic.statuses()[None] > 0, "nothing was under way when it was killed"
    assert set(traffic.statuses()) <= {200, 503, None}
    trials.done(before, "notices acknowledged in the storm")


@pytest.mark.promise("P1", "kill -9 of the worker while it drains notices that were stored and not applied")
def test_a_worker_killed_in_the_middle_of_its_work_applies_everything_once(trials, house):
    orders = house.orders("oxxo", pick(600, 4_000))
    messages = [oxxo_paid(house, order)[0] for order in orders]
    left = "SELECT count(*) FROM webhooks_providerevent WHERE status IN ('received', 'retry') AND event_id = ANY(%s)"
    ids = [message.event_id for message in messages]

    def still_open():
        return house.query(left, ids)[0][0]

    with house.worker() as worker:
        killer = Killer(trials.random, ("the worker", 1, worker.kill), within=0.1)
        rounds, in_the_middle = pick(2, 20), 0
        for number in trials.each(quick=2, full=20, unit="kills"):
            batch = [message.body for message in messages[number::rounds]]
            waiting = still_open() + len(batch)
            house.store_unapplied(batch)
            assert soon(lambda waiting=waiting: still_open() < waiting, seconds=120)
            killer.strike()
            in_the_middle += still_open() > 0
            worker.start()

        assert_settled(house, ids)

    assert in_the_middle > 0
    assert_paid_once(house, orders)
    assert_books_are_sound(house)
    once = "SELECT status, attempts, count(*) FROM webhooks_providerevent WHERE event_id = ANY(%s) GROUP BY 1, 2"
    assert house.query(once, ids) == [("processed", 1, len(ids))]


@pytest.mark.promise("P1", "PostgreSQL stopped immediately and started again, under load")
def test_a_crash_of_postgresql_loses_nothing_that_was_acknowledged(trials, house):
    settings = "SELECT current_setting(name) FROM unnest(%s::text[]) AS name"
    durable = ["fsync", "full_page_writes", "synchronous_commit"]
    assert house.query(settings, durable) == [("on",)] * 3
    orders, messages = storm(house, pick(40, 1_000))
    with house.web() as web, house.worker() as worker:
        with Traffic(web, messages, trials.random, pause=0.02) as traffic, Buyer(web, house) as buyer:
            for number in trials.each(quick=2, full=30, unit="immediate restarts"):
                traffic.wait_for_answers(trials.random.randint(1, 20))
                time.sleep(trials.random.uniform(0, 0.3))
                house.postgres.restart("kill -9" if number % 5 == 1 else "immediate")
            before = len(traffic.acknowledged)
            traffic.wait_until_done(seconds=600)
        assert worker.is_running, worker.log.read_text()

        assert_nothing_lost(house, web, orders, traffic, buyer)

    statuses = Counter(traffic.statuses())
    assert set(statuses) <= {200, 503}, statuses
    assert statuses[503] > 0
    trials.done(before, "notices acknowledged in the storm")
