"""Holds: a merchant's money set aside until an outcome says where it goes. An unknown outcome resolves nothing.

Nothing else moves ``reserved``: the door refuses it (``MoneyHeld``), so that it always is the sum of open holds.
"""

from __future__ import annotations

from django_fsm import TransitionNotAllowed

from core.db import transaction_required
from core.unit_of_work import joined
from ledger.models import Entry, Hold
from ledger.services import balance, door, gate
from ledger.services.chart import AccountName
from ledger.services.door import When, valid_amount
from ledger.services.errors import AlreadyPosted, HoldResolved, InvalidAmount
from ledger.services.postings import payout
from ledger.services.postings.legs import part_or_zero
from merchants.models import Merchant


@transaction_required
def place(merchant: Merchant, *, livemode: bool, source: str, amount: int, purpose: Hold.Purpose, when: When) -> Hold:
    """Hold ``amount`` centavos for the payout or refund ``source`` (its public id). Ledger: available -> reserved.

    Raises ``InsufficientFunds`` if available does not cover it (what other holds took counts), ``AlreadyPosted`` for a
    second hold of one source, ``GateClosed`` while a broken invariant stops outgoing money.
    """
    gate.require_open(merchant)
    create = {Hold.Purpose.PAYOUT: payout.payout_created, Hold.Purpose.REFUND: payout.refund_created}[purpose]
    with joined():
        create(merchant, livemode=livemode, source=source, amount=amount, when=when)
        return _insert(merchant, livemode, purpose, source, amount)


@transaction_required
def place_return(merchant: Merchant, *, livemode: bool, source: str, amount: int, from_debt: int, when: When) -> Hold:
    """Hold a credited payment that must go back: ``source`` is the payment's public id, ``amount`` all that was paid.

    ``from_debt`` centavos of it the merchant does not have and owes from now on. Ledger: available, debt -> reserved.
    Raises what ``place`` raises.
    """
    gate.require_open(merchant)
    with joined():
        payout.payment_reversed(
            merchant, livemode=livemode, source=source, amount=amount, from_debt=from_debt, when=when
        )
        return _insert(merchant, livemode, Hold.Purpose.RETURN, source, amount)


@transaction_required
def capture(hold_id: int, *, amount: int, fee: int = 0, fee_tax: int = 0, when: When) -> Hold:
    """Spend a hold: ``amount`` left us, ``fee`` and ``fee_tax`` are ours; what is left goes back to available.

    Raises ``HoldResolved`` if it was captured or released before, ``InvalidAmount`` for more than it holds.
    """
    hold = lock(hold_id)
    spent = valid_amount(amount) + part_or_zero(fee) + part_or_zero(fee_tax)
    if hold.purpose != Hold.Purpose.PAYOUT and spent > amount:
        raise InvalidAmount("Only a payout has a fee.")
    if spent > hold.amount:
        raise InvalidAmount(f"The hold has {hold.amount} centavos; {spent} cannot be captured.")
    with joined():
        _capture(hold, spent, amount, fee, fee_tax, when)
    return hold


def _capture(hold: Hold, spent: int, amount: int, fee: int, fee_tax: int, when: When) -> None:
    _resolve(hold, spent)
    rest = hold.amount - spent
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
    if rest:
        _give_back(hold, rest, when)


@transaction_required
def release(hold_id: int, *, when: When) -> Hold:
    """Give a hold back to available; a return's first lowers the debt that it made, as far as it is still owed.

    Raises ``HoldResolved`` if it was captured or released before.
    """
    hold = lock(hold_id)
    with joined():
        _resolve(hold, 0)
        _give_back(hold, hold.amount, when)
    return hold


@transaction_required
def lock(hold_id: int) -> Hold:
    """The hold's row, locked until the transaction ends."""
    return Hold.objects.select_for_update(of=("self",)).select_related("merchant").get(pk=hold_id)


def _insert(merchant: Merchant, livemode: bool, purpose: Hold.Purpose, source: str, amount: int) -> Hold:
    hold = Hold(merchant=merchant, livemode=livemode, purpose=purpose, source=source, amount=amount)
    with joined() as writes:
        writes.insert(hold, on_conflict_do_nothing=("source",), missing=AlreadyPosted(f"{source} has a hold already."))
    return hold


def _give_back(hold: Hold, amount: int, when: When) -> None:
    if hold.purpose == Hold.Purpose.RETURN:
        to_debt = min(amount, _still_owed(hold))
        payout.payment_return_failed(
            hold.merchant, livemode=hold.livemode, source=hold.source, amount=amount, to_debt=to_debt, when=when
        )
    else:
        back = payout.refund_failed if hold.purpose == Hold.Purpose.REFUND else payout.payout_failed
        back(hold.merchant, livemode=hold.livemode, source=hold.source, amount=amount, when=when)


def _still_owed(hold: Hold) -> int:
    """What the return made the merchant owe, as far as it was neither recovered nor written off since."""
    made = Entry.objects.filter(
        transaction__kind="payment_reversed", transaction__source=hold.source, account__purpose="debt"
    ).first()
    if made is None:
        return 0
    debt, reserved = (AccountName(purpose, hold.merchant) for purpose in ("debt", "reserved"))
    locked = door.lock([debt, reserved], livemode=hold.livemode)
    return max(0, min(made.amount, balance.of_account(locked[debt.code])))


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
