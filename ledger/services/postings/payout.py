"""Money to others: payouts, refunds, reversals, and what comes back.

Postings that move ``reserved`` are only made by ``ledger.services.hold``, together with the hold. Operations that can
be retried use the attempt's payout as ``source``. ``cash`` is the account of returned money: ``stp_cash`` if the
provider's notice reported the return, ``suspense`` if the incoming transfer was booked there first. Both use the same
kind, so that a return that is reported both ways is posted once.
"""

from __future__ import annotations

from typing import Literal

from ledger.models import Transaction
from ledger.services.errors import Unbalanced
from ledger.services.journal import Leg, PostingTime, post, valid_amount
from ledger.services.postings.legs import credit, debit, fee_credits, fee_debits, part_or_zero
from merchants.models import Merchant

ReturnedTo = Literal["stp_cash", "suspense"]


def payout_created(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Payout created (hold): available / reserved. ``amount`` includes our fee and its IVA."""
    legs = [debit("available", amount, merchant), credit("reserved", amount, merchant)]
    return post("payout_created", source, legs, livemode=livemode, when=when, description="Dispersión: dinero retenido")


def payout_settled(
    merchant: Merchant, *, livemode: bool, source: str, amount: int, fee: int, fee_tax: int, when: PostingTime
) -> Transaction:
    """Payout settled: reserved / stp_cash, fee_revenue, iva_payable. ``amount`` is what the beneficiary got."""
    held = valid_amount(amount) + part_or_zero(fee) + part_or_zero(fee_tax)
    legs = [debit("reserved", held, merchant), credit("stp_cash", amount), *fee_credits(fee, fee_tax)]
    return post("payout_settled", source, legs, livemode=livemode, when=when, description="Dispersión liquidada")


def payout_failed(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Payout failed (also a return before it settled): reserved / available."""
    legs = [debit("reserved", amount, merchant), credit("available", amount, merchant)]
    return post(
        "payout_failed", source, legs, livemode=livemode, when=when, description="Dispersión fallida: dinero de vuelta"
    )


def payout_settled_late(
    merchant: Merchant,
    *,
    livemode: bool,
    source: str,
    amount: int,
    fee: int,
    fee_tax: int,
    from_debt: int,
    when: PostingTime,
) -> Transaction:
    """Payout settled after it was booked as failed: available, debt / stp_cash, fee_revenue, iva_payable.

    ``from_debt`` is the part of amount, fee and IVA that ``available`` does not cover.
    """
    spent = valid_amount(amount) + part_or_zero(fee) + part_or_zero(fee_tax)
    legs = [
        *_available_then_debt(merchant, spent, from_debt),
        credit("stp_cash", amount),
        *fee_credits(fee, fee_tax),
    ]
    return post(
        "payout_settled_late", source, legs, livemode=livemode, when=when, description="Dispersión liquidada tarde"
    )


def payout_returned(
    merchant: Merchant,
    *,
    livemode: bool,
    source: str,
    amount: int,
    fee: int = 0,
    fee_tax: int = 0,
    cash: ReturnedTo = "stp_cash",
    when: PostingTime,
) -> Transaction:
    """Payout returned after settlement: stp_cash or suspense, by setting fee_revenue and iva_payable / available."""
    back = valid_amount(amount) + part_or_zero(fee) + part_or_zero(fee_tax)
    legs = [debit(cash, amount), *fee_debits(fee, fee_tax), credit("available", back, merchant)]
    return post("payout_returned", source, legs, livemode=livemode, when=when, description="Dispersión devuelta")


def batch_accepted(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Batch accepted, one posting for all rows: available / reserved. ``amount`` includes all fees and IVA.

    The batch's hold is then split into holds of its payouts, without a posting.
    """
    legs = [debit("available", amount, merchant), credit("reserved", amount, merchant)]
    return post(
        "batch_accepted", source, legs, livemode=livemode, when=when, description="Lote de dispersión: dinero retenido"
    )


def batch_released(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Part of a batch that no payout used: reserved / available."""
    legs = [debit("reserved", amount, merchant), credit("available", amount, merchant)]
    return post(
        "batch_released", source, legs, livemode=livemode, when=when, description="Lote de dispersión: dinero de vuelta"
    )


def refund_created(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Refund created (hold), from available and never from pending: available / reserved."""
    legs = [debit("available", amount, merchant), credit("reserved", amount, merchant)]
    return post("refund_created", source, legs, livemode=livemode, when=when, description="Reembolso: dinero retenido")


def refund_settled(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Refund settled: reserved / stp_cash."""
    legs = [debit("reserved", amount, merchant), credit("stp_cash", amount)]
    return post("refund_settled", source, legs, livemode=livemode, when=when, description="Reembolso liquidado")


def refund_failed(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Refund failed: reserved / available."""
    legs = [debit("reserved", amount, merchant), credit("available", amount, merchant)]
    return post(
        "refund_failed", source, legs, livemode=livemode, when=when, description="Reembolso fallido: dinero de vuelta"
    )


def refund_settled_late(
    merchant: Merchant, *, livemode: bool, source: str, amount: int, from_debt: int, when: PostingTime
) -> Transaction:
    """Refund settled after it was booked as failed: available, debt / stp_cash. ``from_debt`` as for a payout."""
    legs = [*_available_then_debt(merchant, amount, from_debt), credit("stp_cash", amount)]
    return post(
        "refund_settled_late", source, legs, livemode=livemode, when=when, description="Reembolso liquidado tarde"
    )


def refund_returned(
    merchant: Merchant, *, livemode: bool, source: str, amount: int, cash: ReturnedTo = "stp_cash", when: PostingTime
) -> Transaction:
    """Refund returned by the receiving bank: stp_cash or suspense / available."""
    legs = [debit(cash, amount), credit("available", amount, merchant)]
    return post("refund_returned", source, legs, livemode=livemode, when=when, description="Reembolso devuelto")


def payment_reversed(
    merchant: Merchant, *, livemode: bool, source: str, amount: int, from_debt: int, when: PostingTime
) -> Transaction:
    """Credited SPEI that must go back (cause 18/26, authority): available, debt / reserved, then as a payout.

    ``from_debt`` is the part of ``amount`` that ``available`` does not cover; it becomes debt.
    """
    legs = [*_available_then_debt(merchant, amount, from_debt), credit("reserved", amount, merchant)]
    return post(
        "payment_reversed", source, legs, livemode=livemode, when=when, description="Pago revertido: dinero retenido"
    )


def payment_return_settled(
    merchant: Merchant, *, livemode: bool, source: str, amount: int, when: PostingTime
) -> Transaction:
    """… settled: reserved / stp_cash."""
    legs = [debit("reserved", amount, merchant), credit("stp_cash", amount)]
    return post(
        "payment_return_settled", source, legs, livemode=livemode, when=when, description="Pago devuelto al ordenante"
    )


def payment_return_failed(
    merchant: Merchant, *, livemode: bool, source: str, amount: int, to_debt: int, when: PostingTime
) -> Transaction:
    """… failed: reserved / debt, available. ``to_debt`` is the part that the merchant still owes for it."""
    legs = [debit("reserved", amount, merchant), *_debt_then_available(merchant, amount, to_debt)]
    return post(
        "payment_return_failed", source, legs, livemode=livemode, when=when, description="Devolución del pago fallida"
    )


def payment_return_settled_late(
    merchant: Merchant, *, livemode: bool, source: str, amount: int, from_debt: int, when: PostingTime
) -> Transaction:
    """… settled after it was booked as failed: available, debt / stp_cash. ``from_debt`` as for a payout."""
    legs = [*_available_then_debt(merchant, amount, from_debt), credit("stp_cash", amount)]
    return post(
        "payment_return_settled_late",
        source,
        legs,
        livemode=livemode,
        when=when,
        description="Pago devuelto al ordenante, liquidado tarde",
    )


def payment_return_returned(
    merchant: Merchant,
    *,
    livemode: bool,
    source: str,
    amount: int,
    to_debt: int,
    cash: ReturnedTo = "stp_cash",
    when: PostingTime,
) -> Transaction:
    """… came back after it settled: stp_cash or suspense / debt, available. ``to_debt`` as for a failed one."""
    legs = [debit(cash, amount), *_debt_then_available(merchant, amount, to_debt)]
    return post(
        "payment_return_returned",
        source,
        legs,
        livemode=livemode,
        when=when,
        description="Devolución del pago regresada",
    )


def excess_settled(*, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Second attempt of a refund or suspense return settled too, or more was sent than received: losses / stp_cash."""
    legs = [debit("losses", amount), credit("stp_cash", amount)]
    return post("excess_settled", source, legs, livemode=livemode, when=when, description="Devolución pagada de más")


def excess_returned(
    *, livemode: bool, source: str, amount: int, cash: ReturnedTo = "stp_cash", when: PostingTime
) -> Transaction:
    """… one of several settled attempts came back: stp_cash or suspense / losses."""
    legs = [debit(cash, amount), credit("losses", amount)]
    return post(
        "excess_returned",
        source,
        legs,
        livemode=livemode,
        when=when,
        description="Devolución pagada de más, recuperada",
    )


def penny_test_settled(*, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Penny test of an account, at our cost: provider_fees / stp_cash."""
    legs = [debit("provider_fees", amount), credit("stp_cash", amount)]
    return post(
        "penny_test_settled", source, legs, livemode=livemode, when=when, description="Prueba de cuenta con un centavo"
    )


def penny_test_returned(
    *, livemode: bool, source: str, amount: int, cash: ReturnedTo = "stp_cash", when: PostingTime
) -> Transaction:
    """Penny test came back: stp_cash or suspense / provider_fees."""
    legs = [debit(cash, amount), credit("provider_fees", amount)]
    return post(
        "penny_test_returned", source, legs, livemode=livemode, when=when, description="Prueba de cuenta devuelta"
    )


def debt_recovered(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Debt recovered from new money: available / debt."""
    legs = [debit("available", amount, merchant), credit("debt", amount, merchant)]
    return post("debt_recovered", source, legs, livemode=livemode, when=when, description="Adeudo recuperado")


def debt_written_off(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Debt written off: losses / debt."""
    legs = [debit("losses", amount), credit("debt", amount, merchant)]
    return post("debt_written_off", source, legs, livemode=livemode, when=when, description="Adeudo cancelado")


def funds_blocked(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Compliance freeze: available / blocked."""
    legs = [debit("available", amount, merchant), credit("blocked", amount, merchant)]
    return post(
        "funds_blocked", source, legs, livemode=livemode, when=when, description="Dinero congelado por cumplimiento"
    )


def funds_unblocked(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Compliance release: blocked / available."""
    legs = [debit("blocked", amount, merchant), credit("available", amount, merchant)]
    return post(
        "funds_unblocked", source, legs, livemode=livemode, when=when, description="Dinero liberado por cumplimiento"
    )


def _available_then_debt(merchant: Merchant, amount: int, from_debt: int) -> list[Leg]:
    """Debits of ``available`` and ``debt`` that sum to ``amount``, of which ``from_debt`` is debt."""
    if part_or_zero(from_debt) > valid_amount(amount):
        raise Unbalanced("The debt is greater than the amount.")
    covered = amount - from_debt
    return [
        *([debit("available", covered, merchant)] if covered else []),
        *([debit("debt", from_debt, merchant)] if from_debt else []),
    ]


def _debt_then_available(merchant: Merchant, amount: int, to_debt: int) -> list[Leg]:
    """Credits of ``debt`` and ``available`` that sum to ``amount``, of which ``to_debt`` reduces debt."""
    rest = part_or_zero(valid_amount(amount) - part_or_zero(to_debt))
    return [
        *([credit("debt", to_debt, merchant)] if to_debt else []),
        *([credit("available", rest, merchant)] if rest else []),
    ]
