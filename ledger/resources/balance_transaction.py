from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from core.clock import to_rfc3339
from core.money import CURRENCY
from ledger.resources.statement import Figures


@dataclass(frozen=True, slots=True)
class Line:
    """The effect of one ledger transaction on a merchant, and the balance after it, in centavos.

    ``gross`` is the amount before our fee: ``net + fee + fee_tax``, negative for outgoing money. ``net`` is the change
    of the merchant's total, zero if money only moved between its accounts.
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
        """Change of the merchant's total."""
        return self.change.total


def balance_transaction(line: Line) -> dict[str, Any]:
    """The line as an item of ``GET /v1/balance/transactions``."""
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
