"""Expiry by the worker, in batches, against deposits that arrive in that moment.

With the row lock removed from ``expire_due`` a payment that was paid meanwhile is expired over it, and the database's
guards break the batch.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from core import clock
from core.state import Origin, TransitionRow
from payments.models import Payment
from payments.services import payment as payment_service
from tests.concurrency.threads import at_once
from tests.history import rewrite

ORIGIN = Origin(TransitionRow.Cause.API, "key_test")
AMOUNT = 100_000

pytestmark = pytest.mark.usefixtures("committed_db")


def make_due(merchant, count: int) -> list[Payment]:
    wanted = payment_service.NewPayment(
        method=Payment.Method.SPEI, amount=AMOUNT, expires_at=clock.now() + timedelta(hours=1)
    )
    with transaction.atomic():
        made = [payment_service.create(merchant, livemode=False, wanted=wanted, origin=ORIGIN) for _ in range(count)]
    rewrite(Payment.objects.all(), expires_at=clock.now() - timedelta(seconds=1))
    return made


def expire_all() -> int:
    total = 0
    while found := payment_service.expire_due():
        total += found
    return total


def test_due_payments_expire_in_bounded_batches_and_each_tells_once(merchant, stp, monkeypatch):
    monkeypatch.setattr(payment_service, "EXPIRY_BATCH", 3)
    made = make_due(merchant, 7)

    counts = [payment_service.expire_due() for _ in range(4)]

    assert counts == [3, 3, 1, 0]
    for payment in made:
        payment.refresh_from_db()
        assert payment.status == "expired"
        assert [t.to_status for t in payment.transitions.all()] == ["pending", "expired"]


def test_what_is_not_due_or_has_ended_is_left_alone(merchant, stp):
    due, cancelled, later = make_due(merchant, 3)
    with transaction.atomic():
        payment_service.cancel(cancelled.pk, origin=ORIGIN)
    rewrite(Payment.objects.filter(pk=later.pk), expires_at=clock.now() + timedelta(minutes=1))

    assert expire_all() == 1

    assert dict(Payment.objects.values_list("pk", "status")) == {
        due.pk: "expired",
        cancelled.pk: "cancelled",
        later.pk: "pending",
    }


def test_two_workers_and_a_deposit_for_each_payment_end_with_every_deposit_credited(merchant, stp):
    made = make_due(merchant, 24)
    raws = [stp.deposit(p.clabe, AMOUNT, claveRastreo=f"E{p.pk}") for p in made]

    def deliver(part):
        return [stp.post(raw).status_code for raw in part]

    answers = at_once([expire_all, expire_all, *(lambda part=raws[number::4]: deliver(part) for number in range(4))])

    assert [code for codes in answers[2:] for code in codes] == [200] * len(made)
    for payment in made:
        payment.refresh_from_db()
        states = [t.to_status for t in payment.transitions.order_by("id")]
        assert (payment.status, payment.amount_received) == ("completed", AMOUNT)
        assert states in (["pending", "completed"], ["pending", "expired", "completed"])


def test_a_payment_that_a_deposit_holds_is_skipped_not_waited_for(merchant, stp):
    held, free = make_due(merchant, 2)

    with transaction.atomic():
        payment_service.lock(held.pk)
        (expired,) = at_once([payment_service.expire_due])

    assert expired == 1
    assert dict(Payment.objects.values_list("pk", "status")) == {held.pk: "pending", free.pk: "expired"}
