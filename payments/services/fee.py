"""Fees and the IVA on them: which rule holds for a payment, and what a deposit adds to what was charged before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.conf import settings
from django.db.models import Q

from core.money import fee_with_iva
from merchants.models import Merchant
from payments.models import FeeRule, Payment


@dataclass(frozen=True, slots=True)
class Terms:
    """What a payment costs its merchant: ``percent`` of what is received, ``fixed`` centavos, IVA at rate ``iva``."""

    percent: Decimal
    fixed: int
    iva: Decimal


def terms(merchant: Merchant, method: str, day: date) -> Terms:
    """The terms of a payment that is made on ``day`` (Mexico City)."""
    rule = (
        FeeRule.objects.filter(merchant=merchant, method=method, valid_from__lte=day)
        .filter(Q(valid_until=None) | Q(valid_until__gte=day))
        .first()
    )
    return Terms(rule.percent if rule else Decimal(0), rule.fixed if rule else 0, iva_rate(day))


def iva_rate(day: date) -> Decimal:
    """The IVA rate on ``day``, of ``settings.IVA_RATES``: (first day, rate), the newest last."""
    return next(rate for first_day, rate in reversed(settings.IVA_RATES) if first_day <= day)


def further_fee(payment: Payment, amount: int) -> tuple[int, int]:
    """Fee and IVA in centavos that a further ``amount`` adds to what ``payment`` was charged.

    Both follow from all that was received, rounded half-up once, so that several deposits cost what one would have
    cost; the fixed part is charged once. A deposit never costs more than it brings: what a few centavos cannot carry
    is charged with the next deposit, if there is one.
    """
    fee, fee_tax = fee_with_iva(
        payment.amount_received + amount, percent=payment.fee_percent, fixed=payment.fee_fixed, rate=payment.fee_iva
    )
    fee = min(fee - payment.fee, amount)
    return fee, min(fee_tax - payment.fee_tax, amount - fee)
