"""Booking of top-ups: deposits on a merchant's funding CLABE, added to its balance without payment and fee.

As in ``payments.services.deposit``, all changes join the caller's unit of work.
"""

from __future__ import annotations

from core import calendar, clock
from core.db import transaction_required
from core.state import Origin
from core.unit_of_work import joined
from ledger.services.journal import PostingTime
from ledger.services.postings import pay_in
from merchants.services import event
from payments.models import Clabe, Deposit
from payments.resources.topup import topup as topup_resource
from payments.services.deposit import posting_time
from payments.services.transition import record_deposit


@transaction_required
def credit(deposit: Deposit, clabe: Clabe, *, origin: Origin) -> None:
    """Add a new deposit to the balance of the merchant of a funding CLABE."""
    deposit.top_up(clabe=clabe)
    with joined() as writes:
        writes.insert(deposit)
        pay_in.merchant_top_up(
            clabe.merchant,
            livemode=deposit.livemode,
            source=deposit.public_id,
            amount=deposit.amount,
            when=posting_time(deposit),
        )
        _record(deposit, clabe, Deposit.Status.RECEIVED, origin, reason="")


@transaction_required
def credit_from_suspense(deposit: Deposit, clabe: Clabe, *, origin: Origin, reason: str) -> None:
    """Add a deposit in suspense, whose row is locked, to that balance. The posting takes effect now."""
    now = clock.now()
    deposit.top_up(clabe=clabe)
    with joined() as writes:
        writes.update(deposit, "status", "purpose", "payment", "reusable_clabe")
        pay_in.suspense_assigned(
            clabe.merchant,
            livemode=deposit.livemode,
            source=deposit.public_id,
            amount=deposit.amount,
            fee=0,
            fee_tax=0,
            when=PostingTime(now, calendar.operating_date(now)),
        )
        _record(deposit, clabe, Deposit.Status.SUSPENDED, origin, reason)


def _record(deposit: Deposit, clabe: Clabe, from_status: str, origin: Origin, reason: str) -> None:
    record_deposit(deposit, from_status=from_status, origin=origin, reason=reason)
    event.record(
        clabe.merchant,
        livemode=deposit.livemode,
        type="topup.completed",
        obj=topup_resource(deposit),
        previous={},
    )
