"""Chart of accounts: purposes with normal side and floor; opens accounts on first use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection, transaction

from core.money import CURRENCY
from core.write_guard import beside
from ledger.models import Account
from ledger.models.account import FLOORED
from ledger.services.errors import UnknownAccount
from merchants.models import Merchant

_DEBIT, _CREDIT = Account.Side.DEBIT, Account.Side.CREDIT

MERCHANT_PURPOSES = {
    "available": _CREDIT,  # may be spent
    "pending": _CREDIT,  # paid by the payer, not yet received by us
    "reserved": _CREDIT,  # held for payouts and refunds
    "blocked": _CREDIT,  # frozen by compliance
    "debt": _DEBIT,  # the merchant owes us
}
PLATFORM_PURPOSES = {
    "stp_cash": _DEBIT,  # our money at STP
    "bank_cash": _DEBIT,  # our money at the bank
    "cash_in_transit": _DEBIT,  # between bank and STP
    "conekta_receivable": _DEBIT,  # Conekta owes us what payers paid at OXXO
    "provider_payable": _CREDIT,  # invoices of providers that we have not paid
    "provider_fees": _DEBIT,  # what providers cost us
    "iva_creditable": _DEBIT,  # IVA on what providers cost us
    "fee_revenue": _CREDIT,  # our fees
    "iva_payable": _CREDIT,  # IVA that we owe on our fees
    "suspense": _CREDIT,  # money whose owner is not known yet
    "suspense_reserved": _CREDIT,  # the same, being returned to its sender
    "owner_funds": _CREDIT,  # prefunded by the owner
    "losses": _DEBIT,  # written off
    "rounding": _DEBIT,  # centavos by which an invoice's total differs from the sum of its lines
}


@dataclass(frozen=True, slots=True)
class AccountName:
    """An account; ``merchant`` is None for the platform. Raises ``UnknownAccount`` for a purpose not in the chart."""

    purpose: str
    merchant: Merchant | None = None

    def __post_init__(self) -> None:
        if self.purpose not in (MERCHANT_PURPOSES if self.merchant else PLATFORM_PURPOSES):
            raise UnknownAccount(f"{'A merchant' if self.merchant else 'The platform'} has no account {self.purpose!r}")

    @property
    def code(self) -> str:
        return f"{self.merchant.public_id if self.merchant else 'platform'}:{self.purpose}"

    @property
    def normal_side(self) -> Account.Side:
        return (MERCHANT_PURPOSES if self.merchant else PLATFORM_PURPOSES)[self.purpose]

    @property
    def floor(self) -> int | None:
        """Least balance on the normal side, in centavos."""
        return 0 if self.purpose in FLOORED else None


_open: set[tuple[str, str, bool]] = set()
"""Cache: database, code and mode of accounts that this process knows to be open. Postings do not rely on it."""


def make_sure_open(names: Sequence[AccountName], *, livemode: bool) -> None:
    """Open the accounts that do not exist yet. Accounts in the cache cost no query."""
    database = str(connection.settings_dict["NAME"])
    wanted = {(database, name.code, livemode) for name in names}
    if wanted <= _open:
        return
    open_accounts(names, livemode=livemode)
    transaction.on_commit(lambda: _open.update(wanted))  # before commit they may still be rolled back


def forget_open_accounts() -> None:
    """Clear the cache, after a refused posting or when the database was replaced."""
    _open.clear()


def open_accounts(names: Iterable[AccountName], *, livemode: bool) -> dict[str, Account]:
    """The accounts by code; missing ones are opened. Safe to call concurrently."""
    wanted = {name.code: name for name in names}
    found = _find(wanted, livemode)
    missing = [name for code, name in wanted.items() if code not in found]
    if missing:
        with beside("ledger.open_accounts"):
            Account.objects.bulk_create(
                [
                    Account(
                        code=name.code,
                        purpose=name.purpose,
                        merchant=name.merchant,
                        livemode=livemode,
                        currency=CURRENCY,
                        normal_side=name.normal_side,
                        floor=name.floor,
                    )
                    for name in sorted(missing, key=lambda name: name.code)
                ],
                ignore_conflicts=True,
            )
            found = _find(wanted, livemode)
    return found


def _find(codes: Iterable[str], livemode: bool) -> dict[str, Account]:
    accounts = Account.objects.filter(code__in=list(codes), livemode=livemode, currency=CURRENCY)
    return {account.code: account for account in accounts}
