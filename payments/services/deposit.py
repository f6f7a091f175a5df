"""Booking of deposits: the only path by which received money is credited to a payment or put in suspense.

Lock order: inbox row, review case, payment, ledger accounts. All changes of a function, including postings, transition
rows and events, join the caller's unit of work; without one, they are one statement.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.conf import settings

from core import calendar, clock
from core.db import transaction_required
from core.state import Origin
from core.unit_of_work import joined
from ledger.services.journal import OLDEST_EFFECTIVE, PostingTime
from ledger.services.postings import pay_in
from payments.models import Clabe, Deposit, Payment, ReviewCase
from payments.providers import registry
from payments.services.fee import additional_fee
from payments.services.transition import record_deposit, record_payment, record_review_case

logger = logging.getLogger(__name__)

_SLACK = timedelta(minutes=1)
_PAYMENT_COLUMNS = (
    "status",
    "amount_received",
    "fee",
    "fee_tax",
    "tracking_key",
    "payer_name",
    "payer_account",
    "payer_institution",
    "operating_date",
    "completed_at",
)
"""Columns of a payment that a deposit changes."""


@transaction_required
def credit(deposit: Deposit, payment: Payment, *, origin: Origin) -> None:
    """Credit a new deposit to ``payment``, whose row is locked or was created in this transaction."""
    before, seen = payment.status, _amounts(payment)
    _apply_deposit(deposit, payment)
    with joined() as writes:
        writes.insert(deposit)
        writes.update(payment, *_PAYMENT_COLUMNS)
        post = getattr(pay_in, registry.method(payment.method).posting)
        post(
            payment.merchant,
            livemode=deposit.livemode,
            source=deposit.public_id,
            amount=deposit.amount,
            fee=deposit.fee,
            fee_tax=deposit.fee_tax,
            when=posting_time(deposit),
        )
        record_deposit(deposit, from_status=Deposit.Status.RECEIVED, origin=origin, reason="")
        _record_payment(payment, before, seen, origin)


@transaction_required
def credit_from_suspense(deposit: Deposit, payment: Payment, *, origin: Origin, reason: str) -> None:
    """Credit a deposit in suspense to ``payment``; both rows are locked. The posting takes effect now."""
    before, seen = payment.status, _amounts(payment)
    now = clock.now()
    _apply_deposit(deposit, payment)
    with joined() as writes:
        writes.update(deposit, "status", "purpose", "payment", "reusable_clabe", "fee", "fee_tax")
        writes.update(payment, *_PAYMENT_COLUMNS)
        pay_in.suspense_assigned(
            payment.merchant,
            livemode=deposit.livemode,
            source=deposit.public_id,
            share=registry.method(payment.method).share,
            amount=deposit.amount,
            fee=deposit.fee,
            fee_tax=deposit.fee_tax,
            when=PostingTime(now, calendar.operating_date(now)),
        )
        record_deposit(deposit, from_status=Deposit.Status.SUSPENDED, origin=origin, reason=reason)
        _record_payment(payment, before, seen, origin, reason)


@transaction_required
def suspend(
    deposit: Deposit,
    reason: Deposit.SuspenseReason,
    *,
    payment: Payment | None,
    reusable_clabe: Clabe | None,
    return_of: str = "",
    origin: Origin,
) -> None:
    """Put a new deposit in suspense, with a review case. ``payment`` and ``reusable_clabe`` are its destination.

    ``return_of``: the tracking key of the payout that it may return.
    """
    deposit.suspend(reason=reason, payment=payment, reusable_clabe=reusable_clabe)
    with joined() as writes:
        writes.insert(deposit)
        pay_in.deposit_suspended(
            livemode=deposit.livemode,
            source=deposit.public_id,
            cash=registry.method_at(deposit.provider_account.provider).cash,
            amount=deposit.amount,
            reason=reason,
            when=posting_time(deposit),
        )
        record_deposit(deposit, from_status=Deposit.Status.RECEIVED, origin=origin, reason=reason)
        _open_review_case(deposit, return_of, origin)
        if payment is not None:
            record_payment(
                payment,
                from_status=payment.status,
                origin=origin,
                event_type="payment.review_required",
                previous={},
            )
    logger.warning("deposit in suspense", extra={"deposit": deposit.public_id, "why": str(reason)})


def _open_review_case(deposit: Deposit, return_of: str, origin: Origin) -> None:
    """Open a review case for a new deposit in suspense."""
    sent_to = deposit.payment or deposit.reusable_clabe
    now = clock.now()
    case = ReviewCase(
        livemode=deposit.livemode,
        deposit=deposit,
        merchant=sent_to.merchant if sent_to else None,
        payment=deposit.payment,
        reason=deposit.suspense_reason,
        status=ReviewCase.Status.TO_MATCH if return_of else ReviewCase.Status.OPEN,
        return_of=return_of,
        due_at=now + settings.REVIEW_WITHIN,
        created_at=now,
    )
    with joined() as writes:
        writes.insert(case)
        record_review_case(case, from_status="", origin=origin, reason=deposit.suspense_reason)


def _apply_deposit(deposit: Deposit, payment: Payment) -> None:
    """Apply the deposit to the payment in memory: states, fee and amounts."""
    fee, fee_tax = additional_fee(payment, deposit.amount)
    deposit.credit(payment=payment, fee=fee, fee_tax=fee_tax)
    if payment.status == Payment.Status.COMPLETED:
        payment.receive(deposit)
    else:
        payment.complete(deposit=deposit, completed_at=clock.now())


def _amounts(payment: Payment) -> dict[str, Any]:
    return {name: getattr(payment, name) for name in ("amount_received", "fee", "fee_tax", "net")}


def _record_payment(payment: Payment, before: str, seen: dict[str, Any], origin: Origin, reason: str = "") -> None:
    """Record ``payment.completed`` for the first deposit, else ``payment.updated`` with the former amounts."""
    further = before == payment.status
    record_payment(
        payment,
        from_status=before,
        origin=origin,
        event_type="payment.updated" if further else "payment.completed",
        previous=seen if further else None,
        reason=reason,
    )


def posting_time(deposit: Deposit) -> PostingTime:
    """The provider's time of payment, but not older than the ledger accepts.

    The slack is needed because the ledger reads the clock a little later.
    """
    return PostingTime(max(deposit.paid_at, clock.now() - OLDEST_EFFECTIVE + _SLACK), deposit.operating_date)
