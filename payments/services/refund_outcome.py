"""What follows from the attempts of a refund: its state, the amounts of its deposit and payment, and who pays.

The merchant pays what its completed refunds of a deposit sum up to, at most the deposit's amount. What was sent beyond
that (a second attempt of one refund, or a failed refund that was settled after another one) is paid by ``losses``.
Both are functions of the present state, so that the order of settlements and returns does not matter.

Every function takes an attempt from ``payout_lock.lock``, which locked all that changes here.
"""

from __future__ import annotations

import logging
from typing import Any

from core import calendar, clock
from core.db import transaction_required
from core.state import Origin
from core.unit_of_work import joined
from ledger.services import hold
from ledger.services.journal import PostingTime
from ledger.services.postings import payout as postings
from ledger.services.postings.payout import ReturnedTo
from payments.models import Deposit, Payment, Payout, Refund
from payments.models.refund_guards import AMOUNTS
from payments.services import provider_client
from payments.services.payout_lock import lock_approval
from payments.services.transition import record_payment, record_payout, record_refund
from staff.models import Approval
from staff.services import approval

logger = logging.getLogger(__name__)

OPEN = (Refund.Status.PENDING, Refund.Status.PROCESSING)
"""States in which a refund's amount is reserved."""
PAID_TWICE = "refunded_in_excess"
"""Mark for staff: more was sent back than the merchant owes the payer; losses paid it."""
_WITHDRAWABLE = (Payout.Status.PENDING_APPROVAL, Payout.Status.PENDING)


@transaction_required
def record_change(
    payout: Payout,
    *,
    from_status: str,
    origin: Origin,
    event_type: str,
    previous: dict[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Write the payout's transition row and event and, for an attempt of a refund, what follows for the refund."""
    with joined():
        record_payout(
            payout, from_status=from_status, origin=origin, event_type=event_type, previous=previous, reason=reason
        )
        if payout.refund is not None:
            _follow(payout.refund, origin, delayed=event_type == "payout.delayed", reason=reason)


@transaction_required
def settle(payout: Payout, *, late: bool, when: PostingTime) -> bool:
    """Book the settlement of an attempt that is ``completed`` in memory. True if ``losses`` paid a part of it.

    ``late``: its hold was released before.
    """
    refund = _refund_of(payout)
    part = 0
    if not _others_completed(payout):
        part = _merchants_share(refund.deposit, refund.amount) - _merchants_share(refund.deposit, 0)
    excess = payout.amount - part
    hold_id = hold.id_of(payout.public_id)
    with joined():
        if not late and part:
            hold.capture(hold_id, amount=part, when=when)
        elif not late:
            hold.release(hold_id, when=when)
        elif part:
            hold.settle_late(hold_id, amount=part, when=when)
        if excess:
            postings.excess_settled(livemode=payout.livemode, source=payout.public_id, amount=excess, when=when)
            logger.error("losses paid for a refund", extra={"payout": payout.public_id, "centavos": excess})
    return excess > 0


@transaction_required
def come_back(payout: Payout, *, cash: ReturnedTo, when: PostingTime) -> None:
    """Book the return of an attempt that had completed and is ``returned`` in memory."""
    part = coming_back(payout)
    given: dict[str, Any] = {"livemode": payout.livemode, "source": payout.public_id, "cash": cash, "when": when}
    with joined():
        if part:
            postings.refund_returned(payout.merchant, amount=part, **given)
        if part < payout.amount:
            postings.excess_returned(amount=payout.amount - part, **given)


def coming_back(payout: Payout) -> int:
    """Centavos that the merchant gets if this attempt, which was completed, comes back; the rest is ``losses``'."""
    refund = payout.refund
    if refund is None or _others_completed(payout):
        return 0
    return _merchants_share(refund.deposit, 0) - _merchants_share(refund.deposit, -refund.amount)


@transaction_required
def withdraw_unsent(payout: Payout, *, origin: Origin) -> None:
    """Before a late settlement of ``payout`` is booked: cancel the newer attempt if it provably never left.

    Its hold is released. The refund itself follows when ``payout`` is recorded.
    """
    for other in _refund_of(payout).attempts_read:
        unsent = other.status in _WITHDRAWABLE or (
            other.status == Payout.Status.PROCESSING
            and other.send_outcome == Payout.SendOutcome.NOT_SENT
            and not provider_client.may_have_sent(other.public_id)
        )
        if other.pk == payout.pk or not unsent:
            continue
        asked = lock_approval(other.public_id)
        if asked is not None and asked.status == Approval.Status.PENDING:
            approval.discard(asked)
        now, before = clock.now(), other.status
        other.cancel(at=now)
        other.waiting_for, other.next_attempt_at = Payout.WaitingFor.NOTHING, None
        with joined() as writes:
            writes.update(other, "status", "cancelled_at", "waiting_for", "next_attempt_at")
            hold.release(hold.id_of(other.public_id), when=PostingTime(now, calendar.operating_date(now)))
            record_payout(
                other, from_status=before, origin=origin, event_type="payout.cancelled", reason=payout.public_id
            )


def reserve(refund: Refund, amount: int) -> None:
    """Count ``amount`` centavos as reserved for ``refund``; deposit and payment are locked and written here."""
    _move(refund, reserved=amount)


def _follow(refund: Refund, origin: Origin, *, delayed: bool, reason: str) -> None:
    before = refund.status
    refund.follow()
    after = refund.status
    if before == after:
        if delayed and after == Refund.Status.PROCESSING:
            record_refund(refund, from_status=before, origin=origin, event_type="refund.delayed")
        return
    with joined() as writes:
        writes.update(refund, "status")
        refunded = refund.amount * ((after == Refund.Status.COMPLETED) - (before == Refund.Status.COMPLETED))
        reserved = refund.amount * ((after in OPEN) - (before in OPEN))
        _move(refund, refunded=refunded, reserved=reserved, origin=origin)
        event_type = "" if after == Refund.Status.PENDING else f"refund.{after}"
        record_refund(refund, from_status=before, origin=origin, event_type=event_type, reason=reason)


def _move(refund: Refund, *, refunded: int = 0, reserved: int = 0, origin: Origin | None = None) -> None:
    """Change the amounts of the refund's deposit and payment; the payment's event says what was refunded."""
    if not refunded and not reserved:
        return
    deposit, payment = refund.deposit, refund.payment
    excess = deposit.amount_over_refunded
    _add(deposit, refunded, reserved)
    deposit.amount_over_refunded = max(0, deposit.amount_refunded + deposit.refund_reserved - deposit.amount)
    with joined() as writes:
        writes.update(deposit, *AMOUNTS)
        if payment is None:
            return
        seen = {name: getattr(payment, name) for name in ("amount_refunded", "amount_refundable")}
        _add(payment, refunded, reserved)
        payment.amount_over_refunded += deposit.amount_over_refunded - excess
        writes.update(payment, *AMOUNTS)
        if refunded and origin is not None:
            record_payment(
                payment, from_status=payment.status, origin=origin, event_type="payment.updated", previous=seen
            )


def _add(row: Deposit | Payment, refunded: int, reserved: int) -> None:
    row.amount_refunded += refunded
    row.refund_reserved += reserved


def _merchants_share(deposit: Deposit, change: int) -> int:
    """What the merchant pays for the deposit's refunds if the completed ones sum up to ``change`` centavos more."""
    return min(deposit.amount, deposit.amount_refunded + change)


def _others_completed(payout: Payout) -> bool:
    attempts = [] if payout.refund is None else payout.refund.attempts_read
    return any(other.pk != payout.pk and other.status == Payout.Status.COMPLETED for other in attempts)


def _refund_of(payout: Payout) -> Refund:
    if payout.refund is None or payout.refund.attempt_rows is None:
        raise RuntimeError(f"{payout.public_id} is not locked as an attempt of a refund")
    return payout.refund
