"""Holds: a merchant's money reserved until an outcome is known. An unknown outcome does not resolve a hold.

``reserved`` is always the sum of open holds: the journal refuses any other posting that moves it (``MoneyHeld``). Holds
do not check the gate (``ledger.services.gate``): the sender of an order does, immediately before sending.

A hold's source is one payout, which is one attempt; a retry is a new payout with a new hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django_fsm import TransitionNotAllowed

from core import ids
from core.db import transaction_required
from core.errors import InsufficientFunds
from core.money import format_mxn
from core.unit_of_work import joined
from core.writes import Sql
from ledger.models import Hold, Transaction
from ledger.services import debt
from ledger.services.errors import AlreadyPosted, HoldOpen, HoldResolved, InvalidAmount
from ledger.services.journal import PostingTime, valid_amount
from ledger.services.postings import payout
from ledger.services.postings.legs import part_or_zero
from ledger.services.postings.payout import ReturnedTo
from merchants.models import Merchant

Purpose = Hold.Purpose

_PLACED = {
    Hold.Purpose.PAYOUT: payout.payout_created,
    Hold.Purpose.REFUND: payout.refund_created,
    Hold.Purpose.BATCH: payout.batch_accepted,
}
_GIVEN_BACK = {
    Hold.Purpose.PAYOUT: payout.payout_failed,
    Hold.Purpose.REFUND: payout.refund_failed,
    Hold.Purpose.BATCH: payout.batch_released,
}
_SOURCE_UNIQUE = "ledger_hold_source_key"


@transaction_required
def place(
    merchant: Merchant, *, livemode: bool, source: str, amount: int, purpose: Hold.Purpose, when: PostingTime
) -> Hold:
    """Hold ``amount`` centavos for ``source``, the public id of a payout or batch. Ledger: available -> reserved.

    Debt is recovered first. Raises ``InsufficientFunds`` if ``available - debt`` does not cover it, ``AlreadyPosted``
    for a second hold of one source.
    """
    valid_amount(amount)
    hold = Hold(merchant=merchant, livemode=livemode, purpose=purpose, source=source, amount=amount)
    with joined():
        funds = debt.lock(merchant, livemode=livemode)
        if amount > funds.spendable:
            raise InsufficientFunds(_shortfall(funds, amount))
        debt.recover(merchant, funds, livemode=livemode, source=hold.public_id, when=when)
        _PLACED[purpose](merchant, livemode=livemode, source=source, amount=amount, when=when)
        _insert(hold)
    return hold


@transaction_required
def place_return(merchant: Merchant, *, livemode: bool, source: str, amount: int, when: PostingTime) -> Hold:
    """Hold a credited payment that must go back, for the payout ``source``. Ledger: available, debt -> reserved.

    The part that ``available`` does not cover becomes debt. Raises ``AlreadyPosted`` for a second hold of one source.
    """
    valid_amount(amount)
    hold = Hold(merchant=merchant, livemode=livemode, purpose=Hold.Purpose.RETURN, source=source, amount=amount)
    with joined():
        funds = debt.lock(merchant, livemode=livemode)
        funds = debt.recover(merchant, funds, livemode=livemode, source=hold.public_id, when=when)
        from_debt = max(0, amount - funds.available)
        payout.payment_reversed(
            merchant, livemode=livemode, source=source, amount=amount, from_debt=from_debt, when=when
        )
        _insert(hold)
    return hold


@transaction_required
def split(hold_id: int, parts: Sequence[tuple[str, int]]) -> None:
    """Create holds of a batch's payouts from the batch's hold. Ledger: no posting, the money stays reserved.

    ``parts``: public id and centavos of each. A row that becomes no payout gets a part under its own id, which is then
    released. Finally the caller releases the batch's hold, even if nothing is left of it. Raises ``HoldResolved``,
    ``InvalidAmount`` for more than is left, and ``AlreadyPosted`` if a source already has a hold; the caller must then
    roll back.
    """
    hold = lock(hold_id)
    if hold.status != Hold.Status.OPEN:
        raise HoldResolved(f"{hold.public_id} is {hold.status} already.")
    if hold.purpose != Hold.Purpose.BATCH:
        raise InvalidAmount("Only a batch's hold is split.")
    total = sum(valid_amount(amount) for _, amount in parts)
    with joined() as writes:
        left = hold.left - writes.pending["split", hold.pk]
        if total > left:
            raise InvalidAmount(f"The hold has {left} centavos left; {total} cannot be split off.")
        writes.pending["split", hold.pk] += total
        writes.expect(_SOURCE_UNIQUE, AlreadyPosted("One of these payouts has a hold already."))
        writes.add(
            Sql(
                """
                INSERT INTO ledger_hold (public_id, merchant_id, livemode, purpose, source, parent_id, amount, captured,
                    status, created_at)
                SELECT part.public_id, p.merchant_id, p.livemode, 'payout', part.source, p.id, part.amount, 0, 'open',
                    now()
                FROM ledger_hold p, unnest(%s::text[], %s::text[], %s::bigint[]) AS part(public_id, source, amount)
                WHERE p.id = %s::bigint
                RETURNING id
                """,
                (
                    [ids.new_id("hold") for _ in parts],
                    [source for source, _ in parts],
                    [amount for _, amount in parts],
                    hold.pk,
                ),
            ),
            count=len(parts),
        )


@transaction_required
def capture(hold_id: int, *, amount: int, fee: int = 0, fee_tax: int = 0, when: PostingTime) -> Hold:
    """Spend a hold: ``amount`` was sent, ``fee`` and ``fee_tax`` are ours; the rest returns to available.

    Raises ``HoldResolved`` if it is already captured or released, ``InvalidAmount`` for more than it holds.
    """
    hold = lock(hold_id)
    spent = _spent(hold, amount, fee, fee_tax)
    with joined():
        _resolve(hold, spent)
        if hold.purpose == Hold.Purpose.PAYOUT:
            payout.payout_settled(
                hold.merchant,
                livemode=hold.livemode,
                source=hold.source,
                amount=amount,
                fee=fee,
                fee_tax=fee_tax,
                when=when,
            )
        else:
            is_refund = hold.purpose == Hold.Purpose.REFUND
            settle = payout.refund_settled if is_refund else payout.payment_return_settled
            settle(hold.merchant, livemode=hold.livemode, source=hold.source, amount=spent, when=when)
        if spent < hold.amount:
            _give_back(hold, hold.amount - spent, when)
    return hold


@transaction_required
def release(hold_id: int, *, when: PostingTime) -> Hold:
    """Return a hold to available. A return's hold first reduces the debt that it created and that is still owed.

    Of a batch's hold the part that was not split off. Raises ``HoldResolved`` if it is already captured or released.
    """
    hold = lock(hold_id)
    with joined():
        _resolve(hold, 0)
        if hold.left:
            _give_back(hold, hold.left, when)
    return hold


@transaction_required
def settle_late(hold_id: int, *, amount: int, fee: int = 0, fee_tax: int = 0, when: PostingTime) -> Transaction:
    """Book a payout that settled after its hold was released: from available, and the shortfall becomes debt.

    Raises ``HoldOpen``, ``HoldResolved`` if it was captured, ``InvalidAmount`` for more than was held, and
    ``AlreadyPosted`` the second time.
    """
    hold = lock(hold_id)
    if hold.status == Hold.Status.CAPTURED:
        raise HoldResolved(f"{hold.public_id} is {hold.status} already.")
    _require_resolved(hold)
    spent = _spent(hold, amount, fee, fee_tax)
    with joined():
        funds = debt.lock(hold.merchant, livemode=hold.livemode)
        given: dict[str, Any] = {
            "livemode": hold.livemode,
            "source": hold.source,
            "amount": amount,
            "from_debt": max(0, spent - funds.available),
            "when": when,
        }
        if hold.purpose == Hold.Purpose.PAYOUT:
            return payout.payout_settled_late(hold.merchant, fee=fee, fee_tax=fee_tax, **given)
        is_refund = hold.purpose == Hold.Purpose.REFUND
        settle = payout.refund_settled_late if is_refund else payout.payment_return_settled_late
        return settle(hold.merchant, **given)


@transaction_required
def take_back(
    hold_id: int,
    *,
    amount: int,
    fee: int = 0,
    fee_tax: int = 0,
    cash: ReturnedTo = "stp_cash",
    source: str | None = None,
    when: PostingTime,
) -> Transaction:
    """Book a payout that came back after it settled. Ledger: ``cash`` -> available, for a return its debt first.

    ``fee`` and ``fee_tax`` are returned too, for a payout only. ``source`` replaces the payout's id when a match that
    was undone is made again. Raises ``HoldOpen``, ``HoldResolved`` if the payout never settled, ``InvalidAmount`` for
    more than was sent, and ``AlreadyPosted`` if the return is booked already, in either ``cash`` account.
    """
    hold = lock(hold_id)
    _require_sent(hold, _spent(hold, amount, fee, fee_tax))
    with joined():
        given: dict[str, Any] = {
            "livemode": hold.livemode,
            "source": source or hold.source,
            "amount": amount,
            "cash": cash,
            "when": when,
        }
        if hold.purpose == Hold.Purpose.PAYOUT:
            return payout.payout_returned(hold.merchant, fee=fee, fee_tax=fee_tax, **given)
        if hold.purpose == Hold.Purpose.REFUND:
            return payout.refund_returned(hold.merchant, **given)
        return payout.payment_return_returned(hold.merchant, to_debt=min(amount, _still_owed(hold)), **given)


@transaction_required
def lock(hold_id: int) -> Hold:
    """The hold's row, locked until the transaction ends."""
    return Hold.objects.select_for_update(of=("self",)).select_related("merchant").get(pk=hold_id)


def id_of(source: str) -> int:
    """Database id of the hold of a payout or batch. ``Hold.DoesNotExist`` if it has none."""
    return Hold.objects.values_list("pk", flat=True).get(source=source)


def _shortfall(funds: debt.Funds, amount: int) -> str:
    owed = f" and debt is {format_mxn(funds.debt)}" if funds.debt else ""
    return f"Available holds {format_mxn(funds.available)}{owed}; {format_mxn(amount)} are needed."


def _spent(hold: Hold, amount: int, fee: int, fee_tax: int) -> int:
    """Sum of amount, fee and IVA; raise ``InvalidAmount`` if the hold does not allow it."""
    spent = valid_amount(amount) + part_or_zero(fee) + part_or_zero(fee_tax)
    if hold.purpose == Hold.Purpose.BATCH:
        raise InvalidAmount("A batch's hold is split, not captured.")
    if hold.purpose != Hold.Purpose.PAYOUT and spent > amount:
        raise InvalidAmount("Only a payout has a fee.")
    if spent > hold.amount:
        raise InvalidAmount(f"The hold has {hold.amount} centavos; {spent} cannot be captured.")
    return spent


def _insert(hold: Hold) -> None:
    with joined() as writes:
        writes.insert(
            hold, on_conflict_do_nothing=("source",), missing=AlreadyPosted(f"{hold.source} has a hold already.")
        )


def _give_back(hold: Hold, amount: int, when: PostingTime) -> None:
    if hold.purpose == Hold.Purpose.RETURN:
        to_debt = min(amount, _still_owed(hold))
        payout.payment_return_failed(
            hold.merchant, livemode=hold.livemode, source=hold.source, amount=amount, to_debt=to_debt, when=when
        )
    else:
        back = _GIVEN_BACK[Hold.Purpose(hold.purpose)]
        back(hold.merchant, livemode=hold.livemode, source=hold.source, amount=amount, when=when)


def _still_owed(hold: Hold) -> int:
    """Debt that the return created and that was neither recovered nor written off since, in centavos."""
    funds = debt.lock(hold.merchant, livemode=hold.livemode)
    return max(0, min(debt.made_by(hold.merchant, hold.source), funds.debt))


def _require_sent(hold: Hold, amount: int) -> None:
    """Refuse to take back money that was never sent: a released hold sent none unless it was settled late."""
    _require_resolved(hold)
    if hold.status == Hold.Status.CAPTURED:
        if amount > hold.captured:
            raise InvalidAmount(f"{hold.captured} centavos were captured; {amount} cannot come back.")
    elif not Transaction.objects.filter(source=hold.source, kind__endswith="_settled_late").exists():
        raise HoldResolved(f"{hold.public_id} is released and its payout did not settle.")


def _require_resolved(hold: Hold) -> None:
    if hold.status == Hold.Status.OPEN:
        raise HoldOpen(f"{hold.public_id} is still open.")


def _resolve(hold: Hold, spent: int) -> None:
    try:
        if spent:
            hold.capture(spent)
        else:
            hold.release()
    except TransitionNotAllowed as error:
        raise HoldResolved(f"{hold.public_id} is {hold.status} already.") from error
    with joined() as writes:
        writes.update(hold, "status", "captured", "resolved_at")
