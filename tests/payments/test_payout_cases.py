"""The decided cases of money-out.md that no other module of payouts shows, by their numbers.

1, 2, 5, 6: ``test_payout_sending``, ``test_payout_waiting``, ``test_payout_resolution``; 3, 8, 12:
``test_payout_returns``.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.db import transaction

from core import calendar, clock, ids
from core.state import Origin, TransitionRow
from core.unit_of_work import unit_of_work
from kyc.services import case as kyc_case
from ledger.models import Breach, Transaction
from ledger.services import hold
from ledger.services.journal import PostingTime
from merchants.models import Event, Merchant
from payments.models import FeeRule, Payout, ProviderAccount
from payments.models.payout import new_tracking_key
from payments.providers.payout import OrderStatus
from payments.services import payout as payout_service
from payments.services import payout_sending
from payments.services.transition import record_payout
from tests.factories import payouts, refunds
from tests.factories.payouts import CLABE, balances, create, events, later, notify, order_state, sent, wanted
from tests.problems import assert_problem

pytestmark = pytest.mark.usefixtures("committed_db")

ORIGIN = Origin(TransitionRow.Cause.API, "key_test")


def test_case_4_what_cannot_be_sent_now_waits_and_what_the_caller_must_mend_is_refused(api, script, merchant):
    """money-out.md 4: gate, suspended later, provider down, too little money there: none of them is a failure."""
    payout, reasons = create(api), []

    def look(minutes=0):
        with time_machine.travel(clock.now() + timedelta(minutes=minutes), tick=True):
            payout_sending.advance(payout.pk)
        payout.refresh_from_db()
        reasons.append(payout.waiting_for or payout.status)

    script.is_down = True
    look()
    script.is_down, script.amount = False, 1
    look(minutes=2)
    script.amount = 10**12
    Merchant.objects.filter(pk=merchant.pk).update(status="suspended")
    look(minutes=4)
    refused = api.post("/v1/payouts", wanted(), key="k-2")
    Merchant.objects.filter(pk=merchant.pk).update(status="active")
    breach = Breach.objects.create(invariant="covered", message="a test", merchant=merchant, livemode=False)
    look(minutes=4)
    accepted = api.post("/v1/payouts", wanted(amount=1_000), key="k-3")
    Breach.objects.filter(pk=breach.pk).update(cleared_at=clock.now())
    look(minutes=4)

    assert reasons == ["provider", "liquidity", "merchant", "gate", "processing"]
    assert_problem(refused, 403, "merchant_suspended")
    assert accepted.status_code == 202
    assert events(payout)[-1] == "processing"
    assert len(script.received) == 1


def test_case_5_a_payout_that_only_never_arrived_is_delayed_after_an_hour(api, script):
    """money-out.md 5: at once for an unknown outcome (``test_payout_sending``)."""
    script.answers = ["unreached"] * 3
    payout, delays = create(api), []

    for minutes in (0, 59, 61):
        with time_machine.travel(clock.now() + timedelta(minutes=minutes), tick=True):
            payout_sending.advance(payout.pk)
        payout.refresh_from_db()
        delays.append((payout.send_outcome, payout.delayed))

    assert delays == [("not_sent", False), ("not_sent", False), ("not_sent", True)]
    assert events(payout).count("delayed") == 1


def test_case_7_the_order_says_who_sends_it_and_without_that_nothing_is_accepted(api, script, stp):
    """money-out.md 7: STP answers -200 to an order without an ordering account."""
    sent(api)
    ProviderAccount.objects.filter(pk=stp.account.pk).update(ordering_clabe="")

    refused = api.post("/v1/payouts", wanted(), key="k-2")

    order = script.received[0]
    assert (order.ordering_clabe, order.ordering_name, order.ordering_tax_id) == (
        "646180157000000004",
        "EMPRESA DEMO",
        "EDE010101AB1",
    )
    assert_problem(refused, 503, "provider_unavailable")


def test_case_8_a_payout_that_settles_late_pays_its_fee(api, script, stp, merchant):
    """money-out.md 8: failed is free, settled after all is not."""
    FeeRule.objects.create(merchant=merchant, method="payout", percent=0, fixed=500)
    payout, shown = sent(api), []

    for status, said in ((OrderStatus.CANCELLED, "CANCELACION"), (OrderStatus.SETTLED, "LIQUIDACION")):
        script.set(payout, status)
        notify(stp, order_state(payout, said))
        later(payout)
        shown.append((api.get(f"/v1/payouts/{payout.public_id}").json()["fee"], balances(merchant)["available"]))

    assert shown == [(0, 100_000), (500, 100_000 - 50_580)]


def test_case_9_an_old_provider_time_is_kept_and_clamped_in_the_books(api, script, stp):
    """money-out.md 9: the ledger takes nothing older than seven days; the notice is applied all the same."""
    payout = sent(api)
    then = clock.now() - timedelta(days=20)

    answer = notify(stp, order_state(payout, "LIQUIDACION", tsLiquidacion=str(int(then.timestamp() * 1000))))

    payout.refresh_from_db()
    posting = Transaction.objects.get(source=payout.public_id, kind="payout_settled")
    assert answer.json() == {"mensaje": "recibido"}
    assert (payout.status, abs(payout.liquidated_at - then) < timedelta(seconds=1)) == ("completed", True)
    assert timedelta(days=6) < clock.now() - posting.effective_at < timedelta(days=7, minutes=1)


def of_kind(payout: Payout, kind: str) -> Payout:
    """Another payout like this one, as the house will make them."""
    now = clock.now()
    other = Payout.objects.select_related("merchant", "provider_account").get(pk=payout.pk)
    other.pk, other.public_id, other.kind = None, ids.new_id("payout"), kind
    other.tracking_key = new_tracking_key()
    when = PostingTime(now, calendar.operating_date(now))
    with unit_of_work() as writes:
        hold.place(
            other.merchant,
            livemode=False,
            source=other.public_id,
            amount=other.total,
            purpose=hold.Purpose.PAYOUT,
            when=when,
        )
        writes.insert(other)
        record_payout(other, from_status="", origin=ORIGIN, event_type="payout.created")
    return other


def test_case_10_merchants_see_their_own_payouts_and_never_those_of_the_house(api, script, stp):
    """money-out.md 10: others only by ``kind``; no events of them, and no cancelling."""
    own = create(api, amount=1_000)
    refund, penny = refunds.last(refunds.create(api, refunds.paid(api, stp))), of_kind(own, "penny_test")
    listed = {query: api.get(f"/v1/payouts{query}").json()["data"] for query in ("", "?kind=refund")}

    assert [[row["id"] for row in rows] for rows in listed.values()] == [[own.public_id], [refund.public_id]]
    assert_problem(api.get(f"/v1/payouts/{penny.public_id}"), 404, "not_found")
    assert api.post(f"/v1/payouts/{refund.public_id}/cancel", {}, key=None).status_code == 409
    assert api.post(f"/v1/payouts/{penny.public_id}/cancel", {}, key=None).status_code in (404, 409)
    assert set(Event.objects.filter(type__startswith="payout.").values_list("object_id", flat=True)) == {own.public_id}


def test_case_11_an_approval_is_asked_of_the_database_when_the_money_leaves(script, stp, merchant):
    """money-out.md 11: a cache that still says "approved" sends nothing live."""
    live = ProviderAccount.objects.create(
        provider="stp", livemode=True, name="EMPRESA", clabe_prefix="6461801571", clabe_sequence=2
    )
    payouts.ready_to_send(live)
    payouts.fund(merchant, 10_000, livemode=True)
    kyc_case._approved.add(merchant.pk)
    wants = payout_service.NewPayout(amount=1_000, clabe=CLABE, name="Ana", concept="Nomina")
    with transaction.atomic():
        payout = payout_service.create(merchant, livemode=True, wanted=wants, maker="key_test", origin=ORIGIN)

    payout_sending.advance(payout.pk)

    payout.refresh_from_db()
    assert (payout.status, payout.waiting_for) == ("pending", "merchant")
    assert script.received == []
