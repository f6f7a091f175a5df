from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.clock import to_rfc3339


@dataclass(frozen=True, slots=True)
class MerchantBalance:
    """A merchant's balances in centavos, each positive on its account's normal side."""

    livemode: bool
    available: int
    pending: int
    reserved: int
    blocked: int
    debt: int
    currency: str
    as_of: datetime


def balance(figures: MerchantBalance) -> dict[str, Any]:
    """The response of ``GET /v1/balance``."""
    return {
        "object": "balance",
        "livemode": figures.livemode,
        "available": figures.available,
        "pending": figures.pending,
        "reserved": figures.reserved,
        "blocked": figures.blocked,
        "debt": figures.debt,
        "currency": figures.currency,
        "as_of": to_rfc3339(figures.as_of),
    }
