"""The books balance at every commit: what the database refuses of ledger rows, tried with raw SQL by app and owner."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from tests import cluster
from tests.database.conftest import Attacker
from tests.database.raw_books import CHECK_DEFERRED, account, entries, new_transaction

pytestmark = pytest.mark.promise("P6", "raw SQL: entries that do not balance, come late or mix modes", unit="attacks")


@pytest.fixture
def cash(attacker):
    return account(attacker, "platform:stp_cash")


@pytest.fixture
def suspense(attacker):
    return account(attacker, "platform:suspense")


@pytest.fixture
def live_suspense(attacker):
    return attacker.run(
        "INSERT INTO ledger_account (code, purpose, livemode, currency, normal_side, floor, created_at) "
        "VALUES ('platform:suspense', 'suspense', true, 'MXN', 'credit', 0, now()) RETURNING id"
    )


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

    attacker.refused(
        entries((posted, cash, first)), by=errors.CheckViolation, saying="a transaction needs two or more entries"
    )

    attacker.refused(CHECK_DEFERRED, by=errors.CheckViolation, saying="has no entries")


def test_legs_on_top_of_a_complete_set_are_refused_though_they_balance(attacker, cash, suspense):
    posted = new_transaction(attacker)
    attacker.run(entries((posted, cash, 700), (posted, suspense, -700)))

    attacker.refused(
        entries((posted, cash, 1), (posted, suspense, -1)),
        by=errors.CheckViolation,
        saying="all entries are inserted at once",
    )
    attacker.refused(entries((posted, cash, 1)), by=errors.CheckViolation, saying="all entries are inserted at once")
    assert attacker.run("SELECT count(*) FROM ledger_entry WHERE transaction_id = %s", posted) == 2


def test_a_leg_of_zero_is_refused(attacker, cash, suspense):
    posted = new_transaction(attacker)

    attacker.refused(
        entries((posted, cash, 0), (posted, suspense, 0)), by=errors.CheckViolation, saying="entry_amount_not_zero"
    )


def test_a_transaction_without_entries_is_refused_at_commit(world):
    for role in ("payments_app", "payments_owner"):
        with psycopg.connect(cluster.url(role)) as connection:
            new_transaction(Attacker(role, connection))

            with pytest.raises(errors.CheckViolation, match="has no entries"):
                connection.commit()


def test_an_entry_cannot_join_a_committed_transaction(attacker, cash, suspense):
    old = attacker.run("SELECT min(id) FROM ledger_transaction")

    attacker.refused(
        entries((old, cash, 700), (old, suspense, -700)),
        by=errors.CheckViolation,
        saying="an entry cannot join an earlier transaction",
    )


def test_a_copy_meets_the_same_guards(attacker, cash, suspense):
    old, posted = attacker.run("SELECT min(id) FROM ledger_transaction"), new_transaction(attacker)
    attempts = {
        "an entry cannot join an earlier": [(old, cash, 700), (old, suspense, -700)],
        "a transaction needs two or more entries": [(posted, cash, 700)],
        "entries do not sum to zero": [(posted, cash, 700), (posted, suspense, -699)],
    }
    position, moment = attacker.connection.execute(
        "SELECT position, effective_at FROM ledger_transaction WHERE id = %s", [posted]
    ).fetchone()

    def copy(rows: list[tuple]) -> None:
        columns = "transaction_id, account_id, amount, currency, position, effective_at"
        copying = f"COPY ledger_entry ({columns}) FROM STDIN"
        with attacker.attempt(), attacker.connection.cursor().copy(copying) as stream:
            for row in rows:
                stream.write_row((*row, "MXN", position, moment))

    for saying, rows in attempts.items():
        with pytest.raises(psycopg.Error, match=saying):
            copy(rows)


def test_a_merge_that_inserts_meets_the_same_guards(attacker, cash):
    posted = new_transaction(attacker)

    attacker.refused(
        f"MERGE INTO ledger_entry e USING ledger_transaction t ON t.id <> {posted} WHEN NOT MATCHED THEN "
        f"INSERT (transaction_id, account_id, amount, currency, position, effective_at) "
        f"VALUES ({posted}, {cash}, 700, 'MXN', t.position, t.effective_at)",
        by=errors.CheckViolation,
        saying="a transaction needs two or more entries",
    )


def test_two_inserts_in_one_statement_are_judged_together(attacker, cash, suspense):
    posted = new_transaction(attacker)

    attacker.refused(
        f"WITH one AS ({entries((posted, cash, 700))} RETURNING 1) {entries((posted, suspense, -600))}",
        by=errors.CheckViolation,
        saying="entries do not sum to zero",
    )


@pytest.mark.parametrize("forged", ["position", "id"])
def test_a_forged_transaction_number_opens_nothing(attacker, cash, suspense, forged):
    old, number = attacker.connection.execute("SELECT id, position FROM ledger_transaction LIMIT 1").fetchone()

    posted = new_transaction(attacker, position=number)

    now = attacker.run("SELECT pg_sequence_last_value('ledger_position_counter')")
    assert attacker.run("SELECT position FROM ledger_transaction WHERE id = %s", posted) == now != number
    if forged == "id":
        with pytest.raises(errors.UniqueViolation), attacker.attempt():
            new_transaction(attacker, "another", id=old)
    attacker.refused(
        entries((old, cash, 700), (old, suspense, -700)), by=errors.CheckViolation, saying="an earlier transaction"
    )


@pytest.mark.parametrize(
    ("column", "forged"),
    [
        ("position", "0"),
        ("position", "t.position - 1"),
        ("position", "t.position + 1000000"),
        ("effective_at", "t.effective_at - interval '1 microsecond'"),
        ("effective_at", "'-infinity'"),
        ("effective_at", "now() + interval '1 day'"),
    ],
)
def test_an_entry_says_nothing_else_than_its_transaction(attacker, cash, suspense, column, forged):
    posted = new_transaction(attacker)
    legs = [(posted, cash, 700), (posted, suspense, -700)]

    attacker.refused(entries(*legs, **{column: forged}), by=errors.CheckViolation, saying="differ in position or time")
    attacker.refused(
        entries(*legs, **{column: f"CASE amount WHEN 700 THEN t.{column} ELSE {forged} END"}),
        by=errors.CheckViolation,
        saying="differ in position or time",
    )


@pytest.mark.parametrize("column", ["position", "effective_at"])
def test_an_entry_always_has_position_and_moment(attacker, cash, suspense, column):
    posted = new_transaction(attacker)

    attacker.refused(
        entries((posted, cash, 700), (posted, suspense, -700), **{column: "NULL"}), by=errors.NotNullViolation
    )


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
        entries((999_999, cash, 700), (999_999, live_suspense, -700), position="0", effective_at="now()"),
        by=errors.CheckViolation,
        saying="an entry needs its transaction",
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
        entries((posted, cash, 700), (posted, suspense, -700, "USD")), by=errors.CheckViolation, saying="ledger: "
    )
    attacker.refused(
        entries((posted, cash, 700, "USD"), (posted, suspense, -700, "USD")),
        by=errors.CheckViolation,
        saying="differ in mode or currency",
    )
    attacker.refused(
        "INSERT INTO ledger_account (code, purpose, livemode, currency, normal_side, floor, created_at) "
        "VALUES ('platform:dollars', 'suspense', false, 'USD', 'credit', 0, now())",
        by=errors.CheckViolation,
        saying="account_currency_known",
    )


def test_the_same_account_is_opened_once(attacker):
    attacker.refused(
        "INSERT INTO ledger_account (code, purpose, livemode, currency, normal_side, floor, created_at) "
        "SELECT code, purpose, livemode, currency, normal_side, floor, now() FROM ledger_account LIMIT 1",
        by=errors.UniqueViolation,
        saying="account_code_unique",
    )


def test_one_source_is_posted_once_for_one_kind(attacker):
    attacker.refused(
        "INSERT INTO ledger_transaction (public_id, kind, source, livemode, description, effective_at, operating_date, "
        "recorded_at, position) SELECT 'txn_again', kind, source, NOT livemode, '', now(), '2026-11-23', now(), 0 "
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
        entries((posted, cash, "'NaN'::bigint"), (posted, suspense, 1)), by=errors.InvalidTextRepresentation
    )
    attacker.refused(entries((posted, cash, "NULL::bigint")), by=errors.NotNullViolation)


def test_a_transaction_and_its_entries_may_come_in_one_statement(attacker, cash, suspense):
    attacker.run(
        f"""
        WITH posted AS (
            INSERT INTO ledger_transaction (public_id, kind, source, livemode, description, effective_at,
                operating_date, recorded_at, position)
            SELECT 'txn_' || n, 'test', 'dep_' || n, false, '', now(), '2026-11-23', now(), 0
            FROM generate_series(1, 3) n RETURNING id, position, effective_at
        ), legs AS (
            INSERT INTO ledger_entry (transaction_id, account_id, amount, currency, position, effective_at)
            SELECT posted.id, leg.account, leg.amount, 'MXN', posted.position, posted.effective_at
            FROM posted, (VALUES ({cash}, 700), ({suspense}, -700)) leg (account, amount) RETURNING 1
        )
        SELECT count(*) FROM legs
        """
    )

    attacker.run(CHECK_DEFERRED)
    assert (
        attacker.run(
            "SELECT count(*) FROM ledger_entry e JOIN ledger_transaction t ON t.id = transaction_id "
            "WHERE t.kind = 'test'"
        )
        == 6
    )


def test_one_bad_transaction_among_good_ones_is_refused(attacker, cash, suspense):
    good, bad, last = (new_transaction(attacker, f"dep_{n}") for n in range(3))

    attacker.refused(
        entries(
            (good, cash, 700), (good, suspense, -700), (bad, cash, 1), (bad, suspense, -2), (last, cash, 1),
            (last, suspense, -1),
        ),
        by=errors.CheckViolation,
        saying="entries do not sum to zero",
    )  # fmt: skip


@pytest.mark.parametrize("table", ["ledger_account", "ledger_transaction"])
def test_what_entries_point_to_is_neither_removed_nor_renumbered(attacker, table):
    for change in (
        f"DELETE FROM {table}",
        f"TRUNCATE {table} CASCADE",
        f"UPDATE {table} SET id = id + 1000000",
        f"UPDATE {table} SET id = DEFAULT",
        f"MERGE INTO {table} t USING (SELECT 1) x ON true WHEN MATCHED THEN DELETE",
        f"WITH gone AS (DELETE FROM {table} RETURNING 1) SELECT count(*) FROM gone",
    ):
        with pytest.raises((errors.RestrictViolation, errors.InsufficientPrivilege, errors.GeneratedAlways,
                            errors.SyntaxError, errors.ObjectNotInPrerequisiteState)), attacker.attempt():  # fmt: skip
            attacker.run(change)


def test_no_entry_is_without_its_account_and_transaction(attacker):
    assert (
        attacker.run(
            "SELECT count(*) FROM ledger_entry e LEFT JOIN ledger_account a ON a.id = e.account_id "
            "LEFT JOIN ledger_transaction t ON t.id = e.transaction_id WHERE a.id IS NULL OR t.id IS NULL"
        )
        == 0
    )
