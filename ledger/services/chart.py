"""Chart of accounts: every purpose, its normal side, and how an account of it is opened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.money import CURRENCY
from ledger.models import Account
from merchants.models import Merchant

_DEBIT, _CREDIT = Account.Side.DEBIT, Account.Side.CREDIT

MERCHANT_PURPOSES = {
    "available": _CREDIT,
    "pending": _CREDIT,
    "reserved": _CREDIT,
    "blocked": _CREDIT,
    "debt": _DEBIT,
}
"""May be spent · paid by the payer, not yet received by us · held · frozen by compliance · owed to us."""

PLATFORM_PURPOSES = {
    "stp_cash": _DEBIT,
    "conekta_receivable": _DEBIT,
    "fee_revenue": _CREDIT,
    "iva_payable": _CREDIT,
    "suspense": _CREDIT,
}
"""Money at STP · owed to us by Conekta · our fees · IVA we owe on them · money whose owner is not known yet."""


@dataclass(frozen=True, slots=True)
class AccountName:
    """Which account: ``merchant`` is None for the platform's."""

    purpose: str
    merchant: Merchant | None = None

    @property
    def code(self) -> str:
        return f"{self.merchant.public_id if self.merchant else 'platform'}:{self.purpose}"

    @property
    def normal_side(self) -> Account.Side:
        """Raises ``KeyError`` for a purpose that the chart does not know."""
        return (MERCHANT_PURPOSES if self.merchant else PLATFORM_PURPOSES)[self.purpose]


def open_accounts(names: Iterable[AccountName], *, livemode: bool) -> dict[str, Account]:
    """The accounts by code, opened if they do not exist yet (two callers at once open one)."""
    wanted = {name.code: name for name in names}
    found = _find(wanted, livemode)
    missing = [name for code, name in wanted.items() if code not in found]
    if missing:
        Account.objects.bulk_create(
            [
                Account(
                    code=name.code,
                    purpose=name.purpose,
                    merchant=name.merchant,
                    livemode=livemode,
                    currency=CURRENCY,
                    normal_side=name.normal_side,
                )
                for name in missing
            ],
            ignore_conflicts=True,
        )
        found = _find(wanted, livemode)
    return found


def _find(codes: Iterable[str], livemode: bool) -> dict[str, Account]:
    accounts = Account.objects.filter(code__in=list(codes), livemode=livemode, currency=CURRENCY)
    return {account.code: account for account in accounts}
