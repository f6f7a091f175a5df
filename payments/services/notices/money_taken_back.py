"""Notices of money that was refunded to the payer or is disputed. We never request that: staff must review it."""

from __future__ import annotations

from core.state import Origin
from core.writes import Sql
from payments.models import Payment, ProviderAccount
from payments.providers.base import MoneyTakenBack
from payments.services.notices import payment_target
from payments.services.notices.outcome import CONFLICT, UNMATCHED, Outcome
from payments.services.notices.payment_target import parse_target
from payments.services.notices.target import NoticeTarget, locked_row

__all__ = ["apply", "early_outcome", "lock_query", "parse_target"]


def lock_query(account: ProviderAccount, notice: MoneyTakenBack) -> Sql | None:
    """Finds the payment by its order or its id."""
    return payment_target.lock_query(account, {"order_id": notice.order_id, "public_id": notice.payment_id})


def early_outcome(account: ProviderAccount, notice: MoneyTakenBack) -> Outcome | None:
    """None: the outcome depends on the payment."""
    return None


def apply(
    account: ProviderAccount, notice: MoneyTakenBack, origin: Origin, target: NoticeTarget[Payment] | None
) -> Outcome:
    """A conflict that names the payment; nothing is booked."""
    payment = (target or parse_target(locked_row(lock_query(account, notice)))).object
    if payment is None:
        return Outcome(False, f"{UNMATCHED}: no payment has this order", wait=True)
    return Outcome(False, f"{CONFLICT}: {notice.event_type}, which nobody here asked for", payment.public_id)
