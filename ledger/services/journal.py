"""The journal: ``post`` is the only way to write a transaction. Only ``ledger.services.postings`` calls it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from core import clock, ids
from core.db import transaction_required
from core.errors import InsufficientFunds
from core.money import CURRENCY, MAX_AMOUNT, format_mxn
from core.unit_of_work import joined
from core.writes import Sql, Writes, new_instance
from ledger.models import Account, Transaction
from ledger.services import balance
from ledger.services.chart import AccountName, forget_open_accounts, make_sure_open, open_accounts
from ledger.services.errors import (
    AlreadyPosted,
    EffectiveTooOld,
    InvalidAmount,
    InvalidDescription,
    MoneyHeld,
    SameAccountTwice,
    Unbalanced,
    UnsupportedCurrency,
)

OLDEST_EFFECTIVE = timedelta(days=7)
ADJUSTMENT = "adjustment"
"""The only kind that may take effect more than ``OLDEST_EFFECTIVE`` ago."""

HOLD_KINDS = frozenset(
    [f"{what}_{step}" for what in ("payout", "refund") for step in ("created", "settled", "failed")]
    + ["batch_accepted", "batch_released", "payment_reversed", "payment_return_settled", "payment_return_failed"]
)
"""The only kinds that move ``reserved``; ``ledger.services.hold`` alone posts them, each with its hold."""

Leg = tuple[AccountName, int]
"""An account and the amount posted to it, in centavos: debits positive, credits negative."""


@dataclass(frozen=True, slots=True)
class PostingTime:
    """When money moved: the provider's time, and the banking day it belongs to."""

    effective_at: datetime
    operating_date: date


@transaction_required
def post(
    kind: str,
    source: str,
    legs: Sequence[Leg],
    *,
    livemode: bool,
    when: PostingTime,
    description: str,
    reverses: Transaction | None = None,
    currency: str = CURRENCY,
) -> Transaction:
    """Write one balanced transaction as part of the open unit of work.

    ``source`` is the public id of the object that caused it: a second posting with the same ``(kind, source)`` raises
    ``AlreadyPosted``. A time in the future counts as now. A posting that takes money from an account with a floor locks
    the account and raises ``InsufficientFunds`` if its balance is too low. Other invalid input raises one of the errors
    in ``ledger.services.errors``.
    """
    now = clock.now()
    _refuse_bad_input(kind, legs, when, description, currency, now)
    make_sure_open([name for name, _ in legs], livemode=livemode)
    posted = new_instance(
        Transaction,
        public_id=ids.new_id("transaction"),
        kind=kind,
        source=source,
        livemode=livemode,
        description=description,
        effective_at=min(when.effective_at, now),
        operating_date=when.operating_date,
        recorded_at=now,
        reverses=reverses,
    )
    with joined() as writes:
        _require_funds(legs, livemode, writes)
        _write(writes, posted, legs, currency)
    return posted


@transaction_required
def lock(names: Sequence[AccountName], *, livemode: bool) -> dict[str, Account]:
    """Lock the accounts in the order of their ids until the transaction ends, and return them by code.

    Debits lock; credits need not, because they only increase the balance that a debit has read.
    """
    pks = [account.pk for account in open_accounts(names, livemode=livemode).values()]
    locked = Account.objects.filter(pk__in=pks).select_for_update(no_key=True).order_by("pk")
    return {account.code: account for account in locked}


def valid_amount(amount: int) -> int:
    """``amount``, if it is an ``int`` of centavos from 1 to 2^53 - 1; else raises ``InvalidAmount``."""
    if type(amount) is not int or not 0 < amount <= MAX_AMOUNT:
        raise InvalidAmount(f"{amount!r} is not an amount: a whole number of centavos from 1 to 2^53 - 1.")
    return amount


def _require_funds(legs: Sequence[Leg], livemode: bool, writes: Writes) -> None:
    """Lock the accounts that lose money and check their balances, including postings of the same unit of work."""
    taken = {name: abs(amount) for name, amount in legs if name.floor is not None and _takes(name, amount)}
    locked = lock(list(taken), livemode=livemode) if taken else {}
    for name, amount in taken.items():
        held = balance.of_account(locked[name.code]) + writes.pending["posted", name.code, livemode]
        if held - amount < (name.floor or 0):
            raise InsufficientFunds(
                f"{name.purpose.capitalize()} holds {format_mxn(held)}; {format_mxn(amount)} are needed."
            )
    for name, amount in legs:
        if name.floor is not None:
            writes.pending["posted", name.code, livemode] += balance.on_side(amount, name.normal_side)


def _takes(name: AccountName, amount: int) -> bool:
    return (amount > 0) == (name.normal_side == Account.Side.CREDIT)


def _refuse_bad_input(
    kind: str, legs: Sequence[Leg], when: PostingTime, description: str, currency: str, now: datetime
) -> None:
    if currency != CURRENCY:
        raise UnsupportedCurrency(f"{currency} is not supported; the only currency is {CURRENCY}.")
    for _, amount in legs:
        valid_amount(abs(amount) if type(amount) is int else amount)
    if len({name.code for name, _ in legs}) < len(legs):
        raise SameAccountTwice
    if len(legs) < 2 or sum(amount for _, amount in legs) != 0:
        raise Unbalanced
    if kind not in HOLD_KINDS and any(name.purpose == "reserved" for name, _ in legs):
        raise MoneyHeld
    if not 1 <= len(description) <= 200:
        raise InvalidDescription
    if kind != ADJUSTMENT and when.effective_at < now - OLDEST_EFFECTIVE:
        raise EffectiveTooOld(f"{when.effective_at:%Y-%m-%d} is more than seven days ago.")


def _write(writes: Writes, posted: Transaction, legs: Sequence[Leg], currency: str) -> None:
    """Add the transaction and its entries to ``writes`` as one set, as the database guard requires.

    A known kind and source raises no database error, so that the caller's transaction stays usable. Accounts are found
    by code in SQL, so that a stale cache cannot book to a wrong account.
    """
    writes.insert(
        posted,
        on_conflict_do_nothing=("kind", "source"),
        missing=AlreadyPosted(f"{posted.kind} {posted.source} is posted already."),
        returning=("position", "effective_at"),
    )
    writes.add(
        Sql(
            """
            INSERT INTO ledger_entry (transaction_id, account_id, amount, currency, position, effective_at)
            SELECT t.id, (
                SELECT a.id FROM ledger_account a
                WHERE a.code = leg.code AND a.livemode = %s::boolean AND a.currency = %s::text
            ), leg.amount, %s, t.position, t.effective_at
            FROM {after}, unnest(%s::text[], %s::bigint[]) AS leg(code, amount)
            RETURNING id
            """,
            (
                posted.livemode,
                currency,
                currency,
                [name.code for name, _ in legs],
                [amount for _, amount in legs],
            ),
        ),
        after=posted,
        count=len(legs),
        on_error=forget_open_accounts,
    )
