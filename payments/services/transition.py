"""Leaving a trace: the transition row and the merchant's event that belong to every change of state."""

from __future__ import annotations

from typing import Any

from core.db import transaction_required
from core.state import Origin
from merchants.services import event
from payments.models import (
    Clabe,
    ClabeTransition,
    Deposit,
    DepositTransition,
    Payment,
    PaymentTransition,
    ReviewCase,
    ReviewCaseTransition,
)
from payments.resources.clabe import clabe as clabe_resource
from payments.resources.payment import payment as payment_resource


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
    """Write the payment's transition row (if its state changed) and the event its merchant sees."""
    if from_status != payment.status:
        PaymentTransition.objects.create(
            payment=payment,
            from_status=from_status,
            to_status=payment.status,
            cause=origin.cause,
            actor=origin.actor,
            reference=origin.reference,
            reason=reason,
        )
    event.record(
        payment.merchant,
        livemode=payment.livemode,
        type=event_type,
        obj=payment_resource(payment),
        previous=previous if previous is not None else {"status": from_status} if from_status else {},
    )


@transaction_required
def record_deposit(deposit: Deposit, *, from_status: str, origin: Origin, reason: str) -> None:
    """Write the deposit's transition row."""
    DepositTransition.objects.create(
        deposit=deposit,
        from_status=from_status,
        to_status=deposit.status,
        cause=origin.cause,
        actor=origin.actor,
        reference=origin.reference,
        reason=reason,
    )


@transaction_required
def record_clabe(clabe: Clabe, *, from_status: str, origin: Origin, event_type: str) -> None:
    """Write the CLABE's transition row and the event its merchant sees."""
    ClabeTransition.objects.create(
        clabe=clabe,
        from_status=from_status,
        to_status=clabe.status,
        cause=origin.cause,
        actor=origin.actor,
        reference=origin.reference,
    )
    event.record(
        clabe.merchant,
        livemode=clabe.livemode,
        type=event_type,
        obj=clabe_resource(clabe),
        previous={"status": from_status} if from_status else {},
    )


@transaction_required
def record_review_case(case: ReviewCase, *, from_status: str, origin: Origin, reason: str) -> None:
    """Write the review case's transition row: who decided, and why. Merchants hear of it through their payment."""
    ReviewCaseTransition.objects.create(
        review_case=case,
        from_status=from_status,
        to_status=case.status,
        cause=origin.cause,
        actor=origin.actor,
        reference=origin.reference,
        reason=reason,
    )
