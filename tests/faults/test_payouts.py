"""Payouts through the simulated STP over HTTP, by a real web process and a worker that dies while it sends."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager

import pytest
from django.db.models import Count, Sum

from core import clock
from ledger.services import balance
from payments.models import Payout, ProviderCall
from payments.services import payout_sending
from tests.concurrency.threads import soon
from tests.factories.payouts import balances
from tests.faults.killer import Killer
from tests.payout_site import MONEY, lapse
from tests.payout_site import payout_site as payout_site  # noqa: PLC0414 - a fixture
from tests.promises import pick

pytest_plugins = ["tests.sandbox_process"]

REGISTER = "/stp/speiws/rest/ordenPago/registra"


def is_completed(payout):
    return payout["status"] == "completed"


def has_ended(payout):
    return payout["status"] in ("completed", "failed", "returned")


def types_of_events(site, payout):
    page = json.loads(site.ask("GET", "/v1/events?after_sequence=0&limit=100").body)
    about = [one for one in page["data"] if one["data"]["object"]["id"] == payout["id"]]
    return [one["type"].removeprefix("payout.") for one in about]


def assert_cash_is_at_stp(site):
    assert balance.of_platform(livemode=False)["stp_cash"] == site.at_stp.balance()


def test_payouts_settle_return_are_refused_and_are_found_after_a_lost_answer(payout_site, merchant):
    """One running site: each outcome that a merchant can choose, and an answer that is lost (magic centavos .10)."""
    site = payout_site
    site.at_stp.configure(pace=0.3)
    lost = site.create(amount=10_010)
    site.until(lost, lambda found: found["delayed"])
    silent = site.decide(lost, "silence")
    settled, returned = site.create(amount=20_000), site.create(amount=30_004)
    refused = site.create(amount=40_005)
    later = site.create(amount=50_000)

    ends = [site.until(one, has_ended) for one in (settled, refused, lost, later)]
    ends.append(site.until(returned, lambda found: found["status"] == "returned"))
    sent_back = site.decide(later, "return")
    again = site.until(later, lambda found: found["status"] == "returned")

    assert (silent.status, json.loads(silent.body)) == (
        202,
        {"object": "simulated_outcome", "payout": lost["id"], "outcome": "silence"},
    )
    assert [one["status"] for one in ends] == ["completed", "failed", "completed", "completed", "returned"]
    assert (ends[1]["failure"]["code"], ends[4]["return"]["code"]) == ("provider_rejected", "account_not_found")
    assert (sent_back.status, again["return"]["cause"]) == (202, 1)
    assert balances(merchant) == {"available": MONEY - 30_010, "reserved": 0, "debt": 0}
    assert sorted(len(order["notices"]) for order in site.at_stp.orders().values()) == [0, 1, 1, 2, 2]
    assert_cash_is_at_stp(site)
    assert soon(lambda: types_of_events(site, lost) == ["created", "processing", "delayed", "completed"])


def test_a_test_payout_can_be_decided_before_it_is_sent_and_not_after_its_end(payout_site):
    site = payout_site
    site.worker.kill()
    chosen = {outcome: site.create() for outcome in ("settle", "return", "reject", "silence")}
    told = [site.decide(payout, outcome).status for outcome, payout in chosen.items()]
    withdrawn = site.create()
    site.ask("POST", f"/v1/payouts/{withdrawn['id']}/cancel", {})

    site.worker.start()
    ends = {
        "settle": "completed",
        "return": "returned",
        "reject": "failed",
        "silence": "processing",
    }
    for outcome, payout in chosen.items():
        site.until(payout, lambda found, end=ends[outcome]: found["status"] == end)
    soon(lambda: bool(site.at_stp.orders()[chosen["silence"]["tracking_key"]]["is_final"]))

    assert told == [202] * 4
    assert site.read(chosen["reject"])["failure"]["code"] == "bank_unavailable"
    assert site.read(chosen["silence"])["status"] == "processing"
    refused = [(withdrawn, "settle"), (chosen["reject"], "return"), (chosen["settle"], "silence")]
    answers = [json.loads(site.decide(payout, outcome).body) for payout, outcome in refused]
    assert [answer["code"] for answer in answers] == ["illegal_transition"] * 3
    assert [answer["detail"] for answer in answers] == [
        "Esta dispersión terminó; ya no le pasa nada más.",
        "Esta dispersión terminó; ya no le pasa nada más.",
        "Esta dispersión se completó; solo puede ser devuelta.",
    ]
    wrong = site.decide(chosen["silence"], "vanish")
    assert (wrong.status, [error["field"] for error in json.loads(wrong.body)["errors"]]) == (400, ["outcome"])
    assert soon(lambda: ask_all() == 0)
    assert_cash_is_at_stp(site)


@pytest.mark.promise("P4", "the worker killed while it sends, STP accepting in silence: one order per payout")
def test_a_killed_worker_sends_no_payout_twice_and_fails_none_that_left(payout_site, trials, merchant):
    """money-out.md 4: STP takes orders in silence; what a dead worker left open is asked about."""
    site, batch, seen = payout_site, 4, set()
    at_stp = site.at_stp
    at_stp.configure(pace=3_600, chances={"silence": 1.0})
    killer = Killer(trials.random, ("the worker", 1, site.worker.kill), within=1.0)

    with slow_answers(at_stp, seconds=0.3):
        for _ in trials.each(quick=3, full=75, unit="kills"):
            for _ in range(batch):
                site.create(amount=1_000 * (1 + trials.random.randrange(100)) + 50)
            killer.strike()
            lapse()
            site.worker.start()
            payout_sending.advance_due()
            seen |= set(site.statuses().items())
        assert soon(all_were_sent, seconds=pick(180, 1_200))
    count = batch * len(killer.history)
    orders = at_stp.orders()
    held = Payout.objects.aggregate(held=Sum("amount"))["held"]
    assert balances(merchant) == {"available": MONEY - held, "reserved": held, "debt": 0}

    for tracking_key in orders:
        at_stp.change(tracking_key, final="settle", notify=False)

    assert soon(lambda: ask_all(seen, site) == count - len(orders), seconds=pick(180, 1_200))
    statuses, amounts = site.statuses(), dict(Payout.objects.values_list("tracking_key", "amount"))
    unsent = amounts.keys() - orders.keys()  # killed between the row of the call and the call
    assert len(at_stp.order_list()) == len(orders)
    assert {key: order["amount"] for key, order in orders.items()} == {key: amounts[key] for key in orders}
    assert most_sends() == 1
    assert len(statuses) == count
    assert {statuses[key] for key in orders} == {"completed"}
    assert {statuses[key] for key in unsent} <= {"processing"}
    assert [key for key, status in seen if status == "failed"] == []
    still_held, spent = sum(amounts[key] for key in unsent), sum(order["amount"] for order in orders.values())
    assert balances(merchant) == {"available": MONEY - spent - still_held, "reserved": still_held, "debt": 0}
    assert_cash_is_at_stp(site)


def ask_all(seen=None, site=None):
    """Let the worker ask about every payout that is open, at once; how many still are."""
    still = Payout.objects.filter(status="processing")
    still.update(next_attempt_at=clock.now())
    payout_sending.advance_due()
    time.sleep(1)
    if seen is not None:
        seen |= set(site.statuses().items())
    return still.count()


def all_were_sent():
    """No payout waits to be sent; those of a dead process are taken over."""
    payout_sending.advance_due()
    return not Payout.objects.filter(send_outcome__in=["", "sending", "not_sent"]).exists()


def most_sends():
    """The most requests of one payout that may have reached STP."""
    calls = ProviderCall.objects.filter(operation="send_payout").exclude(outcome="not_sent")
    return max(calls.values("object_id").annotate(count=Count("id")).values_list("count", flat=True))


@contextmanager
def slow_answers(at_stp, *, seconds):
    """STP takes its time with every order."""
    client = at_stp.simulator.client
    fault = {"kind": "delay", "path": REGISTER, "seconds": seconds, "times": 10_000}
    client.post("/_sim/faults", json=fault).raise_for_status()
    try:
        yield
    finally:
        client.delete("/_sim/faults").raise_for_status()
