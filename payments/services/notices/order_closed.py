"""Notices of an order that expired or was cancelled at the provider: its payment follows."""

from __future__ import annotations

from core import clock
from core.state import Origin
from core.unit_of_work import joined
from core.writes import Sql
from payments.models import Payment, ProviderAccount
from payments.providers.base import OrderClosed
from payments.services.notices import payment_target
from payments.services.notices.outcome import UNMATCHED, Outcome
from payments.services.notices.payment_target import parse_target
from payments.services.notices.target import NoticeTarget, locked_row
from payments.services.payment import WAITING
from payments.services.transition import record_payment

__all__ = ["apply", "early_outcome", "lock_query", "parse_target"]


def lock_query(account: ProviderAccount, notice: OrderClosed) -> Sql | None:
    """Finds the payment by its order or its id."""
    return payment_target.lock_query(account, {"order_id": notice.order_id, "public_id": notice.payment_id})


def early_outcome(account: ProviderAccount, notice: OrderClosed) -> Outcome | None:
    """None: the outcome depends on the payment."""
    return None


def apply(
    account: ProviderAccount, notice: OrderClosed, origin: Origin, target: NoticeTarget[Payment] | None
) -> Outcome:
    """Expire or cancel a payment that is still open; any other payment is not changed."""
    payment = (target or parse_target(locked_row(lock_query(account, notice)))).object
    if payment is None:
        return Outcome(False, f"{UNMATCHED}: no payment has this order", wait=True)
    if payment.order_id not in (None, notice.order_id):
        return Outcome(False, "another_order", payment.public_id)
    if payment.status not in WAITING:
        return Outcome(False, "stale", payment.public_id)
    before = payment.status
    if notice.reason == "expired":
        payment.expire()
    else:
        payment.cancel(at=clock.now())
    with joined() as writes:
        writes.update(payment, "status", "cancelled_at")
        record_payment(payment, from_status=before, origin=origin, event_type=f"payment.{payment.status}")
    return Outcome(True, notice.reason, payment.public_id)
