"""Notices that affect neither money nor a state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.errors import InvariantBroken
from core.state import Origin
from core.writes import Sql
from payments.models import ProviderAccount
from payments.providers.base import Uninteresting
from payments.services.notices.outcome import Outcome
from payments.services.notices.target import NoticeTarget


def lock_query(account: ProviderAccount, notice: Uninteresting) -> Sql | None:
    """None: there is no target."""
    return None


def parse_target(row: Sequence[Any] | None) -> NoticeTarget[Any]:
    """No target."""
    return NoticeTarget(None)


def early_outcome(account: ProviderAccount, notice: Uninteresting) -> Outcome | None:
    """Ignored, with the adapter's reason."""
    return Outcome(False, notice.reason)


def apply(account: ProviderAccount, notice: Uninteresting, origin: Origin, target: NoticeTarget[Any] | None) -> Outcome:
    """Never called: the early outcome is final."""
    raise InvariantBroken("a notice that changes nothing was applied")
