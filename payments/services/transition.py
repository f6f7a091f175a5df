"""Records of changes of state: the transition row and, for merchants, the event.

They join the open unit of work; without one, they are one statement.
"""

from __future__ import annotations

from typing import Any

from django.db import models

from core.db import transaction_required
from core.state import Origin, TransitionRow
from core.unit_of_work import joined
from core.writes import Writes
from merchants.services import event
from payments.models import (
    Clabe,
    ClabeTransition,
    Deposit,
    DepositTransition,
    Payment,
    PaymentTransition,
    Payout,
    PayoutTransition,
    Refund,
    RefundTransition,
    ReviewCase,
    ReviewCaseTransition,
)
from payments.resources.clabe import clabe as clabe_resource
from payments.resources.payment import payment as payment_resource
from payments.resources.payout import payout as payout_resource
from payments.resources.refund import refund as refund_resource


@transaction_required
def record_payment(
    payment: Payment,
    *,
    from_status: str,
    origin: Origin,
    event_type: str,
    previous: dict[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Write the payment's transition row, if its state changed, and the merchant's event."""
    with joined() as writes:
        if from_status != payment.status:
            _insert(PaymentTransition, origin, reason, writes, from_status, payment.status, payment=payment)
        event.record(
            payment.merchant,
            livemode=payment.livemode,
            type=event_type,
            obj=payment_resource(payment),
            previous=previous if previous is not None else {"status": from_status} if from_status else {},
        )


@transaction_required
def record_payout(
    payout: Payout,
    *,
    from_status: str,
    origin: Origin,
    event_type: str,
    previous: dict[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Write the payout's transition row (if its state changed) and, for a merchant's own payout, its event."""
    with joined() as writes:
        if from_status != payout.status:
            _insert(PayoutTransition, origin, reason, writes, from_status, payout.status, payout=payout)
        if payout.kind == Payout.Kind.MERCHANT:
            event.record(
                payout.merchant,
                livemode=payout.livemode,
                type=event_type,
                obj=payout_resource(payout),
                previous=previous if previous is not None else {"status": from_status} if from_status else {},
            )


@transaction_required
def record_refund(
    refund: Refund,
    *,
    from_status: str,
    origin: Origin,
    event_type: str,
    reason: str = "",
) -> None:
    """Write the refund's transition row, if its state changed, and the merchant's event, if there is one."""
    with joined() as writes:
        if from_status != refund.status:
            _insert(RefundTransition, origin, reason, writes, from_status, refund.status, refund=refund)
        if event_type:
            event.record(
                refund.merchant,
                livemode=refund.livemode,
                type=event_type,
                obj=refund_resource(refund),
                previous={"status": from_status} if from_status and from_status != refund.status else {},
            )


@transaction_required
def record_deposit(deposit: Deposit, *, from_status: str, origin: Origin, reason: str) -> None:
    """Write the deposit's transition row."""
    with joined() as writes:
        _insert(DepositTransition, origin, reason, writes, from_status, deposit.status, deposit=deposit)


@transaction_required
def record_clabe(clabe: Clabe, *, from_status: str, origin: Origin, event_type: str) -> None:
    """Write the CLABE's transition row and the merchant's event."""
    with joined() as writes:
        _insert(ClabeTransition, origin, "", writes, from_status, clabe.status, clabe=clabe)
        event.record(
            clabe.merchant,
            livemode=clabe.livemode,
            type=event_type,
            obj=clabe_resource(clabe),
            previous={"status": from_status} if from_status else {},
        )


@transaction_required
def record_review_case(case: ReviewCase, *, from_status: str, origin: Origin, reason: str) -> None:
    """Write the review case's transition row. Merchants get events of their payment only."""
    with joined() as writes:
        _insert(ReviewCaseTransition, origin, reason, writes, from_status, case.status, review_case=case)


def _insert(
    model: type[TransitionRow],
    origin: Origin,
    reason: str,
    writes: Writes,
    from_status: str,
    to_status: str,
    **about: models.Model,
) -> None:
    writes.insert_new(
        model,
        from_status=from_status,
        to_status=to_status,
        cause=origin.cause,
        actor=origin.actor,
        reference=origin.reference,
        reason=reason,
        **about,
    )
