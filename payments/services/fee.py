"""Fees and the IVA on them: which rule holds for a payment, and what a deposit adds to what was charged before."""

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
    """What a payment costs its merchant: ``percent`` of what is received, ``fixed`` centavos, IVA at rate ``iva``."""

    percent: Decimal
    fixed: int
    iva: Decimal


def terms(merchant: Merchant, method: str, day: date) -> Terms:
    """The terms of a payment that is made on ``day`` (Mexico City)."""
    percent, fixed = next(iter(fetch(_RULE, [Int8(merchant.pk), method, day])), (Decimal(0), 0))
    return Terms(percent, fixed, iva_rate(day))


def terms_sql(merchant: Merchant, method: str, day: date) -> dict[str, Sql]:
    """``fee_percent`` and ``fee_fixed`` of a payment made on ``day``, for the statement that inserts it to find."""
    rule = (Int8(merchant.pk), method, day)
    return {"fee_percent": Sql(_PERCENT, rule), "fee_fixed": Sql(_FIXED, rule)}


def iva_rate(day: date) -> Decimal:
    """The IVA rate on ``day``, of ``settings.IVA_RATES``: (first day, rate), the newest last."""
    return next(rate for first_day, rate in reversed(settings.IVA_RATES) if first_day <= day)


def additional_fee(payment: Payment, amount: int) -> tuple[int, int]:
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
