"""Notices of the state of an order that we sent. Payouts do not exist yet, so that every one is unmatched."""

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
    """None: there is no target."""
    return None


def parse_target(row: Sequence[Any] | None) -> NoticeTarget[Any]:
    """No target."""
    return NoticeTarget(None)


def early_outcome(account: ProviderAccount, notice: OrderStateChanged) -> Outcome | None:
    """Always unmatched."""
    return Outcome(False, f"{UNMATCHED}: nothing was sent")


def apply(
    account: ProviderAccount, notice: OrderStateChanged, origin: Origin, target: NoticeTarget[Any] | None
) -> Outcome:
    """Never called: the early outcome is final."""
    raise InvariantBroken("an order's state was applied although nothing was sent")
