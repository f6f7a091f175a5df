"""The books balance at every commit: what the database refuses of ledger rows, tried with raw SQL by app and owner."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from tests import cluster
from tests.database.conftest import Attacker

NOW = "2026-11-23T12:00:00Z"


@pytest.fixture
def cash(attacker):
    return attacker.run("SELECT id FROM ledger_account WHERE code = 'platform:stp_cash' AND NOT livemode")


@pytest.fixture
def suspense(attacker):
    return attacker.run("SELECT id FROM ledger_account WHERE code = 'platform:suspense' AND NOT livemode")


@pytest.fixture
def live_suspense(attacker):
    return attacker.run(
        "INSERT INTO ledger_account (code, purpose, livemode, currency, normal_side, created_at) "
        "VALUES ('platform:suspense', 'suspense', true, 'MXN', 'credit', now()) RETURNING id"
    )


def new_transaction(attacker: Attacker, source: str = "dep_new", *, xid: int = 0, **given: int) -> int:
    names = "".join(f", {name}" for name in given)
    values = "".join(f", {value}" for value in given.values())
    return attacker.run(
        f"INSERT INTO ledger_transaction (public_id, kind, source, livemode, description, effective_at, "
        f"operating_date, recorded_at, xid{names}) VALUES "
        f"(%s, 'test', %s, false, '', now(), '2026-11-23', now(), {xid}{values}) RETURNING id",
        f"txn_{source}",
        source,
    )


def entries(*legs: tuple) -> str:
    """An INSERT of (transaction, account, amount[, currency]) rows."""
    rows = ", ".join(f"({t}, {a}, {amount}, '{(*currency, 'MXN')[0]}')" for t, a, amount, *currency in legs)
    return f"INSERT INTO ledger_entry (transaction_id, account_id, amount, currency) VALUES {rows}"


CHECK_DEFERRED = "SET CONSTRAINTS ALL IMMEDIATE"


def test_a_balanced_transaction_is_accepted(attacker, cash, suspense):
    posted = new_transaction(attacker)

    attacker.run(entries((posted, cash, 700), (posted, suspense, -300), (posted, suspense, -400)))

    attacker.run(CHECK_DEFERRED)
    assert attacker.run("SELECT sum(amount) FROM ledger_entry WHERE transaction_id = %s", posted) == 0


@pytest.mark.parametrize("amounts", [(700, -699), (700, 700), (1, 1, -3), (700, -700, 1)])
def test_entries_that_do_not_sum_to_zero_are_refused(attacker, cash, suspense, amounts):
    posted = new_transaction(attacker)
    legs = [(posted, cash if amount > 0 else suspense, amount) for amount in amounts]

    attacker.refused(entries(*legs), by=errors.CheckViolation, saying="entries do not sum to zero")


@pytest.mark.parametrize("first", [700, -700])
def test_a_single_leg_is_refused_at_once_even_if_the_other_would_follow(attacker, cash, suspense, first):
    posted = new_transaction(attacker)

    attacker.refused(entries((posted, cash, first)), by=errors.CheckViolation, saying="entries do not sum to zero")

    attacker.refused(CHECK_DEFERRED, by=errors.CheckViolation, saying="has fewer than two entries")


def test_a_leg_of_zero_is_refused(attacker, cash, suspense):
    posted = new_transaction(attacker)

    attacker.refused(
        entries((posted, cash, 0), (posted, suspense, 0)), by=errors.CheckViolation, saying="entry_amount_not_zero"
    )


def test_a_transaction_without_entries_is_refused_at_commit(world):
    for role in ("payments_app", "payments_owner"):
        with psycopg.connect(cluster.url(role)) as connection:
            new_transaction(Attacker(role, connection))

            with pytest.raises(errors.CheckViolation, match="has fewer than two entries"):
                connection.commit()


def test_an_entry_cannot_join_a_committed_transaction(attacker, cash, suspense):
    old = attacker.run("SELECT min(id) FROM ledger_transaction")

    attacker.refused(
        entries((old, cash, 700), (old, suspense, -700)),
        by=errors.RestrictViolation,
        saying="an entry joins only a transaction that is being written",
    )


def test_a_copy_meets_the_same_guards(attacker, cash, suspense):
    old, posted = attacker.run("SELECT min(id) FROM ledger_transaction"), new_transaction(attacker)
    attempts = {
        "an entry joins only": [(old, cash, 700, "MXN"), (old, suspense, -700, "MXN")],
        "entries do not sum to zero": [(posted, cash, 700, "MXN")],
    }

    def copy(rows: list[tuple]) -> None:
        copying = "COPY ledger_entry (transaction_id, account_id, amount, currency) FROM STDIN"
        with attacker.attempt(), attacker.connection.cursor().copy(copying) as stream:
            for row in rows:
                stream.write_row(row)

    for saying, rows in attempts.items():
        with pytest.raises(psycopg.Error, match=saying):
            copy(rows)


def test_a_merge_that_inserts_meets_the_same_guards(attacker, cash):
    posted = new_transaction(attacker)

    attacker.refused(
        f"MERGE INTO ledger_entry e USING (SELECT 1) s ON false WHEN NOT MATCHED THEN "
        f"INSERT (transaction_id, account_id, amount, currency) VALUES ({posted}, {cash}, 700, 'MXN')",
        by=errors.CheckViolation,
        saying="entries do not sum to zero",
    )


def test_two_inserts_in_one_statement_are_judged_together(attacker, cash, suspense):
    posted = new_transaction(attacker)

    attacker.refused(
        f"WITH one AS ({entries((posted, cash, 700))} RETURNING 1) {entries((posted, suspense, -600))}",
        by=errors.CheckViolation,
        saying="entries do not sum to zero",
    )


@pytest.mark.parametrize("forged", ["xid", "id"])
def test_a_forged_transaction_number_opens_nothing(attacker, cash, suspense, forged):
    old, number = attacker.connection.execute("SELECT id, xid FROM ledger_transaction LIMIT 1").fetchone()

    posted = new_transaction(attacker, xid=number)

    assert attacker.run("SELECT xid = pg_current_xact_id()::text::bigint FROM ledger_transaction WHERE id = %s", posted)
    if forged == "id":
        with pytest.raises(errors.UniqueViolation), attacker.attempt():
            new_transaction(attacker, "another", id=old)
    attacker.refused(entries((old, cash, 700), (old, suspense, -700)), by=errors.RestrictViolation)


def test_an_entry_cannot_join_an_account_of_the_other_mode(attacker, cash, live_suspense):
    posted = new_transaction(attacker)

    attacker.refused(
        entries((posted, cash, 700), (posted, live_suspense, -700)),
        by=errors.CheckViolation,
        saying="differ in mode or currency",
    )


def test_entries_written_before_their_transaction_evade_no_check(attacker, cash, live_suspense):
    # Foreign keys are checked at commit: the entries could come first, when there is no mode to compare with.
    attacker.refused(
        entries((999_999, cash, 700), (999_999, live_suspense, -700)),
        by=errors.RestrictViolation,
        saying="an entry joins only a transaction that is being written",
    )


def test_entries_written_before_their_account_evade_no_check(attacker, cash):
    posted = new_transaction(attacker)

    attacker.refused(
        entries((posted, cash, 700), (posted, 999_999, -700)),
        by=errors.CheckViolation,
        saying="differ in mode or currency",
    )


def test_currencies_never_mix(attacker, cash, suspense):
    posted = new_transaction(attacker)

    attacker.refused(
        entries((posted, cash, 700), (posted, suspense, -700, "USD")), by=errors.CheckViolation, saying="sum to zero"
    )
    attacker.refused(
        entries((posted, cash, 700, "USD"), (posted, suspense, -700, "USD")),
        by=errors.CheckViolation,
        saying="differ in mode or currency",
    )
    attacker.refused(
        "INSERT INTO ledger_account (code, purpose, livemode, currency, normal_side, created_at) "
        "VALUES ('platform:dollars', 'suspense', false, 'USD', 'credit', now())",
        by=errors.CheckViolation,
        saying="account_currency_known",
    )


def test_the_same_account_is_opened_once(attacker):
    attacker.refused(
        "INSERT INTO ledger_account (code, purpose, livemode, currency, normal_side, created_at) "
        "SELECT code, purpose, livemode, currency, normal_side, now() FROM ledger_account LIMIT 1",
        by=errors.UniqueViolation,
        saying="account_code_unique",
    )


def test_one_source_is_posted_once_for_one_kind(attacker):
    attacker.refused(
        "INSERT INTO ledger_transaction (public_id, kind, source, livemode, description, effective_at, operating_date, "
        "recorded_at, xid) SELECT 'txn_again', kind, source, NOT livemode, '', now(), '2026-11-23', now(), 0 "
        "FROM ledger_transaction LIMIT 1",
        by=errors.UniqueViolation,
        saying="transaction_kind_source_unique",
    )


def test_amounts_beyond_64_bits_are_refused_not_wrapped(attacker, cash, suspense):
    posted = new_transaction(attacker)

    attacker.refused(entries((posted, cash, 2**63), (posted, suspense, -(2**63))), by=errors.NumericValueOutOfRange)
    attacker.refused(
        entries((posted, cash, 2**63 - 1), (posted, suspense, 2**63 - 1), (posted, suspense, -2)),
        by=errors.CheckViolation,
        saying="entries do not sum to zero",
    )


def test_an_amount_that_is_no_number_is_refused(attacker, cash, suspense):
    posted = new_transaction(attacker)

    attacker.refused(
        entries((posted, cash, "'NaN'"), (posted, suspense, "'-Infinity'")), by=errors.InvalidTextRepresentation
    )
    attacker.refused(entries((posted, cash, "NULL")), by=errors.NotNullViolation)
