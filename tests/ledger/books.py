"""Helpers of the ledger's tests: initial money, balances and what was written."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

from core import clock
from ledger.models import Entry, Hold, Transaction
from ledger.services import balance
from ledger.services.chart import MERCHANT_PURPOSES, AccountName
from ledger.services.journal import PostingTime, post
from merchants.models import Merchant

DAY = date(2026, 11, 23)
_number = itertools.count(1)


def when(effective_at: datetime | None = None) -> PostingTime:
    """A ``PostingTime`` with a fixed banking day."""
    return PostingTime(effective_at or clock.now(), DAY)


def fund(purpose: str, amount: int, merchant: Merchant | None = None, *, livemode: bool = False) -> Transaction:
    """Initial money: stp_cash / the account; for debt, cash that left."""
    owner = merchant if purpose in MERCHANT_PURPOSES else None
    change = -amount if purpose == "debt" else amount
    legs = [(AccountName("stp_cash"), change), (AccountName(purpose, owner), -change)]
    kind = "payout_created" if purpose == "reserved" else "fund"  # only kinds of holds may move reserved
    return post(kind, f"fund_{next(_number)}", legs, livemode=livemode, when=when(), description="To begin with")


def legs(posted: Transaction) -> dict[str, int]:
    """The legs in the database: purpose -> amount, debits positive."""
    return {entry.account.purpose: entry.amount for entry in posted.entries.select_related("account")}


def held(merchant: Merchant, *, livemode: bool = False) -> dict[str, int]:
    """The merchant's non-zero balances."""
    figures = balance.of_merchant(merchant, livemode=livemode)
    return {purpose: getattr(figures, purpose) for purpose in MERCHANT_PURPOSES if getattr(figures, purpose)}


def platform(*, livemode: bool = False) -> dict[str, int]:
    """The platform's non-zero balances."""
    return {purpose: total for purpose, total in balance.of_platform(livemode=livemode).items() if total}


def written() -> tuple[int, int, list[tuple[str, str, int]]]:
    """Numbers of transactions and entries, and the state of every hold."""
    holds = Hold.objects.order_by("source").values_list("source", "status", "captured")
    return Transaction.objects.count(), Entry.objects.count(), list(holds)


@contextmanager
def nothing_written() -> Iterator[None]:
    """Assert that the block writes nothing to the ledger."""
    before = written()
    yield
    assert written() == before
