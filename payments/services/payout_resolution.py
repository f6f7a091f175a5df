"""Payouts that need a person: which they are, and asking the provider about one now."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q, QuerySet

from core import clock, jobs
from core.errors import IllegalTransition
from core.unit_of_work import joined
from payments.models import Payout
from payments.services.payout import lock

_UNKNOWN = Q(status=Payout.Status.PROCESSING, send_outcome=Payout.SendOutcome.UNKNOWN)
ATTENTION = {
    "person": ~Q(needs_staff="") | Q(delayed=True),
    "unknown": _UNKNOWN,
    "delayed": Q(delayed=True),
    "liquidity": Q(
        status__in=[Payout.Status.PENDING, Payout.Status.PROCESSING], waiting_for=Payout.WaitingFor.LIQUIDITY
    ),
}
"""What staff looks at. ``person``: one that is marked or delayed; an unknown outcome is always delayed."""


def narrowed(rows: QuerySet[Payout], attention: str) -> QuerySet[Payout]:
    """Only the payouts of a key of ``ATTENTION``; all of them for another text."""
    return rows.filter(ATTENTION[attention]) if attention in ATTENTION else rows


def may_be_asked(payout: Payout) -> bool:
    """True if the provider has, or may have, an order of the payout to be asked about."""
    if payout.operating_date is None or payout.status in (Payout.Status.PENDING_APPROVAL, Payout.Status.PENDING):
        return False
    return payout.status != Payout.Status.PROCESSING or payout.send_outcome in (
        Payout.SendOutcome.ACCEPTED,
        Payout.SendOutcome.UNKNOWN,
    )


@transaction.atomic
def ask_now(payout_id: int) -> None:
    """Let the worker ask the provider about the payout now. Raises ``IllegalTransition`` if there is nothing to ask."""
    payout = lock(payout_id)
    if not may_be_asked(payout):
        raise IllegalTransition("The provider has no order of this payout to be asked about.")
    if payout.next_attempt_at is not None and payout.next_attempt_at <= clock.now():
        raise IllegalTransition("The worker is about to ask already.")
    payout.next_attempt_at = clock.now()
    with joined() as writes:
        writes.update(payout, "next_attempt_at")
    jobs.defer("payments.advance_payout", queueing_lock=f"ask:{payout.public_id}", payout_id=payout.pk)
