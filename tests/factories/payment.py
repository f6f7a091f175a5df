"""Payments of every method, and requests for them."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO

from django.db import transaction

from core import clock
from core.state import Origin, TransitionRow
from kyc.services import case as kyc_case
from kyc.services import document as kyc_document
from payments.models import Payment
from payments.services import payment as payment_service

SPEI = {"method": "spei", "amount": 125_050, "currency": "MXN"}
AMOUNT = 100_000


def approve(merchant, origin):
    """Approve the merchant's identity."""
    case = kyc_case.open_case(merchant, origin=origin)
    content = BytesIO(b"%PDF-1.4\n%%EOF\n")
    kyc_document.add(case.pk, document_type="official_id", name="ine.pdf", content=content, uploaded_by="ana")
    kyc_case.submit(case.pk, origin=origin)
    kyc_case.approve(case.pk, reason="documents match", origin=origin)


def without(name):
    """``SPEI`` without one field."""
    return {key: value for key, value in SPEI.items() if key != name}


def raw_post(api, raw, content_type="application/json", **environ):
    """POST a raw body to /v1/payments."""
    return api.client.generic(
        "POST",
        "/v1/payments",
        raw,
        content_type=content_type,
        headers={"Authorization": f"Bearer {api.secret}", "Idempotency-Key": "k-1"},
        **environ,
    )


def make_payment(merchant, method="spei") -> Payment:
    """A pending payment of $1,000.00."""
    wanted = payment_service.NewPayment(
        method=Payment.Method(method), amount=100_000, expires_at=clock.now() + timedelta(days=1)
    )
    with transaction.atomic():
        return payment_service.create(
            merchant, livemode=False, wanted=wanted, origin=Origin(TransitionRow.Cause.API, "key_test")
        )


def make_payments(merchant, method: str, count: int) -> list[Payment]:
    """Pending payments of ``AMOUNT``, created in one transaction."""
    wanted = payment_service.NewPayment(
        method=Payment.Method(method), amount=AMOUNT, expires_at=clock.now() + payment_service.DEFAULT_LIFETIME
    )
    origin = Origin(TransitionRow.Cause.API, "key_test")
    with transaction.atomic():
        return [payment_service.create(merchant, livemode=False, wanted=wanted, origin=origin) for _ in range(count)]


FAULTY_BODIES = [
    ({**SPEI, "fee": 0}, "unknown_field", "fee"),
    ({**SPEI, "": 0}, "unknown_field", ""),
    ({**SPEI, "livemode": True}, "unknown_field", "livemode"),
    ({**SPEI, "customer": {"name": "Ana", "rfc": "X"}}, "unknown_field", "customer.rfc"),
    (without("amount"), "invalid_request", "amount"),
    ({**SPEI, "amount": None}, "invalid_request", "amount"),
    ({**SPEI, "amount": 0}, "invalid_amount", "amount"),
    ({**SPEI, "amount": -1}, "invalid_amount", "amount"),
    ({**SPEI, "amount": 2**53}, "invalid_amount", "amount"),
    ({**SPEI, "amount": 10**39}, "invalid_amount", "amount"),
    ({**SPEI, "amount": "125050"}, "invalid_amount", "amount"),
    ({**SPEI, "amount": 1.5}, "invalid_amount", "amount"),
    ({**SPEI, "amount": True}, "invalid_amount", "amount"),
    ({**SPEI, "amount": [1]}, "invalid_amount", "amount"),
    ({**SPEI, "amount": {"value": 1}}, "invalid_amount", "amount"),
    (without("method"), "invalid_request", "method"),
    ({**SPEI, "method": "card"}, "invalid_request", "method"),
    ({**SPEI, "method": "SPEI"}, "invalid_request", "method"),
    ({**SPEI, "method": None}, "invalid_request", "method"),
    ({**SPEI, "method": ["spei"]}, "invalid_request", "method"),
    ({**SPEI, "method": {}}, "invalid_request", "method"),
    (without("currency"), "invalid_request", "currency"),
    ({**SPEI, "currency": "USD"}, "invalid_request", "currency"),
    ({**SPEI, "currency": "mxn"}, "invalid_request", "currency"),
    ({**SPEI, "currency": None}, "invalid_request", "currency"),
    ({**SPEI, "currency": 484}, "invalid_request", "currency"),
    ({**SPEI, "description": "x" * 251}, "invalid_request", "description"),
    ({**SPEI, "description": 8}, "invalid_request", "description"),
    ({**SPEI, "description": "a\0b"}, "invalid_request", "description"),
    ({**SPEI, "external_id": "x" * 101}, "invalid_request", "external_id"),
    ({**SPEI, "external_id": ""}, "invalid_request", "external_id"),
    ({**SPEI, "external_id": 8}, "invalid_request", "external_id"),
    ({**SPEI, "external_id": "a\0b"}, "invalid_request", "external_id"),
    ({**SPEI, "customer": "Ana"}, "invalid_request", "customer"),
    ({**SPEI, "customer": [{"name": "Ana"}]}, "invalid_request", "customer"),
    ({**SPEI, "customer": {"name": "x" * 101}}, "invalid_request", "customer.name"),
    ({**SPEI, "customer": {"name": True}}, "invalid_request", "customer.name"),
    ({**SPEI, "customer": {"name": "a\0"}}, "invalid_request", "customer.name"),
    ({**SPEI, "customer": {"phone": 5555555555}}, "invalid_request", "customer.phone"),
    ({**SPEI, "customer": {"phone": "5" * 21}}, "invalid_request", "customer.phone"),
    ({**SPEI, "customer": {"email": "ana"}}, "invalid_request", "customer.email"),
    ({**SPEI, "customer": {"email": "ana@"}}, "invalid_request", "customer.email"),
    ({**SPEI, "customer": {"email": "a@b.mx, c@d.mx"}}, "invalid_request", "customer.email"),
    ({**SPEI, "customer": {"email": "a@b.mx\nBcc: c@d.mx"}}, "invalid_request", "customer.email"),
    ({**SPEI, "customer": {"email": f"{'a' * 250}@b.mx"}}, "invalid_request", "customer.email"),
    ({**SPEI, "customer": {"email": 5}}, "invalid_request", "customer.email"),
    ({**SPEI, "metadata": None}, "invalid_request", "metadata"),
    ({**SPEI, "metadata": []}, "invalid_request", "metadata"),
    ({**SPEI, "metadata": {"a": {"b": "c"}}}, "invalid_request", "metadata"),
    ({**SPEI, "metadata": {"a": 1}}, "invalid_request", "metadata"),
    ({**SPEI, "metadata": {f"k{i}": "" for i in range(51)}}, "invalid_request", "metadata"),
    ({**SPEI, "metadata": {"k" * 41: ""}}, "invalid_request", "metadata"),
    ({**SPEI, "metadata": {"": ""}}, "invalid_request", "metadata"),
    ({**SPEI, "metadata": {"k": "v" * 501}}, "invalid_request", "metadata"),
    ({**SPEI, "metadata": {"k": "\0"}}, "invalid_request", "metadata"),
    ({**SPEI, "metadata": {"\0": "v"}}, "invalid_request", "metadata"),
    ({**SPEI, "method": "oxxo", "amount": 999}, "invalid_amount", "amount"),
    ({**SPEI, "method": "oxxo", "amount": 1_000_001}, "invalid_amount", "amount"),
]
"""Bodies of POST /v1/payments with one faulty field, as (body, code, field)."""
