"""Helpers that build the legs of postings."""

from __future__ import annotations

from ledger.services.chart import AccountName
from ledger.services.errors import InvalidAmount
from ledger.services.journal import Leg, valid_amount
from merchants.models import Merchant


def debit(purpose: str, amount: int, merchant: Merchant | None = None) -> Leg:
    """Debit ``amount`` (greater than zero) to an account."""
    return AccountName(purpose, merchant), valid_amount(amount)


def credit(purpose: str, amount: int, merchant: Merchant | None = None) -> Leg:
    """Credit ``amount`` (greater than zero) to an account."""
    return AccountName(purpose, merchant), -valid_amount(amount)


def fee_credits(fee: int, fee_tax: int) -> list[Leg]:
    """Legs of our fee and its IVA; a zero amount has no leg."""
    parts = [("fee_revenue", part_or_zero(fee)), ("iva_payable", part_or_zero(fee_tax))]
    return [credit(purpose, amount) for purpose, amount in parts if amount]


def fee_debits(fee: int, fee_tax: int) -> list[Leg]:
    """Legs that give back our fee and its IVA."""
    return [(name, -amount) for name, amount in fee_credits(fee, fee_tax)]


def merchant_share(purpose: str, merchant: Merchant, amount: int, fee: int, fee_tax: int) -> list[Leg]:
    """Legs of the merchant's net (``amount`` less fee and IVA) and of our fee. The net may be zero, never negative."""
    net = part_or_zero(valid_amount(amount) - part_or_zero(fee) - part_or_zero(fee_tax))
    return [*([credit(purpose, net, merchant)] if net else []), *fee_credits(fee, fee_tax)]


def part_or_zero(amount: int) -> int:
    """``amount`` if it is zero or valid (``valid_amount``); else raise ``InvalidAmount``."""
    if type(amount) is int and amount == 0:
        return 0
    if type(amount) is int and amount < 0:
        raise InvalidAmount("Fee and IVA are more than the amount, or negative.")
    return valid_amount(amount)
