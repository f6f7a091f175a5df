"""Ledger rows by raw SQL, for attacks on what the database itself guards."""

from __future__ import annotations

from tests.database.conftest import Attacker

CHECK_DEFERRED = "SET CONSTRAINTS ALL IMMEDIATE"
"""Whatever waits for the commit is checked now."""


def account(attacker: Attacker, code: str) -> int:
    """The database id of a test-mode account."""
    return int(attacker.run("SELECT id FROM ledger_account WHERE code LIKE %s AND NOT livemode", code))


def new_transaction(
    attacker: Attacker, source: str = "dep_new", *, kind: str = "test", position: int = 0, **given: int
) -> int:
    """Insert a transaction that has no entries yet; ``given`` are further columns. Its database id."""
    names = "".join(f", {name}" for name in given)
    values = "".join(f", {value}" for value in given.values())
    return int(
        attacker.run(
            f"INSERT INTO ledger_transaction (public_id, kind, source, livemode, description, effective_at, "
            f"operating_date, recorded_at, position{names}) VALUES "
            f"(%s, %s, %s, false, '', now(), '2026-11-23', now(), {position}{values}) RETURNING id",
            f"txn_{source}",
            kind,
            source,
        )
    )


def entries(*legs: tuple, position: str = "t.position", effective_at: str = "t.effective_at") -> str:
    """An INSERT of (transaction, account, amount[, currency]) rows that says what their transaction ``t`` says."""
    rows = ", ".join(f"({t}, {a}, {amount}, '{(*currency, 'MXN')[0]}')" for t, a, amount, *currency in legs)
    return (
        f"INSERT INTO ledger_entry (transaction_id, account_id, amount, currency, position, effective_at) "
        f"SELECT v.transaction, v.account, v.amount, v.currency, {position}, {effective_at} "
        f"FROM (VALUES {rows}) v (transaction, account, amount, currency) "
        f"LEFT JOIN ledger_transaction t ON t.id = v.transaction"
    )


def post(attacker: Attacker, source: str, *legs: tuple[int, int], kind: str = "test") -> int:
    """A transaction with (account, amount) legs, as the application writes it."""
    posted = new_transaction(attacker, source, kind=kind)
    attacker.run(entries(*((posted, pk, amount) for pk, amount in legs)))
    return posted
