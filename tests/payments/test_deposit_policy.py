"""The decision table of docs/adr/0021: policy × situation -> where the money is, the state, the events, the fee.

Every cell arrives as a notice of STP. A situation is made by the payment time that it names, not by ours.
"""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import pytest
import time_machine
from django.db import transaction

from core import clock
from core.state import Origin, TransitionRow
from ledger.services import balance
from merchants.models import Event
from payments.models import Clabe, Deposit, Payment, ReviewCase
from payments.services import clabe as clabe_service
from payments.services import payment as payment_service

pytestmark = pytest.mark.django_db

ORIGIN = Origin(TransitionRow.Cause.API, "key_test")
POLICIES = ["exact", "accept_any", "review"]
AMOUNT = 100_000

# situation: (state before, amount sent, reason by which it may be kept)
PAYMENT_SITUATIONS = {
    "on time": ("pending", AMOUNT, ""),
    "on time, told after it expired": ("expired", AMOUNT, ""),
    "on time, told after it was cancelled": ("cancelled", AMOUNT, ""),
    "late, not expired yet": ("pending", AMOUNT, "late"),
    "late, expired": ("expired", AMOUNT, "late"),
    "late, cancelled": ("cancelled", AMOUNT, "late"),
    "too little": ("pending", AMOUNT - 1, "underpaid"),
    "too much": ("pending", AMOUNT + 1, "overpaid"),
    "too little and late": ("expired", AMOUNT - 1, "underpaid"),
    "a second time": ("completed", AMOUNT, "already_paid"),
    "failed": ("failed", AMOUNT, "not_payable"),
    "reversed": ("reversed", AMOUNT, "not_payable"),
}
KEPT = {
    "exact": {"underpaid", "overpaid", "already_paid", "not_payable", "out_of_range", "clabe_closed"},
    "accept_any": {"not_payable"},
    "review": {"late", "underpaid", "overpaid", "already_paid", "not_payable", "out_of_range", "clabe_closed"},
}


def why_kept(policy: str, situation: str) -> str:
    """What the table says: the reason in suspense, or "" for credited. Late and too little is two reasons."""
    reason = PAYMENT_SITUATIONS[situation][2]
    return reason if reason in KEPT[policy] else ""


def millis(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


def make_payment(merchant, stp, state: str) -> Payment:
    """A payment that has come to ``state`` by its services and transitions."""
    wanted = payment_service.NewPayment(
        method=Payment.Method.SPEI, amount=AMOUNT, expires_at=clock.now() + timedelta(days=1)
    )
    payment = payment_service.create(merchant, livemode=False, wanted=wanted, origin=ORIGIN)
    if state in ("completed", "reversed"):
        assert stp.post(stp.deposit(payment.clabe, AMOUNT, claveRastreo="FIRST")).status_code == 200
        payment.refresh_from_db()
    if state == "reversed":
        payment.reverse()
    elif state == "expired":
        payment.expire()
    elif state == "failed":
        payment.fail(code="refused", message="")
    elif state == "cancelled":
        payment_service.cancel(payment.pk, origin=ORIGIN)
        payment.refresh_from_db()
    payment.save()
    return payment


def paid_at(payment: Payment, situation: str) -> datetime:
    """The provider's payment time: late is after the end, whichever that is; on time is before."""
    end = payment.cancelled_at or payment.expires_at
    return end + timedelta(seconds=5) if "late" in situation else end - timedelta(seconds=5)


def last_events() -> list[str]:
    return list(Event.objects.order_by("-sequence").values_list("type", flat=True)[:1])


@pytest.mark.parametrize(("policy", "situation"), list(itertools.product(POLICIES, PAYMENT_SITUATIONS)))
@pytest.mark.usefixtures("never_committed")  # nothing can stand behind a reversal yet
def test_every_cell_of_the_table_for_a_payment(merchant, stp, policy, situation):
    state, amount, _ = PAYMENT_SITUATIONS[situation]
    merchant.deposit_policy = policy
    merchant.save()
    payment = make_payment(merchant, stp, state)
    had = balance.of_merchant(merchant, livemode=False).available
    events = Event.objects.count()
    raw = stp.deposit(payment.clabe, amount, tsLiquidacion=millis(paid_at(payment, situation)), claveRastreo="NOW")

    with time_machine.travel(payment.expires_at + timedelta(hours=1)):
        answer = stp.post(raw)

    assert (answer.status_code, answer.json()) == (200, {"mensaje": "confirmar"})
    deposit = Deposit.objects.get(tracking_key="NOW")
    payment.refresh_from_db()
    assert Event.objects.count() == events + 1
    if reason := why_kept(policy, situation):
        assert (deposit.status, deposit.suspense_reason, deposit.payment) == ("suspended", reason, payment)
        assert (deposit.fee, deposit.fee_tax) == (0, 0)
        assert payment.status == state
        assert balance.of_merchant(merchant, livemode=False).available == had
        assert balance.of_platform(livemode=False)["suspense"] == amount
        case = ReviewCase.objects.get()
        assert (case.status, case.reason, case.deposit, case.payment) == ("open", reason, deposit, payment)
        assert case.merchant == merchant
        assert last_events() == ["payment.review_required"]
    else:
        first, rest = (AMOUNT, 98_840) if state == "completed" else (0, 0)
        fee = (amount + first + 50) // 100
        assert (deposit.status, deposit.payment) == ("credited", payment)
        assert (payment.status, payment.amount_received, payment.fee) == ("completed", first + amount, fee)
        assert balance.of_merchant(merchant, livemode=False).available == payment.net
        assert payment.net - rest == amount - deposit.fee - deposit.fee_tax
        assert "suspense" not in balance.of_platform(livemode=False)
        assert ReviewCase.objects.count() == 0
        assert last_events() == ["payment.updated" if state == "completed" else "payment.completed"]


CLABE_SITUATIONS = {
    "within the range": (None, 50_000, ""),
    "least": (None, 1_000, ""),
    "most": (None, 100_000, ""),
    "below": (None, 999, "out_of_range"),
    "above": (None, 100_001, "out_of_range"),
    "closed, sent before": (-1, 50_000, ""),
    "closed, sent after": (1, 50_000, "clabe_closed"),
    "closed and above": (1, 100_001, "clabe_closed"),
}


@pytest.mark.parametrize(("policy", "situation"), list(itertools.product(POLICIES, CLABE_SITUATIONS)))
def test_every_cell_of_the_table_for_a_reusable_clabe(merchant, stp, policy, situation):
    sent, amount, reason = CLABE_SITUATIONS[situation]
    merchant.deposit_policy = policy
    merchant.save()
    wanted = clabe_service.NewClabe(label="Luisa", customer_name="Luisa", min_amount=1_000, max_amount=100_000)
    clabe = clabe_service.create(merchant, livemode=False, wanted=wanted, origin=ORIGIN)
    if sent is not None:
        clabe = clabe_service.close(clabe.pk, origin=ORIGIN)
    moment = (clabe.closed_at or clock.now()) + timedelta(seconds=sent or 0)

    answer = stp.post(stp.deposit(clabe.clabe, amount, tsLiquidacion=millis(moment)))

    assert (answer.status_code, answer.json()) == (200, {"mensaje": "confirmar"})
    deposit = Deposit.objects.get()
    if reason in KEPT[policy]:
        assert (deposit.status, deposit.suspense_reason) == ("suspended", reason)
        assert (deposit.payment, deposit.reusable_clabe) == (None, clabe)
        assert Payment.objects.count() == 0
        case = ReviewCase.objects.get()
        assert (case.status, case.merchant, case.payment) == ("open", merchant, None)
        assert balance.of_platform(livemode=False) == {"stp_cash": amount, "suspense": amount}
    else:
        payment = Payment.objects.get()
        assert (payment.status, payment.made_by, payment.reusable_clabe) == ("completed", "clabe", clabe)
        assert (payment.amount, payment.amount_received) == (amount, amount)
        assert (payment.clabe, payment.customer_name) == (clabe.clabe, "Luisa")
        assert (deposit.status, deposit.payment, deposit.reusable_clabe) == ("credited", payment, clabe)
        assert balance.of_merchant(merchant, livemode=False).available == payment.net
        assert [t.to_status for t in payment.transitions.all()] == ["pending", "completed"]
        of_payment = Event.objects.filter(object_id=payment.public_id).order_by("sequence")
        assert list(of_payment.values_list("type", flat=True)) == ["payment.created", "payment.completed"]
        assert of_payment.last().data["object"]["clabe_id"] == clabe.public_id
        assert ReviewCase.objects.count() == 0


@pytest.mark.parametrize("policy", POLICIES)
def test_no_policy_credits_money_without_an_owner(merchant, stp, policy):
    merchant.deposit_policy = policy
    merchant.save()

    stp.post(stp.deposit("646180157099999997", 5_000))

    case = ReviewCase.objects.get()
    assert (case.reason, case.merchant, case.payment, case.livemode) == ("unknown_clabe", None, None, False)
    assert case.due_at - case.created_at == timedelta(days=1)
    assert [(t.from_status, t.to_status, t.reason) for t in case.transitions.all()] == [("", "open", "unknown_clabe")]


def test_a_payment_with_a_reusable_clabe_is_never_found_by_it(merchant, stp):
    with transaction.atomic():
        clabe = clabe_service.create(merchant, livemode=False, wanted=clabe_service.NewClabe(), origin=ORIGIN)

    for tracking_key in ("ONE", "TWO", "THREE"):
        stp.post(stp.deposit(clabe.clabe, AMOUNT, claveRastreo=tracking_key))

    assert Clabe.objects.get().payments.count() == 3
    assert set(Payment.objects.values_list("status", "amount_received")) == {("completed", AMOUNT)}
