"""An incoming SPEI transfer: credited once, or in suspense, and answered as STP expects."""

from __future__ import annotations

import pytest

from ledger.services import balance
from merchants.models import Event
from payments.models import Deposit, Payment
from webhooks.models import ProviderEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def payment(api, stp):
    answer = api.post("/v1/payments", {"method": "spei", "amount": 100_000, "currency": "MXN"})
    assert answer.status_code == 201, answer.content
    return Payment.objects.get()


def test_a_deposit_completes_its_payment_and_credits_the_merchant(payment, stp, merchant):
    answer = stp.post(stp.deposit(payment.clabe, 100_000))

    assert (answer.status_code, answer.json()) == (200, {"mensaje": "confirmar"})
    payment.refresh_from_db()
    assert payment.status == "completed"
    assert (payment.amount_received, payment.fee, payment.fee_tax, payment.net) == (100_000, 1_000, 160, 98_840)
    assert payment.tracking_key == "MBAN01002611200012345678"
    assert balance.of_merchant(merchant, livemode=False).available == 98_840
    assert balance.of_platform(livemode=False) == {"stp_cash": 100_000, "fee_revenue": 1_000, "iva_payable": 160}
    assert [t.to_status for t in payment.transitions.all()] == ["pending", "completed"]
    assert list(Event.objects.order_by("sequence").values_list("type", "object_sequence")) == [
        ("payment.created", 1),
        ("payment.completed", 2),
    ]
    event = ProviderEvent.objects.get()
    assert (event.status, event.reason, event.object_id) == ("processed", "credited", payment.public_id)


def test_a_repeated_deposit_is_answered_like_the_first_and_changes_nothing(payment, stp, merchant):
    raw = stp.deposit(payment.clabe, 100_000)

    first, second = stp.post(raw), stp.post(raw)

    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert Deposit.objects.count() == ProviderEvent.objects.count() == 1
    assert balance.of_merchant(merchant, livemode=False).available == 98_840
    assert payment.transitions.count() == 2
