"""Money from payers."""

from __future__ import annotations

from typing import Literal

from ledger.models import Transaction
from ledger.services.journal import PostingTime, post
from ledger.services.postings.legs import credit, debit, merchant_share
from merchants.models import Merchant

Cash = Literal["stp_cash", "conekta_receivable"]

_REASONS = {
    "unknown_clabe": "ningún pago tiene esta CLABE",
    "unknown_order": "ningún pago corresponde a esta orden",
    "underpaid": "menos que el importe del pago",
    "overpaid": "más que el importe del pago",
    "late": "pagado después de vencer o cancelarse el pago",
    "out_of_range": "fuera de los importes que acepta la CLABE",
    "clabe_closed": "pagado después de cerrar la CLABE",
    "already_paid": "el pago ya está pagado",
    "not_payable": "el estado del pago no admite dinero",
    "returned_transfer": "una transferencia nuestra que regresó",
}
"""Descriptions of reasons; an unknown reason is used as it is."""


def spei_deposit(
    merchant: Merchant,
    *,
    livemode: bool,
    source: str,
    amount: int,
    fee: int,
    fee_tax: int,
    when: PostingTime,
) -> Transaction:
    """SPEI deposit credited: stp_cash / available, fee_revenue, iva_payable."""
    legs = [debit("stp_cash", amount), *merchant_share("available", merchant, amount, fee, fee_tax)]
    description = "Depósito SPEI abonado"
    return post("spei_deposit", source, legs, livemode=livemode, when=when, description=description)


def oxxo_paid(
    merchant: Merchant,
    *,
    livemode: bool,
    source: str,
    amount: int,
    fee: int,
    fee_tax: int,
    when: PostingTime,
) -> Transaction:
    """OXXO paid: conekta_receivable / pending, fee_revenue, iva_payable."""
    legs = [debit("conekta_receivable", amount), *merchant_share("pending", merchant, amount, fee, fee_tax)]
    description = "Pago OXXO recibido por Conekta"
    return post("oxxo_paid", source, legs, livemode=livemode, when=when, description=description)


def conekta_fee(*, livemode: bool, source: str, fee: int, fee_tax: int, when: PostingTime) -> Transaction:
    """Conekta's own fee: provider_fees, iva_creditable / conekta_receivable."""
    legs = [debit("provider_fees", fee), debit("iva_creditable", fee_tax), credit("conekta_receivable", fee + fee_tax)]
    return post("conekta_fee", source, legs, livemode=livemode, when=when, description="Comisión de Conekta y su IVA")


def oxxo_received(*, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """OXXO received at the bank (matched transfer): bank_cash / conekta_receivable."""
    legs = [debit("bank_cash", amount), credit("conekta_receivable", amount)]
    return post("oxxo_received", source, legs, livemode=livemode, when=when, description="Transferencia de Conekta")


def oxxo_released(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """… and released to the merchant: pending / available."""
    legs = [debit("pending", amount, merchant), credit("available", amount, merchant)]
    return post("oxxo_released", source, legs, livemode=livemode, when=when, description="Dinero de OXXO liberado")


def merchant_top_up(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Merchant top-up by its funding CLABE (no fee): stp_cash / available."""
    legs = [debit("stp_cash", amount), credit("available", amount, merchant)]
    return post("merchant_top_up", source, legs, livemode=livemode, when=when, description="Fondeo del comercio")


def deposit_suspended(
    *,
    livemode: bool,
    source: str,
    cash: Cash,
    amount: int,
    reason: str,
    when: PostingTime,
) -> Transaction:
    """Deposit not creditable (unknown CLABE, policy, late): stp_cash or conekta_receivable / suspense."""
    legs = [debit(cash, amount), credit("suspense", amount)]
    description = f"Depósito por identificar: {_REASONS.get(reason, reason)}"
    return post("deposit_suspended", source, legs, livemode=livemode, when=when, description=description)


def suspense_assigned(
    merchant: Merchant,
    *,
    livemode: bool,
    source: str,
    amount: int,
    fee: int,
    fee_tax: int,
    when: PostingTime,
    share: Literal["available", "pending"] = "available",
) -> Transaction:
    """Suspense assigned to a merchant: suspense / available, fee_revenue, iva_payable.

    ``share`` is ``pending`` for money that Conekta still owes us.
    """
    legs = [debit("suspense", amount), *merchant_share(share, merchant, amount, fee, fee_tax)]
    description = "Depósito por identificar asignado"
    return post("suspense_assigned", source, legs, livemode=livemode, when=when, description=description)


def suspense_return_created(*, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Suspense sent back, created: suspense / suspense_reserved."""
    legs = [debit("suspense", amount), credit("suspense_reserved", amount)]
    return post(
        "suspense_return_created",
        source,
        legs,
        livemode=livemode,
        when=when,
        description="Devolución de un depósito por identificar",
    )


def suspense_return_settled(*, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Suspense sent back, settled: suspense_reserved / stp_cash."""
    legs = [debit("suspense_reserved", amount), credit("stp_cash", amount)]
    return post(
        "suspense_return_settled",
        source,
        legs,
        livemode=livemode,
        when=when,
        description="Depósito por identificar devuelto",
    )


def suspense_return_failed(*, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Suspense sent back, failed: suspense_reserved / suspense."""
    legs = [debit("suspense_reserved", amount), credit("suspense", amount)]
    return post(
        "suspense_return_failed",
        source,
        legs,
        livemode=livemode,
        when=when,
        description="Devolución fallida: depósito por identificar otra vez",
    )


def suspense_return_settled_late(*, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Suspense sent back, settled after it was booked as failed, deposit still in suspense: suspense / stp_cash.

    If the deposit has left suspense since, post ``payout.excess_settled`` instead.
    """
    legs = [debit("suspense", amount), credit("stp_cash", amount)]
    return post(
        "suspense_return_settled_late",
        source,
        legs,
        livemode=livemode,
        when=when,
        description="Depósito por identificar devuelto, liquidado tarde",
    )


def suspense_return_returned(*, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Suspense sent back, came back: stp_cash / suspense.

    For a return reported by the provider's notice. If the incoming transfer is already booked, no posting is needed:
    its money is in suspense.
    """
    legs = [debit("stp_cash", amount), credit("suspense", amount)]
    return post(
        "suspense_return_returned",
        source,
        legs,
        livemode=livemode,
        when=when,
        description="Devolución regresada: depósito por identificar otra vez",
    )


def return_cleared(*, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Returned transfer in suspense, its payout not settled or its return already booked: suspense / stp_cash.

    ``source``: the public id of the returned transfer's deposit.
    """
    legs = [debit("suspense", amount), credit("stp_cash", amount)]
    description = "Transferencia regresada que no cambia el saldo"
    return post("return_cleared", source, legs, livemode=livemode, when=when, description=description)


def deposit_voided(*, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Forged or withdrawn deposit voided by two people: suspense / stp_cash.

    ``source``: the deposit's public id; with a number (``dep_…:2``) if it was voided before.
    """
    legs = [debit("suspense", amount), credit("stp_cash", amount)]
    return post("deposit_voided", source, legs, livemode=livemode, when=when, description="Depósito anulado")


def deposit_unvoided(*, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Voided deposit that the provider's list shows later: stp_cash / suspense. ``source`` as in ``deposit_voided``."""
    legs = [debit("stp_cash", amount), credit("suspense", amount)]
    return post(
        "deposit_unvoided", source, legs, livemode=livemode, when=when, description="Anulación del depósito revertida"
    )
