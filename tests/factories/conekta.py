"""Conekta's orders, charges and events, and a request for an order."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

from payments.providers.conekta.messages import parse_event

RECEIVED_AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


PAYMENT = "pay_01JCDE"


CHARGE = {
    "id": "67c72196e777ac0001f2140c",
    "object": "charge",
    "status": "paid",
    "amount": 15000,
    "currency": "MXN",
    "fee": 800,
    "order_id": "ord_2xayxSvfWzQ2TLz7r",
    "paid_at": 1741104000,
    "reference_id": PAYMENT,
    "payment_method": {
        "object": "cash_payment",
        "type": "oxxo",
        "service_name": "OxxoPay",
        "store_name": "OXXO",
        "reference": "93000262276908",
        "barcode_url": "https://s3.amazonaws.com/barcodes/93000262276908.png",
        "expires_at": 1743724800,
    },
}


ORDER = {
    "object": "order",
    "id": "ord_2xayxSvfWzQ2TLz7r",
    "amount": 15000,
    "currency": "MXN",
    "payment_status": "paid",
    "livemode": False,
    "metadata": {"payment_id": PAYMENT},
    "charges": {"object": "list", "has_more": False, "data": [CHARGE]},
    "created_at": 1741103000,
}


def event(kind: str, subject: object, **changes: object) -> bytes:
    body = {
        "data": {"object": subject, "previous_attributes": {}},
        "livemode": False,
        "webhook_status": "pending",
        "id": f"evt-{kind}",
        "object": "event",
        "type": kind,
        "created_at": 1741104001,
    }
    return json.dumps({**body, **changes}).encode()


def parse(kind: str, subject: object, **changes: object) -> Any:
    return parse_event(event(kind, subject, **changes), received_at=RECEIVED_AT)


def changed(source: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy of ``source`` in which ``path`` ("charges.data.0.id") is ``value``, or is gone if that is ``...``."""
    result = copy.deepcopy(source)
    *parents, last = path.split(".")
    target: Any = result
    for name in parents:
        target = target[int(name)] if isinstance(target, list) else target[name]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return result


REQUEST = {
    "payment_id": PAYMENT,
    "amount": 15000,
    "description": "Mensualidad",
    "customer_name": "Ana",
    "customer_email": "ana@example.mx",
    "customer_phone": "5555555555",
    "expires_at": datetime(2025, 4, 4, 0, 0, tzinfo=UTC),
}


REFUSAL = {
    "object": "error",
    "type": "parameter_validation_error",
    "log_id": "1",
    "details": [
        {
            "code": "conekta.errors.parameter_validation.phone",
            "message": "El teléfono no es válido.",
            "param": "customer_info.phone",
        }
    ],
}


PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwSrMZOFEdiuq1tzSAOyO
HZz+dW9VvUCPlcSJOrHC38vN2JqcR6THd+p/7M9gp/AraRVyF6VJULxvgzd9ae9E
veiDjTw/N+OWURLFKYR1aVgMq/j8ndzy9MGgA7VUYvpBhgXELdSwKhRdYRYHTzCJ
UVsJFqj1jRI6/zg55x4NzJf+lNmtsDQTBCr+piH+4EzUuu+CijfB7Ht1RDHd+1zj
tpDjVpb5bKgXMBcePEx8nFR0TQuxD93qvuhk0FHKFm1v4Iff2s1hWcr9YRpOBFa5
s04TWw6a4f7f7xCoOgjzOnNXgAaDiuFCrLXer70GQIVtsQByR2bOqemlxHm7EH2t
JQIDAQAB
-----END PUBLIC KEY-----
"""
