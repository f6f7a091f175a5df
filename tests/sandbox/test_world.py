"""The simulators' clock, chance and faults: set from outside, so that a test sees what a bad day does."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from sandbox.storage import Storage
from sandbox.world import World
from tests.concurrency.threads import at_once

from .process import ROOT, Receiver, Simulator, wait_for
from .test_conekta import Api, order_body
from .test_stp import configure, send, shown


@pytest.fixture
def sim(simulator: Simulator) -> Iterator[Simulator]:
    """The module's simulator, set right again afterwards."""
    yield simulator
    simulator.client.put("/_sim/clock", json={"shift": 0})
    simulator.client.delete("/_sim/faults")


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    """The simulators' memory, without a process around it."""
    opened = Storage(tmp_path)
    yield opened
    opened.close()


def fault(sim: Simulator, **wanted: object) -> dict[str, object]:
    answer = sim.client.post("/_sim/faults", json={"path": "/conekta/orders", **wanted})
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_a_moved_clock_expires_what_is_due_then(sim: Simulator, receiver: Receiver) -> None:
    api = Api(sim, receiver)
    order = api.order()

    answer = sim.client.put("/_sim/clock", json={"shift": 2 * 3600}).json()

    wait_for(lambda: receiver.bodies("order.expired"))
    assert api.get(f"orders/{order['id']}")["payment_status"] == "expired"
    assert datetime.fromisoformat(answer["now"]) - datetime.now().astimezone() > timedelta(hours=1.9)


@pytest.mark.parametrize("shift", [None, "1", True, 1e12, [1]])
def test_a_clock_that_cannot_be_read_is_refused(sim: Simulator, shift: object) -> None:
    answer = sim.client.put("/_sim/clock", json={"shift": shift})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_field")
    assert sim.client.get("/_sim/clock").json()["shift"] == 0


def test_one_seed_gives_the_same_chance_again() -> None:
    def drawn(seed: int | None) -> list[object]:
        world = World(seed)
        return [world.below(10**12), world.choice("abcdefgh"), world.hex(8)]

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert drawn(None) != drawn(None)
    assert all(len(World(seed).hex(5)) == 10 for seed in range(300))


def test_the_seed_reaches_what_the_simulators_invent(tmp_path: Path) -> None:
    script = (
        "import sys; from sandbox.stp import _notice; from sandbox.world import World\n"
        "world = World(int(sys.argv[1])); print(_notice(world, {}, '646180157000000004', 'E', world.moment())['id'])"
    )

    def invented(seed: str) -> str:
        return subprocess.run([sys.executable, "-c", script, seed], cwd=ROOT, capture_output=True, text=True).stdout

    assert invented("1") == invented("1") != invented("2")


def test_a_lost_answer_has_its_effect_and_a_lost_request_has_none(sim: Simulator, receiver: Receiver) -> None:
    api = Api(sim, receiver)
    for kind in ("lose_answer", "lose_request"):
        fault(sim, kind=kind, method="POST")
        with pytest.raises(httpx2.HTTPError):
            api.call("POST", "orders", order_body(metadata={"payment_id": kind}))

    listed = api.get("orders")["data"]

    assert [order["metadata"]["payment_id"] for order in listed] == ["lose_answer"]
    assert sim.client.get("/_sim/faults").json() == {"data": []}


def test_a_status_and_garbage_are_answered_as_often_as_ordered(sim: Simulator, receiver: Receiver) -> None:
    api = Api(sim, receiver)
    fault(sim, kind="status", status=503, body="busy", times=2)
    fault(sim, kind="garbage", body="<html>")

    answers = [api.call("GET", "orders") for _ in range(4)]

    assert [(a.status_code, a.text[:6]) for a in answers[:3]] == [(503, "busy"), (503, "busy"), (200, "<html>")]
    assert (answers[3].status_code, answers[3].json()["data"]) == (200, [])


def test_a_delay_holds_only_what_it_is_ordered_for(sim: Simulator, receiver: Receiver) -> None:
    api = Api(sim, receiver)
    fault(sim, kind="delay", seconds=1.5)

    begun = time.monotonic()
    other = sim.client.get("/_sim/health").status_code
    at_once_took = time.monotonic() - begun
    answer = api.call("GET", "orders")

    assert (other, answer.status_code) == (200, 200)
    assert time.monotonic() - begun >= 1.5 > at_once_took


@pytest.mark.parametrize(
    "wanted",
    [
        {"kind": "explode"},
        {"kind": "delay", "seconds": 1000},
        {"kind": "status", "status": 99},
        {"kind": "status", "times": 0},
        {"kind": "status", "method": "get"},
        {"kind": "status", "path": "("},
        {"kind": "status", "path": "/_sim/faults"},
        {"kind": "status", "path": 7},
        {"kind": "status", "pth": "x"},
        {"kind": "status", "id": 1},
    ],
)
def test_a_fault_that_cannot_be_is_refused(sim: Simulator, wanted: dict[str, object]) -> None:
    answer = sim.client.post("/_sim/faults", json={"path": "/conekta/orders", **wanted})

    assert answer.status_code == 422, answer.text
    assert sim.client.get("/_sim/faults").json() == {"data": []}


def test_reads_wait_for_no_writer(storage: Storage) -> None:
    with storage.transaction() as db:
        db.execute("INSERT INTO stp_key VALUES ('E', 'k')")

    with storage.transaction() as db:
        db.execute("UPDATE stp_key SET public_key = 'other'")
        seen = at_once([lambda: _key(storage)] * 4)

    assert seen == ["k"] * 4
    assert _key(storage) == "other"


def test_a_reader_cannot_write(storage: Storage) -> None:
    with storage.reading() as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("INSERT INTO stp_key VALUES ('E', 'k')")


def _key(storage: Storage) -> str:
    with storage.reading() as db:
        return str(db.execute("SELECT public_key FROM stp_key").fetchone()[0])


def test_a_deposit_follows_the_moved_clock(sim: Simulator, receiver: Receiver) -> None:
    configure(sim, receiver)
    sim.client.put("/_sim/clock", json={"shift": 30 * 86_400})

    deposit = send(sim)

    notice = shown(sim, deposit)["notice"]
    ahead = int(notice["tsLiquidacion"]) / 1000 - time.time()
    assert 29 * 86_400 < ahead < 31 * 86_400
