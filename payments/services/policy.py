"""Deposit policy: which deposits are credited and which are kept in suspense (docs/adr/0021)."""

from __future__ import annotations

from collections.abc import Collection

from merchants.models import Merchant
from payments.models import Clabe, Deposit, Payment

Reason = Deposit.SuspenseReason
Policy = Merchant.DepositPolicy

PAYABLE = frozenset(
    {
        Payment.Status.PENDING,
        Payment.Status.PROCESSING,
        Payment.Status.EXPIRED,
        Payment.Status.CANCELLED,
        Payment.Status.COMPLETED,
    }
)
"""States in which a payment accepts money; failed and reversed payments never do."""

ALWAYS_SUSPENDED = frozenset({Reason.UNKNOWN_CLABE, Reason.UNKNOWN_ORDER, Reason.RETURNED_TRANSFER, Reason.NOT_PAYABLE})
"""Reasons that no policy credits: the owner is unknown, or the payment cannot accept money."""

SUSPENDED: dict[str, frozenset[Reason]] = {
    Policy.EXACT: frozenset(
        {Reason.UNDERPAID, Reason.OVERPAID, Reason.ALREADY_PAID, Reason.OUT_OF_RANGE, Reason.CLABE_CLOSED}
    ),
    Policy.ACCEPT_ANY: frozenset(),
    Policy.REVIEW: frozenset(
        {
            Reason.UNDERPAID,
            Reason.OVERPAID,
            Reason.ALREADY_PAID,
            Reason.LATE,
            Reason.OUT_OF_RANGE,
            Reason.CLABE_CLOSED,
        }
    ),
}
"""Policy -> further reasons for which it keeps money in suspense."""


def differences_from_payment(payment: Payment, deposit: Deposit) -> list[Reason]:
    """The differences of ``deposit`` from ``payment``, most important first. Late by the provider's time."""
    if payment.status not in PAYABLE:
        return [Reason.NOT_PAYABLE]
    if payment.status == Payment.Status.COMPLETED:
        return [Reason.ALREADY_PAID]
    found = []
    if deposit.amount != payment.amount:
        found.append(Reason.UNDERPAID if deposit.amount < payment.amount else Reason.OVERPAID)
    if payment.is_late(deposit.paid_at):
        found.append(Reason.LATE)
    return found


def differences_from_clabe(clabe: Clabe, deposit: Deposit) -> list[Reason]:
    """The differences of ``deposit`` from the terms of ``clabe``, most important first."""
    found = []
    if clabe.was_closed(deposit.paid_at):
        found.append(Reason.CLABE_CLOSED)
    if not clabe.takes(deposit.amount):
        found.append(Reason.OUT_OF_RANGE)
    return found


def suspense_reason(merchant: Merchant, differences: Collection[Reason]) -> Reason | None:
    """The first difference for which the merchant's policy keeps the money in suspense; None: credit it."""
    kept = ALWAYS_SUSPENDED | SUSPENDED[merchant.deposit_policy]
    return next((reason for reason in differences if reason in kept), None)
