"""Our own money: between bank and STP, the owner's, providers' invoices."""

from __future__ import annotations

from typing import Literal

from ledger.models import Transaction
from ledger.services.journal import PostingTime, post
from ledger.services.postings.legs import credit, debit

OwnCash = Literal["stp_cash", "bank_cash"]


def sweep_sent(*, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Bank to STP sweep, sent: cash_in_transit / bank_cash."""
    legs = [debit("cash_in_transit", amount), credit("bank_cash", amount)]
    return post(
        "sweep_sent", source, legs, livemode=livemode, when=when, description="Traspaso del banco a STP enviado"
    )


def sweep_arrived(*, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """Bank to STP sweep, arrived: stp_cash / cash_in_transit."""
    legs = [debit("stp_cash", amount), credit("cash_in_transit", amount)]
    return post(
        "sweep_arrived", source, legs, livemode=livemode, when=when, description="Traspaso del banco recibido en STP"
    )


def owner_prefunded(*, livemode: bool, source: str, cash: OwnCash, amount: int, when: PostingTime) -> Transaction:
    """Owner prefunds: stp_cash or bank_cash / owner_funds."""
    legs = [debit(cash, amount), credit("owner_funds", amount)]
    return post("owner_prefunded", source, legs, livemode=livemode, when=when, description="Fondeo del propietario")


def stp_invoiced(*, livemode: bool, source: str, fee: int, fee_tax: int, when: PostingTime) -> Transaction:
    """STP's monthly invoice: provider_fees, iva_creditable / provider_payable."""
    legs = [debit("provider_fees", fee), debit("iva_creditable", fee_tax), credit("provider_payable", fee + fee_tax)]
    return post("stp_invoiced", source, legs, livemode=livemode, when=when, description="Factura mensual de STP")


def stp_invoice_paid(*, livemode: bool, source: str, amount: int, when: PostingTime) -> Transaction:
    """STP's monthly invoice paid: provider_payable / bank_cash."""
    legs = [debit("provider_payable", amount), credit("bank_cash", amount)]
    return post("stp_invoice_paid", source, legs, livemode=livemode, when=when, description="Factura de STP pagada")


def iva_rounded(*, livemode: bool, source: str, difference: int, when: PostingTime) -> Transaction:
    """Month-end invoice rounding of IVA: iva_payable / rounding, or rounding / iva_payable.

    ``difference``: sum of the lines less the invoice's total, in centavos. Positive: too much IVA was booked.
    """
    if type(difference) is int and difference < 0:
        legs = [debit("rounding", -difference), credit("iva_payable", -difference)]
    else:
        legs = [debit("iva_payable", difference), credit("rounding", difference)]
    return post("iva_rounded", source, legs, livemode=livemode, when=when, description="Redondeo del IVA de la factura")
