"""Named postings, one function a flow of money; each docstring is its line in the chart of postings.

Callers say what happened; they never assemble legs.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Literal

from django.db import IntegrityError, transaction

from core import clock
from core.db import transaction_required
from core.errors import InvariantBroken
from core.money import CURRENCY, MAX_AMOUNT
from ledger.models import Entry, Transaction
from ledger.services.chart import AccountName, open_accounts
from merchants.models import Merchant

CashAccount = Literal["stp_cash", "conekta_receivable"]

_OLDEST_EFFECTIVE = timedelta(days=7)


def spei_deposit(
    merchant: Merchant,
    *,
    livemode: bool,
    source: str,
    amount: int,
    fee: int,
    fee_tax: int,
    effective_at: datetime,
    operating_date: date,
) -> Transaction:
    """SPEI deposit credited: stp_cash / available, fee_revenue, iva_payable."""
    return _post(
        "spei_deposit",
        source,
        [(AccountName("stp_cash"), amount), *_merchant_share("available", merchant, amount, fee, fee_tax)],
        livemode=livemode,
        effective_at=effective_at,
        operating_date=operating_date,
        description="SPEI deposit credited",
    )


def oxxo_paid(
    merchant: Merchant,
    *,
    livemode: bool,
    source: str,
    amount: int,
    fee: int,
    fee_tax: int,
    effective_at: datetime,
    operating_date: date,
) -> Transaction:
    """OXXO paid: conekta_receivable / pending, fee_revenue, iva_payable."""
    return _post(
        "oxxo_paid",
        source,
        [(AccountName("conekta_receivable"), amount), *_merchant_share("pending", merchant, amount, fee, fee_tax)],
        livemode=livemode,
        effective_at=effective_at,
        operating_date=operating_date,
        description="OXXO payment received by Conekta",
    )


def deposit_suspended(
    *,
    livemode: bool,
    source: str,
    cash: CashAccount,
    amount: int,
    effective_at: datetime,
    operating_date: date,
    reason: str,
) -> Transaction:
    """Deposit not creditable (unknown CLABE, policy, late): stp_cash or conekta_receivable / suspense."""
    return _post(
        "deposit_suspended",
        source,
        [(AccountName(cash), amount), (AccountName("suspense"), -amount)],
        livemode=livemode,
        effective_at=effective_at,
        operating_date=operating_date,
        description=f"Deposit kept in suspense: {reason}",
    )


def _merchant_share(
    purpose: str, merchant: Merchant, amount: int, fee: int, fee_tax: int
) -> list[tuple[AccountName, int]]:
    legs = [
        (AccountName(purpose, merchant), -(amount - fee - fee_tax)),
        (AccountName("fee_revenue"), -fee),
        (AccountName("iva_payable"), -fee_tax),
    ]
    return [(account, leg) for account, leg in legs if leg]


@transaction_required
def _post(
    kind: str,
    source: str,
    legs: list[tuple[AccountName, int]],
    *,
    livemode: bool,
    effective_at: datetime,
    operating_date: date,
    description: str,
) -> Transaction:
    """Write one balanced transaction. ``legs``: debits positive, credits negative, centavos.

    ``effective_at`` is clamped to the last seven days. Raises ``TypeError`` for an amount that is not an int,
    ``InvariantBroken`` for legs that do not balance and for a second posting of the same ``(kind, source)``.
    """
    for _, amount in legs:
        if type(amount) is not int:
            raise TypeError(f"money is integer centavos, not {type(amount).__name__}")
    if (
        len(legs) < 2
        or sum(amount for _, amount in legs) != 0
        or any(not 0 < abs(leg) <= MAX_AMOUNT for _, leg in legs)
    ):
        raise InvariantBroken(f"{kind} {source}: legs must be two or more, none of them zero, and sum to zero")
    now = clock.now()
    accounts = open_accounts((name for name, _ in legs), livemode=livemode)
    try:
        with transaction.atomic():
            posted = Transaction.objects.create(
                kind=kind,
                source=source,
                livemode=livemode,
                description=description[:200],
                effective_at=min(max(effective_at, now - _OLDEST_EFFECTIVE), now),
                operating_date=operating_date,
                recorded_at=now,
            )
    except IntegrityError as error:
        if "transaction_kind_source_unique" not in str(error):
            raise
        raise InvariantBroken(f"{kind} {source} is already posted") from error
    Entry.objects.bulk_create(
        Entry(transaction=posted, account=accounts[name.code], amount=amount, currency=CURRENCY)
        for name, amount in legs
    )
    return posted
