"""Manual corrections, approved by a second person (``ledger.services.adjustment``)."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.models import Transaction
from ledger.services.journal import ADJUSTMENT, Leg, PostingTime, post


def adjustment(*, livemode: bool, source: str, legs: Sequence[Leg], when: PostingTime, description: str) -> Transaction:
    """Adjustment (four eyes, reason, evidence): any named pair. Centavos; debits are positive."""
    return post(ADJUSTMENT, source, legs, livemode=livemode, when=when, description=description)
