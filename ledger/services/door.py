"""The one door to the books. Named postings (``ledger.services.postings``) assemble legs; nobody else does."""

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
"""The one kind that may take effect long ago."""

HOLD_KINDS = frozenset(
    [f"{what}_{step}" for what in ("payout", "refund") for step in ("created", "settled", "failed")]
    + ["batch_accepted", "batch_released", "payment_reversed", "payment_return_settled", "payment_return_failed"]
)
"""The only kinds that move ``reserved``; ``ledger.services.hold`` alone posts them, each with its hold."""

Leg = tuple[AccountName, int]
"""An account and what it gets, in centavos: debits positive, credits negative."""


@dataclass(frozen=True, slots=True)
class When:
    """When money moved: the provider's own moment, and the banking day it counts for."""

    effective_at: datetime
    operating_date: date


@transaction_required
def post(
    kind: str,
    source: str,
    legs: Sequence[Leg],
    *,
    livemode: bool,
    when: When,
    description: str,
    reverses: Transaction | None = None,
    currency: str = CURRENCY,
) -> Transaction:
    """Write one balanced transaction, or nothing, as part of the unit of work that is open.

    ``source`` is the public id of the object that caused it: a second posting for the same ``(kind, source)`` raises
    ``AlreadyPosted``. A moment in the future counts as now. Whatever takes money from an account with a floor locks it
    and raises ``InsufficientFunds`` if the balance does not cover it. Else one of ``ledger.services.errors``, by name.
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
    """The accounts by code, locked in the order of their ids until the transaction ends: debits pass one by one.

    Credits need no lock: they can only raise what a debit found.
    """
    pks = [account.pk for account in open_accounts(names, livemode=livemode).values()]
    locked = Account.objects.filter(pk__in=pks).select_for_update(no_key=True).order_by("pk")
    return {account.code: account for account in locked}


def valid_amount(amount: int) -> int:
    """``amount`` if it is money that can be moved: centavos, an ``int`` from 1 to 2^53 - 1; else ``InvalidAmount``."""
    if type(amount) is not int or not 0 < amount <= MAX_AMOUNT:
        raise InvalidAmount(f"{amount!r} is not an amount: a whole number of centavos from 1 to 2^53 - 1.")
    return amount


def _require_funds(legs: Sequence[Leg], livemode: bool, writes: Writes) -> None:
    """Lock what loses money and see that it has it. Postings that the same unit of work will write count."""
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
    kind: str, legs: Sequence[Leg], when: When, description: str, currency: str, now: datetime
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
    """The transaction and its legs: the guard sees a complete set.

    No error where the kind and source are in the books already, so that the caller's transaction lives on. Accounts go
    by code: what this process believes of them cannot book to the wrong one.
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
