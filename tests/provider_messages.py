"""STP and Conekta as senders of notices, for tests: bodies as the providers write them, posted over Django's client."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.test import Client

from payments.models import Payment, ProviderAccount


@dataclass
class StpSender:
    client: Client
    account: ProviderAccount
    username: str
    secret: str

    def deposit(self, clabe: str, amount: int, **changes: Any) -> bytes:
        """An abono notice, its amount in centavos."""
        body = {
            "id": 3191365,
            "fechaOperacion": 20261120,
            "institucionOrdenante": 40012,
            "institucionBeneficiaria": 90646,
            "claveRastreo": "MBAN01002611200012345678",
            "monto": "@@",
            "nombreOrdenante": "JUAN PEREZ",
            "tipoCuentaOrdenante": 40,
            "cuentaOrdenante": "012180015025335996",
            "rfcCurpOrdenante": "ND",
            "nombreBeneficiario": "MI COMERCIO",
            "tipoCuentaBeneficiario": 40,
            "cuentaBeneficiario": clabe,
            "rfcCurpBeneficiario": "ND",
            "conceptoPago": "PAGO",
            "referenciaNumerica": 1234567,
            "empresa": "EMPRESA_DEMO",
            "tipoPago": 1,
            "tsLiquidacion": "1795467600000",
        }
        text = json.dumps(body | changes)
        return text.replace('"@@"', f"{amount // 100}.{amount % 100:02d}").encode()

    def post(
        self,
        raw: bytes,
        *,
        client: Client | None = None,
        authorization: str | None = None,
        content_type: str = "application/json",
        path: str = "/webhooks/stp/deposits",
    ) -> Any:
        if authorization is None:
            authorization = "Basic " + base64.b64encode(f"{self.username}:{self.secret}".encode()).decode()
        return (client or self.client).generic(  # ``post`` would write the bytes in the charset of ``content_type``
            "POST",
            path,
            raw,
            content_type=content_type,
            headers={"Authorization": authorization} if authorization else {},
        )


@dataclass
class ConektaSender:
    client: Client
    account: ProviderAccount
    sign: Callable[[bytes], bytes]

    def event(
        self,
        payment: Payment,
        event_type: str = "order.paid",
        *,
        event_id: str = "6307a60c41de27127515a575",
        amount: int | None = None,
        charge_id: str = "67c72196e777ac0001f2140c",
        **changes: Any,
    ) -> bytes:
        """An event about the payment's order."""
        amount = payment.amount if amount is None else amount
        paid = event_type.endswith(".paid")
        charge = {
            "id": charge_id,
            "object": "charge",
            "status": "paid" if paid else "pending_payment",
            "amount": amount,
            "currency": "MXN",
            "order_id": payment.order_id or "ord_2xayxSvfWzQ2TLz7r",
            "paid_at": 1795467600 if paid else None,
            "reference_id": payment.public_id,
            "livemode": False,
            "payment_method": {"object": "cash_payment", "type": "oxxo", "reference": "93000262276908"},
        }
        order = {
            "id": charge["order_id"],
            "object": "order",
            "amount": amount,
            "currency": "MXN",
            "payment_status": "paid" if paid else event_type.partition(".")[2],
            "livemode": False,
            "metadata": {"payment_id": payment.public_id},
            "charges": {"object": "list", "data": [charge]},
        }
        subject = charge if event_type.startswith("charge.") else order
        body = {
            "data": {"object": subject, "previous_attributes": {}},
            "livemode": False,
            "webhook_status": "pending",
            "id": event_id,
            "object": "event",
            "type": event_type,
            "created_at": 1795467601,
        }
        return json.dumps(body | changes).encode()

    def post(self, raw: bytes, *, client: Client | None = None, digest: str | None = None) -> Any:
        if digest is None:
            digest = base64.b64encode(self.sign(raw)).decode()
        return (client or self.client).post(
            "/webhooks/conekta", raw, content_type="application/json", headers={"DIGEST": digest} if digest else {}
        )
