"""Applying what a provider says: the one path by which money that arrived enters the books.

Each kind of notice has a module in ``payments.services.notices``; this one chooses it. Lock order: the inbox row (held
by the caller, or not there yet), then the target, then the ledger.
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
    "early_outcome",
    "lock_query",
    "parse_target",
]


class _Kind(Protocol):
    """What the module of a kind of notice offers; ``notice`` is of that kind."""

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


def lock_query(account: ProviderAccount, notice: Notice) -> Sql | None:
    """The SELECT that finds and locks what ``notice`` is about; None if nothing must be looked for.

    It ends with ``FOR NO KEY UPDATE`` of one table, and its first column is that row's id. It may become part of a
    statement of the caller, who may append conditions; ``parse_target`` reads its row.
    """
    return KINDS[type(notice)].lock_query(account, notice)


def parse_target(notice: Notice, row: Sequence[Any] | None) -> NoticeTarget[Any]:
    """What the row of ``lock_query`` says; None: there is no such object."""
    return KINDS[type(notice)].parse_target(row)


def early_outcome(account: ProviderAccount, notice: Notice) -> Outcome | None:
    """What the notice leads to if nothing that is stored can change that, else None."""
    said = getattr(notice, "livemode", None)
    if said is not None and said != account.livemode:
        return Outcome(False, f"{CONFLICT}: it says {'live' if said else 'test'}, the account is not")
    return KINDS[type(notice)].early_outcome(account, notice)


@transaction_required
def apply(
    account: ProviderAccount, notice: Notice, *, event_id: str, target: NoticeTarget[Any] | None = None
) -> Outcome:
    """Carry out one authentic notice of ``account``; ``event_id`` is the inbox row's public id.

    What changes joins the unit of work that the caller has open, with its own row. Safe under any
    repetition, order and concurrency: the same money is booked once, a state never goes back.

    ``target`` is what the caller's own statement locked; None: it is looked for here. What was read beside the lock
    may be older than the lock, so that executing the unit raises ``Overtaken`` where the same money was booked
    meanwhile.
    """
    outcome = early_outcome(account, notice)
    if outcome is not None:
        return outcome
    origin = Origin(TransitionRow.Cause.NOTICE, account.public_id, event_id)
    return KINDS[type(notice)].apply(account, notice, origin, target)
