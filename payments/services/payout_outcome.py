"""Outcomes of payouts: facts are stored in any state, and state and books follow from them.

A settlement of a payout in ``processing`` is booked when its notice arrives. Any other outcome would contradict
the books or take money back, so the provider's answer or list of the day must confirm it (``payout_inquiry``).
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Literal

from django.utils.translation import gettext as _

from core import calendar, clock
from core.db import transaction_required
from core.errors import IllegalTransition, InvariantBroken
from core.state import Origin
from core.unit_of_work import joined, separately
from ledger.services import debt, hold, reversal
from ledger.services.journal import OLDEST_EFFECTIVE, PostingTime
from merchants.models import Merchant
from payments.models import Payout, PayoutResolution
from payments.providers.payout import OrderState, OrderStatus
from payments.services import refund_outcome
from payments.services.refund_outcome import record_change

logger = logging.getLogger(__name__)

_OLDEST_EFFECTIVE = OLDEST_EFFECTIVE - timedelta(minutes=1)
"""The oldest posting time: an older provider time is raised to it in the books, not on the payout.

A little younger than the ledger requires, because the ledger reads the clock later.
"""
REPORTED_UNSENT = "reported_unsent"
"""Mark for staff: the provider reports an order of a payout that this site never sent (a restored copy, a forgery)."""
INTERNAL_BANK = "90646"
"""STP itself: it reports a return between its own clients as a cancellation."""
_SENT = (
    "order_id",
    "inquiries",
    "send_outcome",
    "send_detail",
    "waiting_for",
    "delayed",
    "needs_staff",
    "next_attempt_at",
    "not_found_at",
    "claim",
    "claimed_at",
)
_RETURN = ("returned_at", "return_cause", "return_tracking_key")
_OPEN = (Payout.Status.PENDING_APPROVAL, Payout.Status.PENDING, Payout.Status.PROCESSING)
_TAKES_BACK = (OrderStatus.RETURNED, OrderStatus.CANCELLED)


@transaction_required
def settle(payout: Payout, *, at: datetime, origin: Origin, confirmed: bool) -> bool:
    """Apply a settlement at ``at`` to the payout, whose row is locked. False if nothing changes.

    If not ``confirmed``, it counts only for a payout in ``processing`` without other facts: see ``needs_confirmation``.
    """
    if payout.liquidated_at is not None:
        return False
    if not confirmed and needs_confirmation(payout, OrderStatus.SETTLED):
        raise InvariantBroken(f"{payout.public_id} would be settled by a notice alone")
    payout.liquidated_at = at
    if payout.returned_at is not None:  # returned already: the books are right
        _write(payout, payout.status, "liquidated_at", origin=origin)
        return True
    before = payout.status
    late = before not in (Payout.Status.PENDING, Payout.Status.PROCESSING)
    if before == Payout.Status.PENDING:  # sent after the backup that was restored
        _start_of_unsent(payout, at, origin)
        before = payout.status
    if before not in (Payout.Status.PROCESSING, Payout.Status.FAILED, Payout.Status.CANCELLED):
        return _set_aside(payout, "settled_unexpectedly", origin)
    if payout.first_sent_at is None:  # cancelled in a restored copy, and sent before
        payout.first_sent_at, payout.operating_date = at, calendar.operating_date(at)
    payout.complete(at=at)
    _came_to_an_end(payout)
    if late:
        payout.needs_staff = "settled_after_failure"
        logger.error("a payout that had failed was settled", extra={"payout": payout.public_id})
    with joined():
        if payout.refund_id is not None:
            if late:
                refund_outcome.withdraw_unsent(payout, origin=origin)
            if refund_outcome.settle(payout, late=late, when=_when(payout, at)):
                payout.needs_staff = refund_outcome.PAID_TWICE
        else:
            book = hold.settle_late if late else hold.capture
            book(
                hold.id_of(payout.public_id),
                amount=payout.amount,
                fee=payout.fee,
                fee_tax=payout.fee_tax,
                when=_when(payout, at),
            )
        _write(
            payout,
            before,
            "liquidated_at",
            "completed_at",
            "first_sent_at",
            "operating_date",
            origin=origin,
            event_type="payout.completed",
        )
    return True


@transaction_required
def come_back(
    payout: Payout,
    *,
    at: datetime,
    cause: int | None,
    origin: Origin,
    cash: Literal["stp_cash", "suspense"] = "stp_cash",
    tracking_key: str = "",
) -> bool:
    """Apply a confirmed return to the payout, whose row is locked. False if it is known already.

    ``tracking_key`` is that of the returning transfer, "" if it is not known.
    ``cash`` is the account that holds the money: ``suspense`` if an incoming transfer returned it. After a settlement
    the payout is ``returned``, else ``failed``.
    """
    if payout.returned_at is not None:
        return False
    payout.returned_at, payout.return_cause, payout.return_tracking_key = at, cause, tracking_key[:40]
    before = payout.status
    if before == Payout.Status.COMPLETED:
        payout.come_back()
        _came_to_an_end(payout)
        gives_fee = _gives_fee(payout)
        with joined():
            if payout.refund_id is not None:
                refund_outcome.come_back(payout, cash=cash, when=_when(payout, at))
            else:
                hold.take_back(
                    hold.id_of(payout.public_id),
                    amount=payout.amount,
                    fee=payout.fee if gives_fee else 0,
                    fee_tax=payout.fee_tax if gives_fee else 0,
                    cash=cash,
                    source=return_source(payout),
                    when=_when(payout, at),
                )
            _write(payout, before, *_RETURN, origin=origin, event_type="payout.returned")
        return True
    if before == Payout.Status.PROCESSING:
        return _fail(
            payout,
            "returned_before_settlement",
            _("The beneficiary's bank sent it back before it was settled."),
            *_RETURN,
            at=at,
            origin=origin,
        )
    _write(payout, before, *_RETURN, origin=origin)
    return True


def return_source(payout: Payout) -> str:
    """The source of the payout's next return in the ledger: itself, or the resolution that undid the last one."""
    undone = payout.resolutions.filter(
        decision=PayoutResolution.Decision.NOT_RETURNED, status=PayoutResolution.Status.APPLIED
    )
    return undone.order_by("-pk").values_list("public_id", flat=True).first() or payout.public_id


@transaction_required
def undo_return(payout: Payout, *, source: str, origin: Origin) -> None:
    """Reverse the return that a matched transfer was taken for; the payout, locked, is completed again.

    ``source`` is the public id of the resolution. The provider is asked again, since its reports were ignored while the
    payout was returned. Raises ``IllegalTransition`` if the merchant has spent the money.
    """
    now, before = clock.now(), payout.status
    sources = [payout.public_id, *payout.resolutions.values_list("public_id", flat=True)]
    booked = reversal.not_reversed("payout_returned", sources)
    given = -sum(booked.entries.filter(account__purpose="available").values_list("amount", flat=True))
    if debt.lock(payout.merchant, livemode=payout.livemode).available < given:
        raise IllegalTransition("The merchant has spent this money: it can be undone once its balance covers it.")
    payout.undo_return()
    payout.next_attempt_at = now
    with joined():
        reversal.reverse(
            booked,
            source=source,
            when=PostingTime(now, calendar.operating_date(now)),
            description="Devolución deshecha: no era de esta dispersión",
        )
        _write(payout, before, *_RETURN, origin=origin, event_type="payout.completed")


def coming_back(payout: Payout) -> int:
    """Centavos that the merchant gets if the payout, which was completed, comes back: with its fee, by setting."""
    if payout.refund is not None:
        return refund_outcome.coming_back(payout)
    return payout.total if _gives_fee(payout) else payout.amount


@transaction_required
def fail(payout: Payout, *, code: str, message: str, origin: Origin, needs_staff: str = "") -> bool:
    """Fail a payout that provably did not arrive, and release its hold. False unless ``processing`` and unsettled.

    ``needs_staff``: why a person must look at it all the same.
    """
    if payout.status != Payout.Status.PROCESSING or payout.liquidated_at is not None:
        return False
    return _fail(payout, code, message, at=clock.now(), origin=origin, needs_staff=needs_staff)


@transaction_required
def follow(payout: Payout, order: OrderState, *, origin: Origin) -> bool:
    """Apply the provider's answer about the payout's order. False if nothing changes.

    Another order under the same tracking key changes nothing and needs a person.
    """
    now = clock.now()
    payout.order_id = payout.order_id or order.order_id or None
    payout.not_found_at = None
    at = order.settled_at or now
    match order.status:
        case OrderStatus.SETTLED:
            return settle(payout, at=at, origin=origin, confirmed=True)
        case OrderStatus.RETURNED:
            return _come_back(payout, order, now, origin)
        case OrderStatus.CANCELLED:
            return _cancelled(payout, order, now, origin)
        case OrderStatus.UNKNOWN:
            return _set_aside(payout, "unknown_state", origin)
    return False


def needs_confirmation(payout: Payout, said: str) -> bool:
    """True if a notice with this state (as ``OrderStatus``) must be confirmed by an inquiry."""
    return (
        said != OrderStatus.SETTLED
        or payout.status != Payout.Status.PROCESSING
        or payout.returned_at is not None
        or bool(payout.needs_staff)
    )


def is_known(payout: Payout, said: str) -> bool:
    """True if this state of the order (as ``OrderStatus``) would change nothing."""
    if said == OrderStatus.SETTLED:
        return payout.liquidated_at is not None
    if said == OrderStatus.CANCELLED and payout.status == Payout.Status.FAILED:
        return payout.returned_at is not None or payout.destination_bank != INTERNAL_BANK
    return said in _TAKES_BACK and payout.returned_at is not None


def claim(payout: Payout, said: str) -> None:
    """Store that a notice reports this state, which an inquiry must confirm. The caller writes the payout.

    Claims of one payout are confirmed together; one that takes money back is the last to be given up.
    """
    if payout.claim not in _TAKES_BACK:
        payout.claim = said
    payout.claimed_at = clock.now()


def drop_claim(payout: Payout) -> None:
    """Forget what a notice claimed: it is confirmed, or was denied often enough."""
    payout.claim, payout.claimed_at = "", None
    if payout.status not in _OPEN:
        payout.next_attempt_at = None


@transaction_required
def set_aside(payout: Payout, why: str, *, origin: Origin) -> bool:
    """Mark the payout for staff; ``why`` is a code. False if it has this mark already."""
    return _set_aside(payout, why, origin)


def _come_back(payout: Payout, order: OrderState, now: datetime, origin: Origin) -> bool:
    return come_back(payout, at=now, cause=order.cause, origin=origin, tracking_key=order.return_tracking_key)


def _cancelled(payout: Payout, order: OrderState, now: datetime, origin: Origin) -> bool:
    """A cancellation after settlement, or within STP, is a return; any other means that the order was not executed."""
    if payout.liquidated_at is not None or payout.destination_bank == INTERNAL_BANK:
        return _come_back(payout, order, now, origin)
    return fail(payout, code="provider_rejected", message=_("The provider cancelled the transfer."), origin=origin)


def _gives_fee(payout: Payout) -> bool:
    return payout.merchant.payout_fee_on_return == Merchant.FeeOnReturn.GIVE_BACK


def _fail(
    payout: Payout, code: str, message: str, *changed: str, at: datetime, origin: Origin, needs_staff: str = ""
) -> bool:
    before = payout.status
    payout.fail(code=code, message=message)
    _came_to_an_end(payout)
    payout.needs_staff = needs_staff
    with joined():
        hold.release(hold.id_of(payout.public_id), when=_when(payout, at))
        _write(payout, before, "failure_code", "failure_message", *changed, origin=origin, event_type="payout.failed")
    return True


def _start_of_unsent(payout: Payout, at: datetime, origin: Origin) -> None:
    before = payout.status
    payout.start(at=at, operating_date=calendar.operating_date(at))
    with separately() as writes:
        writes.update(payout, "status", "first_sent_at", "operating_date")
        record_change(payout, from_status=before, origin=origin, event_type="payout.processing")


def _set_aside(payout: Payout, why: str, origin: Origin) -> bool:
    if payout.needs_staff == why:
        return False
    payout.needs_staff = why
    logger.error("a payout needs a person", extra={"payout": payout.public_id, "why": why})
    _write(payout, payout.status, origin=origin)
    return True


def _came_to_an_end(payout: Payout) -> None:
    payout.waiting_for = Payout.WaitingFor.NOTHING
    payout.delayed, payout.needs_staff = False, ""
    if not payout.claim:  # else the inquiry about it is still due
        payout.next_attempt_at = None


def _write(payout: Payout, before: str, *changed: str, origin: Origin, event_type: str = "") -> None:
    if payout.claim and is_known(payout, payout.claim):
        drop_claim(payout)
    fields = [*changed, *_SENT]
    if payout.status != before:
        fields.append("status")
    with joined() as writes:
        writes.update(payout, *fields)
        if event_type:
            record_change(payout, from_status=before, origin=origin, event_type=event_type)


def _when(payout: Payout, at: datetime) -> PostingTime:
    effective = min(max(at, clock.now() - _OLDEST_EFFECTIVE), clock.now())
    return PostingTime(effective, payout.operating_date or calendar.operating_date(at))
