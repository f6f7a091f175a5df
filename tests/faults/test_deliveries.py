"""Webhooks to merchants while the worker is killed, and while some receivers are slow, endless or silent."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from standardwebhooks.webhooks import Webhook

from tests.concurrency.threads import soon
from tests.faults.house import DATABASE, House
from tests.faults.killer import Killer
from tests.promises import pick
from tests.webhooks.outbound.receiver import Receiver, repeats, stays_silent

GOOD = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass
class Shop:
    """A merchant with an endpoint: what happened to it, and what its receiver got."""

    pk: int
    merchant: int
    secret: str
    receiver: Receiver
    sent: dict[str, float] = field(default_factory=dict)
    """Event id -> moment after its commit."""
    got: dict[str, list[float]] = field(default_factory=dict)
    """Event id -> moments of its arrivals."""

    def happens(self, connection: psycopg.Connection, number: int) -> None:
        """Commit an event."""
        event = f"evt_{self.pk}n{number}"
        connection.execute(
            "INSERT INTO merchants_event"
            " (public_id, merchant_id, livemode, type, object_id, object_sequence, data, created_at, sequence)"
            " VALUES (%s, %s, false, 'payment.created', %s, 1, %s, now(), 0)",
            [event, self.merchant, f"pay_{self.pk}n{number}", '{"object": {}, "previous": {}}'],
        )
        self.sent[event] = time.monotonic()

    def takes(self, connection: socket.socket) -> None:
        """Verify one delivery with the public library, after a moment in which the worker may be killed."""
        head, _, body = self.receiver.current[threading.get_ident()].partition(b"\r\n\r\n")
        headers = dict(re.findall(r"^([\w-]+): (.*?)\r?$", head.decode(), re.M))
        event = Webhook(self.secret).verify(body, headers)
        assert event["id"] == headers["webhook-id"]
        self.got.setdefault(event["id"], []).append(time.monotonic())
        time.sleep(0.01)
        connection.sendall(GOOD)


@contextmanager
def shops(house: House, count: int) -> Iterator[list[Shop]]:
    with ExitStack() as stack:
        receivers = [Receiver() for _ in range(count)]
        for receiver in receivers:
            stack.callback(receiver.close)
        made: Sequence[dict[str, Any]] = house.seed(urls=[receiver.url for receiver in receivers])
        found = [Shop(**each, receiver=receiver) for each, receiver in zip(made, receivers, strict=True)]
        for shop in found:
            shop.receiver.answer = shop.takes
        yield found


def connected(house: House) -> psycopg.Connection:
    return psycopg.connect(house.postgres.url("payments_app", DATABASE), autocommit=True)


@pytest.mark.promise("P15", "kill -9 of the worker amid deliveries: each event arrives, verified, and is delivered")
def test_a_killed_worker_loses_no_delivery(trials, house):
    events = 30
    with (
        shops(house, pick(5, 20)) as made,
        connected(house) as database,
        house.worker(WEBHOOK_ALLOW_HTTP="1") as worker,
    ):
        killer = Killer(trials.random, ("the worker", 1, worker.kill), within=0.1)
        for number in trials.each(quick=5, full=200, unit="kills"):
            shop = made[number % len(made)]
            before = len(shop.got)
            for each in range(events):
                shop.happens(database, number * events + each)
            assert soon(lambda shop=shop, before=before: len(shop.got) >= before + 3)
            killer.strike()
            worker.start()
        keys = [shop.pk for shop in made]
        open_rows = "SELECT count(*) FROM webhooks_delivery WHERE endpoint_id = ANY(%s) AND status <> 'delivered'"
        assert soon(lambda: house.query(open_rows, keys) == [(0,)])

    rows = house.query("SELECT status, count(*) FROM webhooks_delivery WHERE endpoint_id = ANY(%s) GROUP BY 1", keys)
    assert rows == [("delivered", sum(len(shop.sent) for shop in made))]
    assert [shop.got.keys() for shop in made] == [shop.sent.keys() for shop in made]
    interrupted = (
        "SELECT count(*) FROM webhooks_deliveryattempt a JOIN webhooks_delivery d ON d.id = a.delivery_id"
        " WHERE d.endpoint_id = ANY(%s) AND a.error = 'interrupted'"
    )
    assert house.query(interrupted, keys)[0][0] > 0, "no kill struck amid an attempt"
    trials.done(rows[0][1], unit="deliveries")


@pytest.mark.promise("P17", "receivers that drip, never end or never answer, beside others", unit="kinds of receivers")
def test_slow_endless_and_silent_receivers_do_not_delay_others(house):
    hostile = [
        repeats(b"HTTP/1.1 200 OK\r\nX-Drip: ", b"x", pause=1.0),
        repeats(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", b"x" * 65_536),
        stays_silent,
        repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.5),
    ]
    with (
        shops(house, len(hostile) + 4) as made,
        connected(house) as database,
        house.worker(WEBHOOK_ALLOW_HTTP="1") as worker,
    ):
        for shop, answer in zip(made, hostile, strict=False):
            shop.receiver.answer = answer
        good, percentiles = made[len(hostile) :], []
        for trial in range(3):  # the best of them: the machine may be busy
            began = time.monotonic()
            for number in range(30):
                for shop in made:
                    shop.happens(database, trial * 30 + number)
                time.sleep(0.2)
            assert soon(lambda: all(shop.got.keys() == shop.sent.keys() for shop in good))
            waits = sorted(
                shop.got[event][0] - sent for shop in good for event, sent in shop.sent.items() if sent >= began
            )
            percentiles.append(waits[int(0.95 * len(waits))])
            if percentiles[-1] < 1.0:
                break

        assert min(percentiles) < 1.0
        assert all(shop.receiver.connections > 1 for shop in made[: len(hostile)])
        worker.kill()  # it would wait for the requests in flight
