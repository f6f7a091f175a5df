"""A CLABE is handed out once: sixteen threads create payments at the same moment."""

from __future__ import annotations

import pytest
from django.db import transaction

from core import clock
from core.mx import clabe
from core.state import Origin, TransitionRow
from payments.models import Payment
from payments.services import payment as payment_service
from tests.concurrency.threads import at_once

THREADS = 16
EACH = 20
ORIGIN = Origin(TransitionRow.Cause.API, "key_test")


def wanted() -> payment_service.NewPayment:
    return payment_service.NewPayment(
        method=Payment.Method.SPEI, amount=10_000, expires_at=clock.now() + payment_service.DEFAULT_LIFETIME
    )


@pytest.mark.promise("P30", "a CLABE is handed out once, to 16 threads")
def test_payments_made_at_once_never_share_a_clabe(trials, committed_db, merchant, stp):
    def create() -> list[str]:
        made = []
        for _ in range(EACH):
            with transaction.atomic():
                made.append(payment_service.create(merchant, livemode=False, wanted=wanted(), origin=ORIGIN).clabe)
        return made

    made = [one for each in at_once([create] * THREADS) for one in each]

    assert len(set(made)) == len(made) == THREADS * EACH
    assert all(clabe.is_valid(one) and one.startswith("6461801570") for one in made)
    assert set(Payment.objects.values_list("clabe", flat=True)) == set(made)
    trials.done(len(made), "payments")


def test_a_clabe_of_a_payment_that_was_rolled_back_is_not_handed_out_again(committed_db, merchant, stp):
    lost = []

    def create(keep: bool) -> None:
        with transaction.atomic():
            payment = payment_service.create(merchant, livemode=False, wanted=wanted(), origin=ORIGIN)
            if not keep:
                lost.append(payment.clabe)
                transaction.set_rollback(True)

    at_once([lambda keep=keep: create(keep) for keep in (True, False) * 8])

    kept = set(Payment.objects.values_list("clabe", flat=True))
    assert (len(kept), len(set(lost))) == (8, 8)
    assert kept.isdisjoint(lost)
