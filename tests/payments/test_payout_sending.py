"""Payouts from creation to their end: money leaves exactly once, or provably not."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core import clock
from payments.models import FeeRule, Payout, ProviderCall
from payments.providers.payout import OrderStatus
from payments.services import payout_inquiry, payout_sending, provider_quota
from payments.services.provider_quota import Use
from tests.factories.payouts import balances, create, events, later, notify, order_state, sent

pytestmark = pytest.mark.usefixtures("committed_db")


def test_a_payout_is_held_sent_and_settled_by_its_notice(api, script, stp, merchant):
    FeeRule.objects.create(merchant=merchant, method="payout", percent=0, fixed=500)

    payout = create(api)
    held = balances(merchant)
    payout_sending.advance(payout.pk)
    payout.refresh_from_db()
    waiting = (payout.status, payout.send_outcome, payout.order_id)
    answer = notify(stp, order_state(payout, "LIQUIDACION"))
    repeated = notify(stp, order_state(payout, "LIQUIDACION"))
    payout.refresh_from_db()

    assert held == {"available": 100_000 - 50_580, "reserved": 50_580, "debt": 0}
    assert waiting == ("processing", "accepted", "1000")
    assert (answer.status_code, answer.json()) == (200, {"mensaje": "recibido"})
    assert repeated.content == answer.content
    assert (payout.status, payout.completed_at, payout.fee, payout.fee_tax) == (
        "completed",
        payout.liquidated_at,
        500,
        80,
    )
    assert balances(merchant) == {"available": 100_000 - 50_580, "reserved": 0, "debt": 0}
    assert events(payout) == ["created", "processing", "completed"]
    order = script.received[0]
    assert (order.amount, order.concept, order.beneficiary_name, order.beneficiary_bank) == (
        50_000,
        "Liquidacion 17",
        "Ricardo Pena",
        "40012",
    )
    assert list(ProviderCall.objects.filter(operation="send_payout").values_list("object_id", "outcome")) == [
        (payout.public_id, "accepted")
    ]


def test_sending_a_payout_costs_few_statements(api, script):
    sent(api)  # reads the balance
    payout = create(api, key="k-2")

    with CaptureQueriesContext(connection) as captured:
        payout_sending.advance(payout.pk)

    assert len(captured) <= 21, [query["sql"][:80] for query in captured.captured_queries]


def test_a_refused_payout_fails_and_its_money_is_available_again(api, script, merchant):
    script.answers = ["refuse"]

    payout = sent(api)

    assert (payout.status, payout.failure_code) == ("failed", "destination_invalid")
    assert balances(merchant) == {"available": 100_000, "reserved": 0, "debt": 0}
    assert api.get(f"/v1/payouts/{payout.public_id}").json()["failure"] == {
        "code": "destination_invalid",
        "message": "La cuenta no existe",
    }
    assert events(payout) == ["created", "processing", "failed"]


def test_an_unreached_provider_is_tried_again_with_the_same_key(api, script, merchant):
    script.answers = ["unreached", "unreached"]

    payout = sent(api)
    first = (payout.status, payout.waiting_for, payout.delayed, payout.tracking_key)
    for _ in range(2):
        payout_sending.advance(payout.pk)
    payout.refresh_from_db()

    assert first == ("processing", "provider", False, payout.tracking_key)
    assert (payout.status, payout.send_outcome, payout.sends) == ("processing", "accepted", 3)
    assert [order.tracking_key for order in script.received] == [payout.tracking_key]
    assert api.post(f"/v1/payouts/{payout.public_id}/cancel", {}, key=None).status_code == 409


def test_a_fault_of_ours_after_the_order_left_is_an_unknown_outcome(api, script):
    script.answers = ["unreadable"]

    payout = sent(api)
    payout_sending.advance(payout.pk)
    payout.refresh_from_db()

    assert (payout.status, payout.send_outcome, payout.delayed) == ("processing", "unknown", True)
    assert len(script.received) == 1


def test_a_lost_answer_is_never_sent_again_and_found_by_asking(api, script, merchant):
    """money-out.md 1 and 5: nothing is sent after an unknown outcome, and the merchant hears of the delay at once."""
    script.answers = ["lost"]

    payout = sent(api)
    unknown = (payout.status, payout.send_outcome, payout.delayed)
    payout_sending.advance(payout.pk)
    script.set(payout, OrderStatus.SETTLED)
    later(payout)

    assert unknown == ("processing", "unknown", True)
    assert (payout.status, payout.delayed, payout.order_id) == ("completed", False, "1000")
    assert len(script.received) == 1
    assert balances(merchant) == {"available": 50_000, "reserved": 0, "debt": 0}
    assert events(payout) == ["created", "processing", "delayed", "completed"]


def test_not_found_is_no_failure_before_window_two_answers_and_the_closed_day(api, script, merchant):
    """money-out.md 5."""
    script.answers = ["vanish"]
    payout = sent(api)

    states = []
    for _ in range(60):
        later(payout)
        states.append(payout.status)
        if payout.status == "failed":
            break
    begun = payout.send_started_at

    assert set(states[:-1]) == {"processing"}
    assert len(states) > 20
    assert (payout.status, payout.failure_code) == ("failed", "not_executed")
    assert payout.not_found_at is not None and begun is not None
    assert balances(merchant) == {"available": 100_000, "reserved": 0, "debt": 0}
    assert "list:" in script.questions[-1]


def test_a_hidden_order_that_appears_late_is_followed(api, script, merchant):
    script.answers = ["lost"]
    payout = sent(api)
    script.hidden.add(payout.tracking_key)
    for _ in range(3):
        later(payout)
    script.hidden.clear()
    script.set(payout, OrderStatus.SETTLED)

    later(payout)

    assert (payout.status, payout.not_found_at) == ("completed", None)
    assert balances(merchant)["reserved"] == 0


def test_three_unknown_payouts_of_a_day_are_settled_by_one_list(api, script, merchant):
    """money-out.md 6."""
    script.answers = ["lost"] * 4
    unknown = [sent(api, key=f"k-{n}", amount=1_000) for n in range(4)]
    for payout in unknown:
        script.set(payout, OrderStatus.SETTLED)
    script.questions.clear()

    later(unknown[-1], timedelta(minutes=1))

    assert [question.partition(":")[0] for question in script.questions] == ["list"]
    assert set(Payout.objects.values_list("status", flat=True)) == {"completed"}


@pytest.mark.parametrize("count", [2, 4])
def test_an_answer_that_cannot_be_applied_stops_no_other_inquiry(api, script, merchant, count):
    """One payout's answer names the order number of another one, each alone (2) and in the day's list (4)."""
    script.answers = ["lost"] * count
    payouts = [sent(api, key=f"k-{n}", amount=1_000) for n in range(count)]
    for payout in payouts:
        script.set(payout, OrderStatus.SETTLED)
    Payout.objects.filter(pk=payouts[-1].pk).update(order_id="777")
    script.orders[payouts[0].tracking_key].order_id = "777"

    later(payouts[-1], timedelta(minutes=1))

    found = list(Payout.objects.order_by("pk").values_list("status", flat=True))
    assert found == ["processing", *["completed"] * (count - 1)]
    assert Payout.objects.order_by("pk")[0].next_attempt_at > clock.now() + timedelta(minutes=50)
    assert balances(merchant)["reserved"] == 1_000


@pytest.mark.parametrize("said", ["DEVOLUCION", "Refund", "CANCELACION", "Decline", "Cancel", "algo raro"])
def test_a_notice_alone_never_takes_a_settlement_back(api, script, stp, merchant, said):
    """money-out.md 2: notices carry no signature; the provider is asked, and says that it was settled."""
    payout = sent(api)
    notify(stp, order_state(payout, "Success"))
    script.set(payout, OrderStatus.SETTLED)

    answer = notify(stp, order_state(payout, said, causaDevolucion="1"))
    later(payout)

    assert answer.json() == {"mensaje": "recibido"}
    assert payout.status == "completed"
    assert balances(merchant) == {"available": 50_000, "reserved": 0, "debt": 0}
    assert any(question.startswith("find:") for question in script.questions)


def test_settled_then_returned_is_returned_and_keeps_its_fee(api, script, stp, merchant):
    """money-out.md 2 and 8."""
    FeeRule.objects.create(merchant=merchant, method="payout", percent=0, fixed=500)
    payout = sent(api)
    notify(stp, order_state(payout, "LIQUIDACION"))
    script.set(payout, OrderStatus.RETURNED, cause=3)

    notify(stp, order_state(payout, "DEVOLUCION", causaDevolucion="3"))
    later(payout)
    notify(stp, order_state(payout, "DEVOLUCION", causaDevolucion="3"))

    body = api.get(f"/v1/payouts/{payout.public_id}").json()
    assert (body["status"], body["return"]["code"], body["return"]["cause"]) == ("returned", "account_closed", 3)
    assert balances(merchant) == {"available": 100_000 - 580, "reserved": 0, "debt": 0}
    assert events(payout) == ["created", "processing", "completed", "returned"]


def test_returned_before_it_was_settled_is_a_failure_without_fee(api, script, stp, merchant):
    """money-out.md 2 and 8."""
    FeeRule.objects.create(merchant=merchant, method="payout", percent=0, fixed=500)
    payout = sent(api)
    script.set(payout, OrderStatus.RETURNED, cause=1)
    notify(stp, order_state(payout, "DEVOLUCION", causaDevolucion="1"))
    later(payout)
    failed = (payout.status, payout.failure_code, balances(merchant))

    notify(stp, order_state(payout, "LIQUIDACION"))
    later(payout)

    assert failed == ("failed", "returned_before_settlement", {"available": 100_000, "reserved": 0, "debt": 0})
    assert payout.status == "failed"
    assert api.get(f"/v1/payouts/{payout.public_id}").json()["fee"] == 0
    assert balances(merchant) == {"available": 100_000, "reserved": 0, "debt": 0}


def test_a_settlement_after_a_failure_is_confirmed_and_booked_into_debt(api, script, stp, merchant):
    """money-out.md 2: liquidated, not returned → completed, also after failed."""
    payout = sent(api, amount=80_000)
    script.set(payout, OrderStatus.CANCELLED)
    notify(stp, order_state(payout, "CANCELACION"))
    later(payout)
    failed = payout.status, payout.failure_code
    other = sent(api, key="k-2", amount=60_000)
    notify(stp, order_state(other, "LIQUIDACION"))
    script.set(other, OrderStatus.SETTLED)
    script.set(payout, OrderStatus.SETTLED)

    notify(stp, order_state(payout, "LIQUIDACION"))
    later(payout)

    assert failed == ("failed", "provider_rejected")
    assert (payout.status, payout.needs_staff) == ("completed", "settled_after_failure")
    assert balances(merchant) == {"available": 0, "reserved": 0, "debt": 40_000}
    assert events(payout) == ["created", "processing", "failed", "completed"]


def test_a_notice_that_overtakes_our_own_answer_settles_the_payout(api, script, stp, merchant):
    payout = create(api)
    answers = []
    script.before_answer = lambda: answers.append(notify(stp, order_state(payout, "LIQUIDACION", order_id="1000")))

    payout_sending.advance(payout.pk)
    payout.refresh_from_db()

    assert answers[0].json() == {"mensaje": "recibido"}
    assert (payout.status, payout.order_id) == ("completed", "1000")
    assert balances(merchant) == {"available": 50_000, "reserved": 0, "debt": 0}


def test_already_used_is_compared_before_it_is_believed(api, script, merchant):
    """money-out.md 1: another order under our key goes to the desk."""
    payout = create(api)
    script.answers = ["duplicate"]
    payout_sending.advance(payout.pk)
    other = sent(api, key="k-2", amount=700)
    script.orders[payout.tracking_key] = script.orders.pop(other.tracking_key)
    script.orders[payout.tracking_key].status = OrderStatus.SETTLED
    known = script.orders[payout.tracking_key]
    object.__setattr__(known.order, "tracking_key", payout.tracking_key)

    later(payout)

    assert (payout.status, payout.needs_staff, payout.delayed) == ("processing", "order_differs", True)
    assert balances(merchant)["reserved"] == 50_700


def test_cancelling_releases_the_hold_once(api, script, merchant):
    payout = create(api)

    first = api.post(f"/v1/payouts/{payout.public_id}/cancel", {}, key=None)
    second = api.post(f"/v1/payouts/{payout.public_id}/cancel", {}, key=None)
    payout_sending.advance(payout.pk)

    assert (first.status_code, first.json()["status"], second.content) == (200, "cancelled", first.content)
    assert balances(merchant) == {"available": 100_000, "reserved": 0, "debt": 0}
    assert script.received == []


def test_a_process_that_was_taken_over_does_not_send(api, script, monkeypatch):
    """The first process stands still before its call; the second one sends; the first must not."""
    pending = create(api)
    begin = payout_sending._begin
    held = []

    def stand_still(payout_id):
        begun = begin(payout_id)
        if not held:
            held.append(begun)
            Payout.objects.filter(pk=payout_id).update(send_started_at=begun.send_started_at - timedelta(minutes=5))
            payout_sending.advance(payout_id)
        return begun

    monkeypatch.setattr(payout_sending, "_begin", stand_still)
    payout_sending.advance(pending.pk)
    pending.refresh_from_db()

    assert len(script.received) == 1
    assert (pending.send_outcome, pending.sends) == ("accepted", 2)


def test_a_process_that_died_while_sending_leaves_an_unknown_outcome(api, script, monkeypatch):
    pending = create(api)

    class Died(BaseException):
        pass

    def die():
        raise Died

    script.before_answer = die
    with pytest.raises(Died):
        payout_sending.advance(pending.pk)
    script.before_answer = None
    Payout.objects.filter(pk=pending.pk).update(send_started_at=clock.now() - timedelta(minutes=5))

    payout_sending.advance(pending.pk)
    pending.refresh_from_db()

    assert len(script.received) == 1
    assert (pending.status, pending.send_outcome, pending.delayed) == ("processing", "unknown", True)


def test_case_6_unknown_payouts_are_asked_about_before_claims_and_routine_ones(api, script, stp, settings, monkeypatch):
    """money-out.md 6: the most urgent first; when little of the quota is left, only they are asked about."""
    settings.PROVIDER_QUOTAS = {"efws": 20}
    monkeypatch.setattr(payout_inquiry, "LIST_FROM", 10)
    script.answers = ["accept", "accept", "lost"]
    routine, claimed, unknown = (sent(api, key=f"k-{n}", amount=1_000) for n in range(3))
    notify(stp, order_state(claimed, "DEVOLUCION"))
    asked = []

    for hours, use in ((1, None), (2, Use.ROUTINE), (3, Use.CLAIM)):
        Payout.objects.update(next_attempt_at=clock.now() - timedelta(minutes=1))
        script.questions.clear()
        with time_machine.travel(clock.now() + timedelta(hours=hours), tick=True):
            while use is not None and provider_quota.spend(stp.account, "efws", use=use):
                pass
            payout_inquiry.ask_due()
        asked.append(list(script.questions))

    everything = [f"find:{payout.tracking_key}" for payout in (unknown, claimed, routine)]
    assert asked == [everything, everything[:2], everything[:1]]


def test_an_inquiry_is_left_to_the_process_that_took_it_when_the_lease_ended(api, script, stp):
    """A provider that hangs during the first of two inquiries: the second one is made once."""
    script.answers = ["lost", "lost"]
    for number in range(2):
        sent(api, key=f"k-{number}", amount=1_000)
    Payout.objects.update(next_attempt_at=clock.now() - timedelta(minutes=1))
    script.questions.clear()

    def another_process():
        with time_machine.travel(clock.now() + 2 * payout_inquiry.LEASE, tick=True):
            payout_inquiry.ask_due()

    script.before_state = another_process
    payout_inquiry.ask_due()

    assert sorted(Counter(script.questions).values()) == [1, 2]  # the process that hung, and the one that took both


def test_a_wrong_key_delays_inquiries_by_minutes_only(api, script, stp, monkeypatch):
    script.answers = ["lost"]
    payout = sent(api)

    def without_key(*args, **options):
        raise ValueError("not a private key")

    monkeypatch.setattr(payout_inquiry.provider_client, "connect_for_payouts", without_key)
    later(payout)

    assert timedelta(minutes=3) < payout.next_attempt_at - clock.now() < timedelta(minutes=7)
