"""Leaving a trace: the transition row and the merchant's event that belong to every change of state."""

from __future__ import annotations

from typing import Any

from core.db import transaction_required
from core.state import Origin
from merchants.services import event
from payments.models import Deposit, DepositTransition, Payment, PaymentTransition
from payments.resources.payment import payment as payment_resource


@transaction_required
def record_payment(
    payment: Payment, *, from_status: str, origin: Origin, event_type: str, previous: dict[str, Any] | None = None
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
        )
    event.record(
        payment.merchant,
        livemode=payment.livemode,
        type=event_type,
        obj=payment_resource(payment),
        previous=previous if previous is not None else {"status": from_status} if from_status else {},
    )


@transaction_required
def record_deposit(deposit: Deposit, *, origin: Origin) -> None:
    """Write the deposit's first transition row: how it was decided when it arrived."""
    DepositTransition.objects.create(
        deposit=deposit,
        from_status=Deposit.Status.RECEIVED,
        to_status=deposit.status,
        cause=origin.cause,
        actor=origin.actor,
        reference=origin.reference,
        reason=deposit.suspense_reason,
    )
