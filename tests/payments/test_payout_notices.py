"""Notices about payouts that are forged, contradict what is known, or are about what was never sent."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from core import clock
from payments.models import Payout
from payments.providers.payout import OrderStatus
from payments.services import liquidity, payout_inquiry, payout_sending
from tests.concurrency.threads import at_once
from tests.factories.payouts import balances, create, later, notify, order_state, sent

pytestmark = pytest.mark.usefixtures("committed_db")


def test_a_forged_return_costs_few_questions_and_not_one_a_minute(api, script, stp):
    payout = sent(api)
    notify(stp, order_state(payout, "LIQUIDACION"))
    script.set(payout, OrderStatus.SETTLED)
    notify(stp, order_state(payout, "DEVOLUCION", causaDevolucion="1"))
    script.questions.clear()

    for minute in range(600):
        if minute % 10 == 0:
            with time_machine.travel(clock.now() + timedelta(minutes=minute), tick=True):
                payout_inquiry.ask_due()
    payout.refresh_from_db()

    assert len(script.questions) <= 6
    assert (payout.status, payout.next_attempt_at) == ("completed", None)


def test_a_return_that_arrives_before_its_settlement_is_asked_about_all_the_same(api, script, stp, merchant):
    """Both notices leave at once; the settlement, booked at once, must not drop the inquiry about the return."""
    payout = sent(api)
    script.set(payout, OrderStatus.RETURNED, cause=1)
    notify(stp, order_state(payout, "DEVOLUCION", causaDevolucion="1"))
    notify(stp, order_state(payout, "LIQUIDACION"))
    payout.refresh_from_db()
    settled = (payout.status, payout.claim)

    later(payout)

    assert settled == ("completed", "returned")
    assert (payout.status, payout.claim, payout.next_attempt_at) == ("returned", "", None)
    assert balances(merchant) == {"available": 100_000, "reserved": 0, "debt": 0}


def test_an_answer_that_is_older_than_a_notice_does_not_answer_it(api, script, stp):
    payout = sent(api)
    script.set(payout, OrderStatus.SETTLED)

    def meanwhile():
        script.set(payout, OrderStatus.RETURNED, cause=1)
        notify(stp, order_state(payout, "DEVOLUCION", causaDevolucion="1"))

    script.before_state = meanwhile
    later(payout)
    stale = (payout.status, payout.inquiries)
    later(payout)

    assert stale == ("completed", 0)
    assert payout.status == "returned"


def test_a_return_that_the_provider_does_not_confirm_yet_is_asked_about_again_soon(api, script, stp):
    payout = sent(api)
    notify(stp, order_state(payout, "LIQUIDACION"))
    script.set(payout, OrderStatus.SETTLED)
    notify(stp, order_state(payout, "DEVOLUCION"))

    payout_inquiry.ask_due()
    payout.refresh_from_db()
    waits = payout.next_attempt_at - clock.now()
    script.set(payout, OrderStatus.RETURNED)
    later(payout)

    assert timedelta(seconds=10) < waits <= timedelta(seconds=15)
    assert payout.status == "returned"


@pytest.mark.parametrize(("answer", "outcome"), [("accept", "accepted"), ("unreached", "unknown")])
def test_a_return_that_overtakes_our_own_answer_is_asked_about_at_once(api, script, stp, answer, outcome):
    payout = create(api)
    script.answers = [answer]
    overtakes = lambda: notify(stp, order_state(payout, "DEVOLUCION", order_id="1000"))  # noqa: E731
    script.before_answer = overtakes

    payout_sending.advance(payout.pk)
    payout.refresh_from_db()

    assert (payout.send_outcome, payout.claim) == (outcome, "returned")
    assert payout.next_attempt_at <= clock.now() + timedelta(seconds=15)


def test_processes_that_inquire_at_once_ask_about_a_payout_once(api, script):
    payout = sent(api)
    Payout.objects.update(next_attempt_at=clock.now())
    script.questions.clear()

    at_once([payout_inquiry.ask_due] * 4)

    payout.refresh_from_db()
    assert (script.questions, payout.inquiries) == ([f"find:{payout.tracking_key}"], 1)


def test_a_payout_whose_order_differs_is_asked_about_on_schedule(api, script):
    payout = sent(api)
    object.__setattr__(script.orders[payout.tracking_key].order, "amount", 1)
    later(payout)
    Payout.objects.update(next_attempt_at=clock.now())
    asked = len(script.questions)

    for _ in range(3):
        payout_inquiry.ask_due()

    payout.refresh_from_db()
    assert (payout.needs_staff, len(script.questions)) == ("order_differs", asked + 1)
    assert payout.next_attempt_at > clock.now()


def test_a_forged_order_number_does_not_hide_the_true_one(api, script, stp, merchant):
    script.answers = ["lost"]
    payout = sent(api)
    notify(stp, order_state(payout, "DEVOLUCION", order_id="999"))

    notify(stp, order_state(payout, "LIQUIDACION", order_id="1000"))
    payout.refresh_from_db()

    assert (payout.status, payout.order_id) == ("completed", "1000")
    assert balances(merchant)["reserved"] == 0


def test_a_settlement_under_another_order_number_is_asked_about(api, script, stp):
    payout = sent(api)

    notify(stp, order_state(payout, "LIQUIDACION", order_id="999"))
    payout.refresh_from_db()
    asked = (payout.status, payout.order_id, payout.next_attempt_at <= clock.now())

    assert asked == ("processing", "1000", True)


@pytest.mark.parametrize("said", ["LIQUIDACION", "DEVOLUCION"])
def test_a_payout_that_is_reported_before_it_was_sent_waits_for_a_person(api, script, stp, said):
    """money-out.md 29: sent before a backup was restored, it must not be sent again."""
    payout = create(api)

    answer = notify(stp, order_state(payout, said, order_id="1000"))
    payout_sending.advance(payout.pk)
    payout.refresh_from_db()

    assert answer.json() == {"mensaje": "recibido"}
    assert (payout.status, payout.waiting_for, payout.needs_staff) == ("pending", "gate", "reported_unsent")
    assert script.received == []


def test_a_payout_that_seemed_unsent_is_asked_about_when_the_provider_reports_it(api, script, stp):
    script.answers = ["unreached"]
    payout = sent(api)

    notify(stp, order_state(payout, "CANCELACION", order_id="1000"))
    payout_sending.advance(payout.pk)
    payout.refresh_from_db()

    assert (payout.send_outcome, script.received) == ("unknown", [])
    assert script.questions[-1] == f"find:{payout.tracking_key}"


def test_a_refusal_that_people_must_see_stays_on_the_desk(api, script):
    script.answers = ["pld"]

    payout = sent(api)

    assert (payout.status, payout.failure_code, payout.needs_staff) == (
        "failed",
        "compliance_rejected",
        "compliance_rejected",
    )


def test_an_order_that_cannot_be_written_waits_and_is_marked_for_people(api, script):
    script.answers = ["unwritable"]

    payout = sent(api)

    assert (payout.status, payout.send_outcome, payout.waiting_for) == ("processing", "not_sent", "provider")
    assert (payout.needs_staff, payout.send_detail) == ("configuration", "the ordering name cannot be written")


def test_a_payout_that_waits_on_another_day_reads_no_list(api, script):
    script.answers = ["unreached"]
    payout = sent(api)
    script.amount = 1

    with time_machine.travel(clock.now() + timedelta(days=4), tick=True):
        for _ in range(3):
            payout_sending.advance(payout.pk)

    assert [question for question in script.questions if question.startswith("list")] == []
    payout.refresh_from_db()
    assert payout.waiting_for == "liquidity"


def test_a_send_that_died_before_its_call_reads_the_old_list_on_another_day(api, script):
    payout = create(api)
    assert liquidity.read(payout.provider_account)
    assert payout_sending._begin(payout.pk) is not None  # and the process died
    payout.refresh_from_db()
    first = payout.operating_date

    with time_machine.travel(clock.now() + timedelta(days=4), tick=True):
        payout_sending.advance(payout.pk)
    payout.refresh_from_db()

    assert script.questions.count(f"list:{first}") == 1
    assert (payout.send_outcome, payout.operating_date > first, len(script.received)) == ("accepted", True, 1)


def test_money_of_a_payout_that_is_sent_again_is_no_longer_spendable(api, script):
    script.answers = ["unreached"]
    payout = sent(api)
    with time_machine.travel(clock.now() + timedelta(minutes=10), tick=True):
        assert liquidity.read(payout.provider_account)
        payout_sending.advance(payout.pk)

        assert liquidity.spendable(payout.provider_account) == script.amount - payout.amount

    assert Payout.objects.get().send_outcome == "accepted"
