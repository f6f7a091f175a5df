"""Applying notices: the only path by which received money enters the books.

Each kind of notice has a module in ``payments.services.notices``; this module dispatches to it. Lock order: the inbox
row (locked by the caller, or not stored yet), the target, the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from core.db import transaction_required
from core.state import Origin, TransitionRow
from core.writes import Sql
from payments.models import ProviderAccount
from payments.providers.base import (
    MoneyReceived,
    MoneyTakenBack,
    Notice,
    OrderClosed,
    OrderStateChanged,
    Uninteresting,
)
from payments.services.notices import (
    money_received,
    money_taken_back,
    order_closed,
    order_state_changed,
    uninteresting,
)
from payments.services.notices.outcome import CONFLICT, UNMATCHED, Outcome, Overtaken
from payments.services.notices.target import NoticeTarget

__all__ = [
    "CONFLICT",
    "UNMATCHED",
    "NoticeTarget",
    "Outcome",
    "Overtaken",
    "apply",
    "can_be_grouped",
    "early_outcome",
    "lock_query",
    "parse_target",
]


class _Kind(Protocol):
    """The interface of the module of one kind of notice."""

    def lock_query(self, account: ProviderAccount, notice: Any) -> Sql | None: ...
    def parse_target(self, row: Sequence[Any] | None) -> NoticeTarget[Any]: ...
    def early_outcome(self, account: ProviderAccount, notice: Any) -> Outcome | None: ...
    def apply(
        self, account: ProviderAccount, notice: Any, origin: Origin, target: NoticeTarget[Any] | None
    ) -> Outcome: ...


KINDS: dict[type, _Kind] = {
    MoneyReceived: cast("_Kind", money_received),
    MoneyTakenBack: cast("_Kind", money_taken_back),
    OrderClosed: cast("_Kind", order_closed),
    OrderStateChanged: cast("_Kind", order_state_changed),
    Uninteresting: cast("_Kind", uninteresting),
}


def can_be_grouped(notice: Notice) -> bool:
    """True if it may share a transaction with notices about other objects.

    Not one about a payout: it locks its merchant's accounts, and two groups could wait for each other.
    """
    return not isinstance(notice, OrderStateChanged)


def lock_query(account: ProviderAccount, notice: Notice) -> Sql | None:
    """The SELECT that finds and locks the target of ``notice``; None if it has no target.

    It ends with ``FOR NO KEY UPDATE`` of one table, and its first column is that row's id. Callers may embed it in a
    statement of their own and append conditions; ``parse_target`` reads the row.
    """
    return KINDS[type(notice)].lock_query(account, notice)


def parse_target(notice: Notice, row: Sequence[Any] | None) -> NoticeTarget[Any]:
    """The target from the row of ``lock_query``; ``row`` is None if there is no such object."""
    return KINDS[type(notice)].parse_target(row)


def early_outcome(account: ProviderAccount, notice: Notice) -> Outcome | None:
    """The outcome of a notice if it does not depend on stored data, else None."""
    said = getattr(notice, "livemode", None)
    if said is not None and said != account.livemode:
        return Outcome(False, f"{CONFLICT}: it says {'live' if said else 'test'}, the account is not")
    return KINDS[type(notice)].early_outcome(account, notice)


@transaction_required
def apply(
    account: ProviderAccount, notice: Notice, *, event_id: str, target: NoticeTarget[Any] | None = None
) -> Outcome:
    """Apply one authentic notice of ``account``; ``event_id`` is the public id of the inbox row.

    All changes join the caller's unit of work. Safe under repetition, any order and concurrency: a deposit is booked
    once, and a state never goes back.

    ``target`` is the target that the caller locked; None: it is locked here. ``target.related`` may be older than the
    lock, so that executing the unit raises ``Overtaken`` if the same deposit was booked meanwhile.
    """
    outcome = early_outcome(account, notice)
    if outcome is not None:
        return outcome
    origin = Origin(TransitionRow.Cause.NOTICE, account.public_id, event_id)
    return KINDS[type(notice)].apply(account, notice, origin, target)
