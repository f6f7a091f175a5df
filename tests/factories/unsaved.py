"""Instances of models that are not stored yet."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from core import clock
from merchants.models import Merchant
from payments.models import Deposit, Payment
from tests.provider_messages import StpSender


def payment_of(merchant: Merchant, stp: StpSender, **fields: Any) -> Payment:
    values = {
        "merchant": merchant,
        "livemode": False,
        "provider_account": stp.account,
        "method": "spei",
        "amount": 125_050,
        "currency": "MXN",
        "fee_percent": "2.9000",
        "clabe": "646180157000000004",
        "expires_at": clock.now() + timedelta(days=3),
        "customer_name": "José Peña",
        "metadata": {"ñ": "✓", "quote": "'; DROP TABLE payments_payment; --"},
    }
    return Payment(**values | fields)


def deposit_of(payment: Payment, **fields: Any) -> Deposit:
    deposit = Deposit(
        provider_account=payment.provider_account,
        livemode=False,
        amount=125_050,
        currency="MXN",
        paid_at=clock.now(),
        operating_date=date(2026, 11, 26),
        provider_event="pev_1",
        **{"deposit_key": "20261126:40012:ABC"} | fields,
    )
    deposit.credit(payment=payment, fee=0, fee_tax=0)
    return deposit
