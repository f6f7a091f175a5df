"""The provider says what became of money that we sent. Nothing is sent yet, so none of it is ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.errors import InvariantBroken
from core.state import Origin
from core.writes import Sql
from payments.models import ProviderAccount
from payments.providers.base import OrderStateChanged
from payments.services.notices.outcome import UNMATCHED, Outcome
from payments.services.notices.target import NoticeTarget


def lock_query(account: ProviderAccount, notice: OrderStateChanged) -> Sql | None:
    """There is nothing to look for."""
    return None


def parse_target(row: Sequence[Any] | None) -> NoticeTarget[Any]:
    """No row."""
    return NoticeTarget(None)


def early_outcome(account: ProviderAccount, notice: OrderStateChanged) -> Outcome | None:
    """Always unmatched."""
    return Outcome(False, f"{UNMATCHED}: nothing was sent")


def apply(
    account: ProviderAccount, notice: OrderStateChanged, origin: Origin, target: NoticeTarget[Any] | None
) -> Outcome:
    """Never reached: the early outcome is the only one."""
    raise InvariantBroken("an order's state was applied although nothing was sent")
