"""The provider says what became of a payout. A notice carries no signature, so most of what it says is asked about.

A settlement of a payout in ``processing`` is booked at once; all else makes the worker ask the provider now
(``payments.services.payout_inquiry``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from core import clock, jobs
from core.state import Origin
from core.unit_of_work import joined
from core.writes import Sql
from payments.models import Payout, ProviderAccount
from payments.providers.base import OrderStateChanged
from payments.providers.payout import OrderStatus
from payments.services import payout_outcome
from payments.services.notices.outcome import UNMATCHED, Outcome
from payments.services.notices.target import NoticeTarget, locked_row
from payments.services.payout_lock import lock, locked, payout_and_merchant
from payments.services.provider_account import company_accounts

ASKED = "asked"
"""Reason of a notice about which the provider is asked."""


def lock_query(account: ProviderAccount, notice: OrderStateChanged) -> Sql | None:
    """By the provider's number of the order, else by our own reference: the number may never have reached us.

    Not an attempt of a refund, before which others are locked: ``_attempt`` finds it.
    """
    accounts = [a.pk for a in company_accounts(account)]
    return Sql(
        _lock_query(len(accounts)), (*accounts, notice.provider_id, *accounts, notice.reference or notice.provider_id)
    )


def parse_target(row: Sequence[object] | None) -> NoticeTarget[Payout]:
    """The payout."""
    return NoticeTarget(None if row is None else locked(row))


def early_outcome(account: ProviderAccount, notice: OrderStateChanged) -> Outcome | None:
    """What it leads to depends on the payout."""
    return None


def apply(
    account: ProviderAccount, notice: OrderStateChanged, origin: Origin, target: NoticeTarget[Payout] | None
) -> Outcome:
    """Book a settlement, or let the provider be asked. Repeated, it changes nothing."""
    payout = (target or parse_target(locked_row(lock_query(account, notice)))).object or _attempt(account, notice)
    if payout is None:
        return Outcome(False, f"{UNMATCHED}: no payout has this order")
    if payout_outcome.is_known(payout, notice.state):
        return Outcome(False, "duplicate", payout.public_id)
    if payout.operating_date is None:
        payout_outcome.set_aside(payout, payout_outcome.REPORTED_UNSENT, origin=origin)
        return Outcome(True, payout_outcome.REPORTED_UNSENT, payout.public_id)
    is_our_order = payout.order_id in (None, notice.provider_id)
    if not is_our_order or payout_outcome.needs_confirmation(payout, notice.state):
        _ask(payout, notice.state)
        return Outcome(True, ASKED, payout.public_id)
    payout.order_id = notice.provider_id
    payout_outcome.settle(payout, at=notice.occurred_at, origin=origin, confirmed=False)
    return Outcome(True, str(OrderStatus.SETTLED), payout.public_id)


def _attempt(account: ProviderAccount, notice: OrderStateChanged) -> Payout | None:
    """The attempt of a refund that the notice is about, locked."""
    rows = Payout.objects.filter(provider_account__in=company_accounts(account), refund__isnull=False)
    for key in ({"order_id": notice.provider_id}, {"public_id": notice.reference or notice.provider_id}):
        found = rows.filter(**key).values_list("pk", flat=True).first()
        if found is not None:
            return lock(found)
    return None


def _ask(payout: Payout, said: str) -> None:
    """Let the worker inquire now. The notice's order number is not stored: it may be forged, and never changes."""
    payout.next_attempt_at, payout.inquiries = clock.now(), 0
    payout_outcome.claim(payout, said)
    if payout.send_outcome == Payout.SendOutcome.NOT_SENT:  # contradicted: it must not be sent again
        payout.send_outcome = Payout.SendOutcome.UNKNOWN
    with joined() as writes:
        writes.update(payout, "next_attempt_at", "inquiries", "claim", "claimed_at", "send_outcome")
    jobs.defer("payments.advance_payout", queueing_lock=f"ask:{payout.public_id}", payout_id=payout.pk)


@cache
def _lock_query(accounts: int) -> str:
    of_us = f"provider_account_id IN ({', '.join(['%s'] * accounts)})"
    return f"""
        SELECT {payout_and_merchant()}
        FROM payments_payout p JOIN merchants_merchant m ON m.id = p.merchant_id
        WHERE p.id = coalesce(
            (SELECT id FROM payments_payout WHERE {of_us} AND order_id = %s),
            (SELECT id FROM payments_payout WHERE {of_us} AND public_id = %s)
        ) AND p.refund_id IS NULL
        FOR NO KEY UPDATE OF p
    """  # noqa: S608 - constants only
