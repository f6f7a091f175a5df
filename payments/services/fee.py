"""Fees and the IVA on them: the rule for a payment, and the fee of each deposit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.conf import settings
from psycopg.types.numeric import Int8

from core.money import fee_with_iva
from core.writes import Sql, fetch
from merchants.models import Merchant
from payments.models import Payment

_RULE = """
    SELECT percent, fixed FROM payments_feerule
    WHERE merchant_id = $1 AND method = $2 AND valid_from <= $3 AND (valid_until IS NULL OR valid_until >= $3)
"""
_OF_RULE = """
    SELECT coalesce((SELECT {} FROM payments_feerule WHERE merchant_id = %s AND method = %s
        AND %s::date BETWEEN valid_from AND coalesce(valid_until, 'infinity')), 0)
"""
_PERCENT, _FIXED = _OF_RULE.format("percent"), _OF_RULE.format("fixed")


@dataclass(frozen=True, slots=True)
class Terms:
    """The fee of a payment: ``percent`` of the amount received, ``fixed`` centavos, IVA at rate ``iva``."""

    percent: Decimal
    fixed: int
    iva: Decimal


def terms(merchant: Merchant, method: str, day: date) -> Terms:
    """The terms of a payment created on ``day`` (Mexico City)."""
    percent, fixed = next(iter(fetch(_RULE, [Int8(merchant.pk), method, day])), (Decimal(0), 0))
    return Terms(percent, fixed, iva_rate(day))


def terms_sql(merchant: Merchant, method: str, day: date) -> dict[str, Sql]:
    """SQL of ``fee_percent`` and ``fee_fixed`` of a payment created on ``day``, for the INSERT of the payment."""
    rule = (Int8(merchant.pk), method, day)
    return {"fee_percent": Sql(_PERCENT, rule), "fee_fixed": Sql(_FIXED, rule)}


def iva_rate(day: date) -> Decimal:
    """The IVA rate on ``day`` from ``settings.IVA_RATES``: (first day, rate), newest last."""
    return next(rate for first_day, rate in reversed(settings.IVA_RATES) if first_day <= day)


def additional_fee(payment: Payment, amount: int) -> tuple[int, int]:
    """Fee and IVA in centavos that a further deposit of ``amount`` adds to those of ``payment``.

    Both are computed from the total received and rounded half-up once, so that several deposits cost the same as one;
    the fixed part is charged once. The fee of a deposit never exceeds its amount: the rest is charged with the next
    deposit, if there is one.
    """
    fee, fee_tax = fee_with_iva(
        payment.amount_received + amount, percent=payment.fee_percent, fixed=payment.fee_fixed, rate=payment.fee_iva
    )
    fee = min(fee - payment.fee, amount)
    return fee, min(fee_tax - payment.fee_tax, amount - fee)
