"""Audit of the ledger from its entries alone, without trusting triggers, snapshots or seals.

Everything is read in one snapshot of the database, so that postings can continue. Large tables are summed by PostgreSQL
in pieces or read through server-side cursors: memory does not grow with the ledger.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import connection, transaction

from core import invariants
from core.db import allow_long_transaction, missing_guards
from ledger.models import Transaction
from ledger.models.transaction import COUNTER
from ledger.services import chain
from ledger.services.balance import on_side

Say = Callable[[str], object]
Row = tuple[Any, ...]

PIECE = 20_000
"""Transactions per statement, and rows per fetch from a server-side cursor."""

_IN_FULL = {
    "entries_sum_to_zero",
    "transactions_balance",
    "floors_hold",
    "snapshots_match",
    "reserved_is_held",
    "guards_enabled",
}
"""Registered invariants that check a part or trust a snapshot; the audit checks the same in full."""


@dataclass(slots=True)
class Audit:
    """Counts, and amounts in centavos. ``head`` is the hash of the newest seal if the chain was checked."""

    transactions: int = 0
    entries: int = 0
    debits: int = 0
    credits: int = 0
    faults: int = 0
    seals: int = 0
    head: str = chain.GENESIS


@dataclass(slots=True)
class Progress:
    """Reports the progress of a step at most once per second; a shorter step reports nothing."""

    say: Say
    step: str
    total: int
    done: int = 0
    began: float = field(default_factory=time.monotonic)
    said: float = field(default_factory=time.monotonic)

    def advance(self, rows: int) -> None:
        self.done += rows
        now = time.monotonic()
        if now - self.said >= 1:
            self.said = now
            percent = min(100, 100 * self.done // max(self.total, 1))
            self.say(f"{self.step}: {percent} %, {self.done / (now - self.began):,.0f} rows/s")


def run(*, on_fault: Say, on_warning: Say, on_progress: Say, with_chain: bool = False) -> Audit:
    """Check everything; call ``on_fault`` with a sentence for each fault as it is found.

    ``with_chain``: also check every seal from the first one. Must be called outside of any transaction.
    """
    found = Audit()
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        _be_patient()
        _count(found)
        for fault in itertools.chain(
            _transactions(found, on_progress),
            _accounts(found, on_progress),
            _holds_without_account(),
            _splits(),
            _sources_posted_twice(),
            _reversals(),
            _other_invariants(),
            (f"{guard} is missing or disabled" for guard in missing_guards(apps.get_models())),
            _chain(found, on_progress, on_warning) if with_chain else (),
        ):
            found.faults += 1
            on_fault(fault)
    return found


def _be_patient() -> None:
    """Raise the timeouts of this transaction. Invariants may change them, so this is called again after each."""
    allow_long_transaction(statement="6h", idle="10min")


def _count(found: Audit) -> None:
    ((found.transactions,),) = _rows("SELECT count(*) FROM ledger_transaction")
    query = """
        SELECT count(*), coalesce(sum(amount) FILTER (WHERE amount > 0), 0),
            coalesce(-sum(amount) FILTER (WHERE amount < 0), 0)
        FROM ledger_entry
    """
    ((found.entries, debits, credits),) = _rows(query)
    found.debits, found.credits = int(debits), int(credits)


_FAULTY_TRANSACTIONS = """
    WITH legs AS (
        SELECT e.transaction_id, e.currency, count(*) AS count, sum(e.amount) AS total, count(a.id) AS accounts,
            min(e.position) AS lowest, max(e.position) AS highest,
            min(e.effective_at) AS earliest, max(e.effective_at) AS latest,
            bool_or(a.currency <> e.currency) AS other_currency, bool_or(a.livemode) AS any_live,
            bool_and(a.livemode) AS all_live
        FROM ledger_entry e LEFT JOIN ledger_account a ON a.id = e.account_id
        WHERE e.transaction_id >= %s AND e.transaction_id < %s
        GROUP BY e.transaction_id, e.currency
    ), posted AS (
        SELECT * FROM ledger_transaction WHERE id >= %s AND id < %s
    )
    SELECT coalesce(t.public_id, 'transaction number ' || legs.transaction_id), t.id IS NULL, legs.count, legs.total,
        legs.currency, legs.accounts < legs.count, legs.lowest <> t.position OR legs.highest <> t.position,
        legs.earliest <> t.effective_at OR legs.latest <> t.effective_at,
        legs.any_live <> t.livemode OR legs.all_live <> t.livemode, legs.other_currency
    FROM posted t FULL JOIN legs ON legs.transaction_id = t.id
    WHERE t.id IS NULL OR legs.transaction_id IS NULL OR legs.count < 2 OR legs.total <> 0
        OR legs.accounts < legs.count OR legs.lowest <> t.position OR legs.highest <> t.position
        OR legs.earliest <> t.effective_at OR legs.latest <> t.effective_at
        OR legs.any_live <> t.livemode OR legs.all_live <> t.livemode OR legs.other_currency
    ORDER BY coalesce(t.id, legs.transaction_id)
"""


def _transactions(found: Audit, say: Say) -> Iterator[str]:
    """Compare each transaction with its entries."""
    progress = Progress(say, "transactions", found.transactions)
    for low, high in _ranges("ledger_transaction"):
        for name, gone, legs, total, currency, *differences in _rows(_FAULTY_TRANSACTIONS, low, high, low, high):
            if gone:
                yield f"{name} does not exist, but {legs} entries of it do"
            elif not legs or legs < 2:
                yield f"{name} has {legs or 0} entries, two or more are needed"
            elif total:
                yield f"{name} is out by {total} {currency} centavos"
            for wrong, what in zip(
                differences,
                (
                    "has an entry of an account that does not exist",
                    "and its entries differ in position",
                    "and its entries differ in effective_at",
                    "and the accounts of its entries differ in mode",
                    "has an entry whose account has another currency",
                ),
                strict=True,
            ):
                if wrong:
                    yield f"{name} {what}"
        progress.advance(PIECE)


def _ranges(table: str) -> Iterator[tuple[int, int]]:
    """Ranges of ids with ``PIECE`` rows of ``table`` each, which together cover all ids."""
    low = -(2**63)
    while True:
        query = f"SELECT id FROM {table} WHERE id >= %s ORDER BY id OFFSET {PIECE} LIMIT 1"  # noqa: S608 - constants
        row = next(_rows(query, low), None)
        yield low, row[0] if row else 2**63 - 1
        if row is None:
            return
        low = row[0]


_ACCOUNTS = """
    SELECT a.code, a.livemode, a.currency, a.purpose, a.normal_side, a.floor, ledger_total(a.id),
        s.position, s.total, sums.below, sums.total, sums.count, held.amount
    FROM ledger_account a
    LEFT JOIN ledger_snapshot s ON s.account_id = a.id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(e.amount), 0) AS total, count(*) AS count,
            coalesce(sum(e.amount) FILTER (WHERE e.position < s.position), 0) AS below
        FROM ledger_entry e WHERE e.account_id = a.id
    ) sums
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(h.amount - h.split), 0) AS amount FROM ledger_hold h
        WHERE h.merchant_id = a.merchant_id AND h.livemode = a.livemode AND h.status = 'open'
    ) held
    ORDER BY a.id
"""


def _accounts(found: Audit, say: Say) -> Iterator[str]:
    """Sum each account from its first entry and compare with its snapshot, ``ledger_total``, floor and holds."""
    progress = Progress(say, "accounts", found.entries)
    sums: Counter[tuple[bool, str]] = Counter()
    for code, live, currency, purpose, side, floor, fast, position, snapshot, below, total, count, held in _stream(
        _ACCOUNTS, fetch=100
    ):
        name = f"{code} ({_mode(live)})"
        balance = on_side(total, side)
        sums[live, currency] += int(total)
        if position is not None and snapshot != below:
            yield f"the snapshot of {name} says {snapshot} centavos, its entries {below}"
        if fast != total:
            yield f"ledger_total says {fast} centavos for {name}, its entries {total}"
        if floor is not None and balance < floor:
            yield f"{name} holds {balance} centavos, below its floor of {floor}"
        if purpose == "reserved" and balance != held:
            yield f"{name} holds {balance} centavos, open holds say {held}"
        progress.advance(count)
    for (live, currency), difference in sorted(sums.items()):
        if difference:
            yield f"{_mode(live)} {currency} sums to {difference} centavos"


def _holds_without_account() -> Iterator[str]:
    query = """
        SELECT h.public_id, h.amount - h.split FROM ledger_hold h
        WHERE h.status = 'open' AND h.split < h.amount AND NOT EXISTS (
            SELECT 1 FROM ledger_account a
            WHERE a.merchant_id = h.merchant_id AND a.livemode = h.livemode AND a.purpose = 'reserved'
        ) ORDER BY h.id
    """
    for public_id, amount in _rows(query):
        yield f"{public_id} holds {amount} centavos of a merchant without a reserved account"


def _splits() -> Iterator[str]:
    """The amount split off a hold equals the sum of its parts."""
    query = """
        SELECT h.public_id, h.split, coalesce(parts.total, 0) FROM ledger_hold h
        LEFT JOIN (
            SELECT parent_id, sum(amount) AS total FROM ledger_hold WHERE parent_id IS NOT NULL GROUP BY parent_id
        ) parts ON parts.parent_id = h.id
        WHERE h.split <> coalesce(parts.total, 0) ORDER BY h.id
    """
    for public_id, split, total in _rows(query):
        yield f"{public_id} has {split} centavos split off, its parts sum to {total}"


def _sources_posted_twice() -> Iterator[str]:
    query = """
        SELECT kind, source, count(*) FROM ledger_transaction GROUP BY kind, source HAVING count(*) > 1
        ORDER BY kind, source
    """
    for kind, source, count in _stream(query):
        yield f"{kind} {source} is posted {count} times"


def _reversals() -> Iterator[str]:
    """For each account, the reversals of a transaction lie between zero and the original amount."""
    query = """
        SELECT o.public_id, a.code, -undone.total, coalesce(original.total, 0)
        FROM (
            SELECT t.reverses_id, e.account_id, sum(e.amount) AS total
            FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
            WHERE t.reverses_id IS NOT NULL GROUP BY t.reverses_id, e.account_id
        ) undone
        JOIN ledger_transaction o ON o.id = undone.reverses_id
        JOIN ledger_account a ON a.id = undone.account_id
        CROSS JOIN LATERAL (
            SELECT sum(e.amount) AS total FROM ledger_entry e
            WHERE e.transaction_id = undone.reverses_id AND e.account_id = undone.account_id
        ) original
        WHERE NOT -undone.total BETWEEN least(0, coalesce(original.total, 0))
            AND greatest(0, coalesce(original.total, 0))
        ORDER BY o.id, a.code
    """
    for public_id, code, undone, original in _stream(query):
        yield f"{public_id} moved {original} centavos of {code}, {undone} of them are reversed"


def _other_invariants() -> Iterator[str]:
    """Run the registered invariants that are not checked in full. A check that raises is a fault."""
    for invariant in invariants.all_invariants():
        if invariant.name in _IN_FULL:
            continue
        try:
            with transaction.atomic():
                faults = [fault.message for fault in invariant.find()]
        except Exception as error:
            faults = [f"could not be checked: {type(error).__name__}"]
        _be_patient()
        yield from (f"{invariant.name}: {message}" for message in faults)


_SEALS = """
    SELECT s.seq, s.hash, t.id, t.position, t.public_id, t.kind, t.source, t.livemode, t.description, t.effective_at,
        t.operating_date, t.recorded_at, r.public_id, legs.codes, legs.amounts, legs.currencies
    FROM ledger_seal s
    LEFT JOIN ledger_transaction t ON t.id = s.transaction_id
    LEFT JOIN ledger_transaction r ON r.id = t.reverses_id
    CROSS JOIN LATERAL (
        SELECT array_agg(a.code) AS codes, array_agg(e.amount) AS amounts, array_agg(e.currency::text) AS currencies
        FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id WHERE e.transaction_id = t.id
    ) legs
    ORDER BY s.seq
"""


def _chain(found: Audit, say: Say, warn: Say) -> Iterator[str]:
    """Recompute every seal from its transaction's current content and the previous stored seal."""
    ((total,),) = _rows("SELECT count(*) FROM ledger_seal")
    progress = Progress(say, "chain", total)
    expected, previous, last = 1, chain.GENESIS, (-1, 0)
    for seq, stored, pk, position, *said, reverses, codes, amounts, currencies in _stream(_SEALS, fetch=1_000):
        if seq != expected:
            yield f"seals {expected} to {seq - 1} are missing"
        if pk is None:
            yield f"seal {seq}: its transaction does not exist"
        else:
            posted = _transaction(said, reverses)
            entries = list(zip(codes or (), amounts or (), currencies or (), strict=True))
            # After a gap the previous hash is unknown; the seals after it still verify each other.
            if seq == expected and chain.digest(previous, posted, entries) != stored:
                yield f"seal {seq} does not fit {posted.public_id}: one of them, or seal {seq - 1}, was changed"
            if (position, pk) <= last:
                yield f"seal {seq}: {posted.public_id} is out of order"
            last = (position, pk)
        expected, previous = seq + 1, stored
        found.seals += 1
        progress.advance(1)
    found.head = previous
    yield from _behind_the_chain(last, warn)


def _transaction(said: list[Any], reverses: str | None) -> Transaction:
    names = ("public_id", "kind", "source", "livemode", "description", "effective_at", "operating_date", "recorded_at")
    return Transaction(
        **dict(zip(names, said, strict=True)), reverses=Transaction(public_id=reverses) if reverses else None
    )


def _behind_the_chain(last: tuple[int, int], warn: Say) -> Iterator[str]:
    """Unsealed transactions: before the last seal they were inserted later; after it they wait for the worker."""
    unsealed = "FROM ledger_transaction t LEFT JOIN ledger_seal s ON s.transaction_id = t.id WHERE s.seq IS NULL"
    query = f"SELECT t.public_id {unsealed} AND (t.position, t.id) <= (%s, %s) ORDER BY t.id"  # noqa: S608 - constants
    for (public_id,) in _stream(query, *last):
        yield f"{public_id} has no seal but later ones have: it was inserted afterwards, or its seal was removed"
    query = f"""
        SELECT count(*) {unsealed} AND (t.position, t.id) > (%s, %s) AND t.recorded_at < now() - interval '10 minutes'
            AND t.position < %s
    """  # noqa: S608 - constants
    ((waiting,),) = _rows(query, *last, COUNTER.horizon())
    if waiting:
        warn(f"{waiting} transactions older than ten minutes are not sealed yet: is the worker running?")


def _mode(livemode: bool) -> str:
    return "live" if livemode else "test"


def _rows(query: str, *params: int) -> Iterator[Row]:
    """The rows of a query with a small result."""
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        yield from cursor.fetchall()


def _stream(query: str, *params: int, fetch: int = PIECE) -> Iterable[Row]:
    """The rows of a query, ``fetch`` at a time through a server-side cursor."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, params)
        while rows := cursor.fetchmany(fetch):
            yield from rows
