"""OXXO payments and accounts at Conekta for tests of its webhook."""

from __future__ import annotations

import base64
from datetime import timedelta

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.db import transaction

from core import clock
from core.state import Origin, TransitionRow
from merchants.models import Event
from payments.models import Payment, ProviderAccount
from payments.providers.conekta.messages import CashOrder
from payments.services import payment as payment_service
from webhooks.inbound.services import sweeper
from webhooks.models import ProviderEvent

RECEIVED = (200, {"received": True})


def make_payment(merchant, *, amount=25_000, livemode=False) -> Payment:
    """An OXXO payment without a voucher."""
    wanted = payment_service.NewPayment(
        method=Payment.Method.OXXO, amount=amount, expires_at=clock.now() + timedelta(days=3)
    )
    with transaction.atomic():
        return payment_service.create(
            merchant, livemode=livemode, wanted=wanted, origin=Origin(TransitionRow.Cause.API, "key_test")
        )


def attach(payment: Payment, order_id: str = "ord_2xayxSvfWzQ2TLz7r") -> Payment:
    """Attach a voucher, as after Conekta's response to the order."""
    order = CashOrder(
        order_id=order_id,
        charge_id="67c72196e777ac0001f2140c",
        status="pending_payment",
        amount=payment.amount,
        currency="MXN",
        reference="93000262276908",
        barcode_url="https://barcodes.example/1.png",
        store_name="OXXO",
        expires_at=payment.expires_at,
        paid_at=None,
        payment_id=payment.public_id,
        livemode=False,
    )
    with transaction.atomic():
        payment_service.attach_voucher(payment.pk, order, actor=payment.provider_account.public_id)
    payment.refresh_from_db()
    return payment


def told(answer):
    return answer.status_code, answer.json()


def event_types():
    return list(Event.objects.order_by("sequence").values_list("type", flat=True))[2:]  # after created, updated


def inbox():
    return list(ProviderEvent.objects.order_by("pk").values_list("event_type", "status", "reason"))


def sweep_all() -> int:
    """Let the worker try every open notice once, due or not."""
    return sweeper.sweep(now=clock.now() + timedelta(hours=2))


def sign_with(key: rsa.RSAPrivateKey, raw: bytes) -> str:
    return base64.b64encode(key.sign(raw, padding.PKCS1v15(), hashes.SHA256())).decode()


def pem(key: rsa.RSAPrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def live_account(key: rsa.RSAPrivateKey) -> ProviderAccount:
    return ProviderAccount.objects.create(
        provider="conekta",
        livemode=True,
        name="Conekta live",
        base_url="http://127.0.0.1:9/conekta",
        credentials={"api_key": "key_live_only"},
        webhook_public_keys=[pem(key)],
    )
