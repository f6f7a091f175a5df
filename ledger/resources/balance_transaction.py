from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from core.clock import to_rfc3339
from core.money import CURRENCY
from ledger.resources.statement import Figures


@dataclass(frozen=True, slots=True)
class Line:
    """What one ledger transaction meant for a merchant, and what the merchant had after it; centavos.

    ``gross`` is the money before our part of it: ``net + fee + fee_tax``, negative for money that went out. ``net`` is
    how much all figures together changed: zero for money that only moved between them.
    """

    transaction: str
    livemode: bool
    kind: str
    source: str
    description: str
    recorded_at: datetime
    effective_at: datetime
    operating_date: date
    gross: int
    fee: int
    fee_tax: int
    change: Figures
    balance: Figures

    @property
    def net(self) -> int:
        """How much the merchant's money changed by."""
        return self.change.total


def balance_transaction(line: Line) -> dict[str, Any]:
    """The line as ``GET /v1/balance/transactions`` answers it."""
    return {
        "id": line.transaction,
        "object": "balance_transaction",
        "livemode": line.livemode,
        "created_at": to_rfc3339(line.recorded_at),
        "effective_at": to_rfc3339(line.effective_at),
        "operating_date": line.operating_date.isoformat(),
        "kind": line.kind,
        "source": line.source,
        "description": line.description,
        "currency": CURRENCY,
        "amount": line.gross,
        "fee": line.fee,
        "fee_tax": line.fee_tax,
        "net": line.net,
        "change": _figures(line.change),
        "balance": _figures(line.balance),
    }


def _figures(figures: Figures) -> dict[str, int]:
    return {field.name: getattr(figures, field.name) for field in fields(figures)}
