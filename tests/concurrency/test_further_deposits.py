"""Sixteen transfers for one payment at the same moment, all accepted: its figures are those of the ledger."""

from __future__ import annotations

import pytest
from django.test import Client

from core.money import fee_with_iva
from ledger.services import balance
from merchants.models import Event
from payments.models import Payment
from tests.concurrency.threads import at_once

pytestmark = pytest.mark.usefixtures("committed_db")


def test_every_transfer_of_a_payment_that_accepts_any_is_counted_once(api, stp, merchant):
    merchant.deposit_policy = "accept_any"
    merchant.save()
    made = api.post("/v1/payments", {"method": "spei", "amount": 100_000, "currency": "MXN"}).json()
    amounts = [50 + 1_111 * number for number in range(16)]
    raws = [stp.deposit(made["spei"]["clabe"], a, claveRastreo=f"F{n}") for n, a in enumerate(amounts)]

    answers = at_once([lambda raw=raw: stp.post(raw, client=Client()).status_code for raw in raws])

    payment = Payment.objects.get()
    assert answers == [200] * 16
    assert (payment.status, payment.amount_received) == ("completed", sum(amounts))
    assert (payment.fee, payment.fee_tax) == fee_with_iva(sum(amounts), percent=payment.fee_percent, fixed=0)
    assert balance.of_merchant(merchant, livemode=False).available == payment.net
    told = Event.objects.filter(object_id=payment.public_id).order_by("sequence")
    assert list(told.values_list("type", flat=True)) == [
        "payment.created",
        "payment.completed",
        *["payment.updated"] * 15,
    ]
    assert told.last().data["object"]["amount_received"] == sum(amounts)
