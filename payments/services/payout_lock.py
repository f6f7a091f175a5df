"""Locks of payouts and of refunds, in the order of the whole house.

Approval, payment, deposit, refund, payout. A payout that is an attempt of a refund is locked together with all of
these and with the refund's other attempts, because what becomes of it changes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from core.db import transaction_required
from core.writes import column_names, fetch, hydrate
from merchants.models import Merchant
from payments.models import Deposit, Payout, Refund
from payments.models.payout import APPROVAL_KIND
from payments.services import payment as payment_service
from staff.models import Approval
from staff.services import approval


@transaction_required
def lock(payout_id: int) -> Payout:
    """The payout with its merchant, its row locked until the transaction ends.

    An attempt of a refund comes with the locked refund in ``refund``: see ``lock_refund``.
    """
    rows = fetch(
        f"SELECT {payout_and_merchant()} FROM payments_payout p "  # noqa: S608 - constants only
        "JOIN merchants_merchant m ON m.id = p.merchant_id WHERE p.id = $1 AND p.refund_id IS NULL "
        "FOR NO KEY UPDATE OF p",
        [payout_id],
    )
    if rows:
        return locked(rows[0])
    refund_id = Payout.objects.values_list("refund_id", flat=True).get(pk=payout_id)
    if refund_id is None:
        raise Payout.DoesNotExist
    attempts = lock_refund(refund_id).attempts_read
    return next(payout for payout in attempts if payout.pk == payout_id)


@transaction_required
def lock_refund(refund_id: int) -> Refund:
    """The refund with its payment, deposit, merchant and attempts (``attempt_rows``), all locked, and so are the
    approvals that its attempts wait for.
    """
    found = Refund.objects.select_related("payment__merchant").get(pk=refund_id)
    waiting = found.attempts.filter(status=Payout.Status.PENDING_APPROVAL).order_by("pk")
    for public_id in waiting.values_list("public_id", flat=True):
        lock_approval(public_id)
    payment = None if found.payment_id is None else payment_service.lock(found.payment_id)
    deposit = lock_deposit(found.deposit_id)
    refund = Refund.objects.select_for_update(of=("self",), no_key=True).select_related("merchant").get(pk=refund_id)
    refund.payment, refund.deposit = payment, deposit
    rows = fetch(
        f"SELECT {payout_and_merchant()} FROM payments_payout p "  # noqa: S608 - constants only
        "JOIN merchants_merchant m ON m.id = p.merchant_id WHERE p.refund_id = $1 ORDER BY p.id "
        "FOR NO KEY UPDATE OF p",
        [refund_id],
    )
    refund.attempt_rows = [locked(row) for row in rows]
    for payout in refund.attempt_rows:
        payout.refund = refund
    return refund


@transaction_required
def lock_deposit(deposit_id: int) -> Deposit:
    """The deposit, its row locked until the transaction ends."""
    return Deposit.objects.select_for_update(of=("self",), no_key=True).get(pk=deposit_id)


@transaction_required
def lock_approval(payout_id: str) -> Approval | None:
    """The approval of a payout (its public id), locked until the transaction ends; lock the payout after it."""
    return approval.lock_of(APPROVAL_KIND, payout_id)


def locked(row: Sequence[Any]) -> Payout:
    """The payout with its merchant from a row of ``payout_and_merchant``."""
    payout = hydrate(Payout, row[: len(Payout._meta.concrete_fields)])
    payout.merchant = hydrate(Merchant, row[len(Payout._meta.concrete_fields) :])
    return payout


@cache
def payout_and_merchant() -> str:
    """The columns that ``locked`` reads, of ``payments_payout p`` and ``merchants_merchant m``."""
    return f"{column_names(Payout, 'p')}, {column_names(Merchant, 'm')}"
