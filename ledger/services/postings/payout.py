"""Money to others: payouts, refunds, and what comes back. A hold stands behind each (``ledger.services.hold``)."""

from __future__ import annotations

from ledger.models import Transaction
from ledger.services.door import When, post, valid_amount
from ledger.services.errors import Unbalanced
from ledger.services.postings.legs import credit, debit, fee_credits, fee_debits, part_or_zero
from merchants.models import Merchant


def payout_created(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: When) -> Transaction:
    """Payout created (hold): available / reserved. ``amount`` includes our fee and its IVA."""
    legs = [debit("available", amount, merchant), credit("reserved", amount, merchant)]
    return post("payout_created", source, legs, livemode=livemode, when=when, description="Dispersión: dinero retenido")


def payout_settled(
    merchant: Merchant, *, livemode: bool, source: str, amount: int, fee: int, fee_tax: int, when: When
) -> Transaction:
    """Payout settled: reserved / stp_cash, fee_revenue, iva_payable. ``amount`` is what the beneficiary got."""
    held = valid_amount(amount) + part_or_zero(fee) + part_or_zero(fee_tax)
    legs = [debit("reserved", held, merchant), credit("stp_cash", amount), *fee_credits(fee, fee_tax)]
    return post("payout_settled", source, legs, livemode=livemode, when=when, description="Dispersión liquidada")


def payout_failed(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: When) -> Transaction:
    """Payout failed (also a return before it settled): reserved / available."""
    legs = [debit("reserved", amount, merchant), credit("available", amount, merchant)]
    return post(
        "payout_failed", source, legs, livemode=livemode, when=when, description="Dispersión fallida: dinero de vuelta"
    )


def payout_returned(
    merchant: Merchant, *, livemode: bool, source: str, amount: int, fee: int = 0, fee_tax: int = 0, when: When
) -> Transaction:
    """Payout returned after settlement: stp_cash, by setting fee_revenue and iva_payable / available."""
    back = valid_amount(amount) + part_or_zero(fee) + part_or_zero(fee_tax)
    legs = [debit("stp_cash", amount), *fee_debits(fee, fee_tax), credit("available", back, merchant)]
    return post("payout_returned", source, legs, livemode=livemode, when=when, description="Dispersión devuelta")


def refund_created(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: When) -> Transaction:
    """Refund created (hold), from available and never from pending: available / reserved."""
    legs = [debit("available", amount, merchant), credit("reserved", amount, merchant)]
    return post("refund_created", source, legs, livemode=livemode, when=when, description="Reembolso: dinero retenido")


def refund_settled(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: When) -> Transaction:
    """Refund settled: reserved / stp_cash."""
    legs = [debit("reserved", amount, merchant), credit("stp_cash", amount)]
    return post("refund_settled", source, legs, livemode=livemode, when=when, description="Reembolso liquidado")


def refund_failed(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: When) -> Transaction:
    """Refund failed: reserved / available."""
    legs = [debit("reserved", amount, merchant), credit("available", amount, merchant)]
    return post(
        "refund_failed", source, legs, livemode=livemode, when=when, description="Reembolso fallido: dinero de vuelta"
    )


def refund_returned(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: When) -> Transaction:
    """Refund returned by the receiving bank: stp_cash / available."""
    legs = [debit("stp_cash", amount), credit("available", amount, merchant)]
    return post("refund_returned", source, legs, livemode=livemode, when=when, description="Reembolso devuelto")


def payment_reversed(
    merchant: Merchant, *, livemode: bool, source: str, amount: int, from_debt: int, when: When
) -> Transaction:
    """Credited SPEI that must go back (cause 18/26, authority): available, debt / reserved, then as a payout.

    ``from_debt`` is the part of ``amount`` that the merchant cannot cover and owes us from now on.
    """
    if part_or_zero(from_debt) > valid_amount(amount):
        raise Unbalanced("The debt is more than the amount that goes back.")
    covered = amount - from_debt
    legs = [
        *([debit("available", covered, merchant)] if covered else []),
        *([debit("debt", from_debt, merchant)] if from_debt else []),
        credit("reserved", amount, merchant),
    ]
    return post(
        "payment_reversed", source, legs, livemode=livemode, when=when, description="Pago revertido: dinero retenido"
    )


def payment_return_settled(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: When) -> Transaction:
    """… settled: reserved / stp_cash."""
    legs = [debit("reserved", amount, merchant), credit("stp_cash", amount)]
    return post(
        "payment_return_settled", source, legs, livemode=livemode, when=when, description="Pago devuelto al ordenante"
    )


def payment_return_failed(
    merchant: Merchant, *, livemode: bool, source: str, amount: int, to_debt: int, when: When
) -> Transaction:
    """… failed: reserved / debt, available. ``to_debt`` is the part that the merchant owed for it."""
    rest = part_or_zero(valid_amount(amount) - part_or_zero(to_debt))
    legs = [
        debit("reserved", amount, merchant),
        *([credit("debt", to_debt, merchant)] if to_debt else []),
        *([credit("available", rest, merchant)] if rest else []),
    ]
    return post(
        "payment_return_failed", source, legs, livemode=livemode, when=when, description="Devolución del pago fallida"
    )


def debt_recovered(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: When) -> Transaction:
    """Debt recovered from new money: available / debt."""
    legs = [debit("available", amount, merchant), credit("debt", amount, merchant)]
    return post("debt_recovered", source, legs, livemode=livemode, when=when, description="Adeudo recuperado")


def debt_written_off(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: When) -> Transaction:
    """Debt written off: losses / debt."""
    legs = [debit("losses", amount), credit("debt", amount, merchant)]
    return post("debt_written_off", source, legs, livemode=livemode, when=when, description="Adeudo cancelado")


def funds_blocked(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: When) -> Transaction:
    """Compliance freeze: available / blocked."""
    legs = [debit("available", amount, merchant), credit("blocked", amount, merchant)]
    return post(
        "funds_blocked", source, legs, livemode=livemode, when=when, description="Dinero congelado por cumplimiento"
    )


def funds_unblocked(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: When) -> Transaction:
    """Compliance release: blocked / available."""
    legs = [debit("blocked", amount, merchant), credit("available", amount, merchant)]
    return post(
        "funds_unblocked", source, legs, livemode=livemode, when=when, description="Dinero liberado por cumplimiento"
    )
