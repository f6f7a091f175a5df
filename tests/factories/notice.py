"""Sending of notices to the webhook endpoints, and assertions about their effects."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from django.test import Client

from ledger.models import Entry
from payments.models import Deposit, Payment, PaymentTransition

DEVOLVER = (400, {"mensaje": "devolver", "id": 14})
RECEIVED = (200, b'{"received":true}')

Send = Callable[[], Any]


def told(answer):
    """Status and JSON of a response."""
    return answer.status_code, answer.json()


def paid(conekta, payment: Payment, **changes: Any) -> Send:
    """A function that sends ``order.paid`` of the payment."""
    given = {"event_id": f"order{payment.pk}", "charge_id": f"charge{payment.pk}"} | changes
    return sending(conekta, conekta.event(payment, "order.paid", **given))


def sending(conekta, raw: bytes) -> Send:
    """A function that sends a signed event of Conekta."""
    digest = base64.b64encode(conekta.sign(raw)).decode()
    return lambda: conekta.post(raw, client=Client(raise_request_exception=False), digest=digest)


def assert_each_paid_once(payments: Sequence[Payment]) -> None:
    """All payments, and no others, are completed with one deposit and posting each."""
    assert Counter(Payment.objects.values_list("status", flat=True)) == {"completed": len(payments)}
    completed = PaymentTransition.objects.filter(to_status="completed").values_list("payment_id", flat=True)
    assert sorted(completed) == [payment.pk for payment in payments]
    assert Deposit.objects.count() == len(payments)
    assert Entry.objects.count() == 4 * len(payments)
