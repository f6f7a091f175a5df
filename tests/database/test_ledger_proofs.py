"""No adjustment without a second person, no snapshot that is not a sum: raw SQL by app and owner."""

from __future__ import annotations

import pytest
from psycopg import errors

from ledger.models.transaction import COUNTER as POSITIONS
from tests.database.raw_books import CHECK_DEFERRED, account, entries


@pytest.fixture
def cash(attacker):
    return account(attacker, "platform:stp_cash")


ADJUSTED = """
    INSERT INTO ledger_transaction (public_id, kind, source, livemode, description, effective_at, operating_date,
        recorded_at, reverses_id, position)
    VALUES ('trx_new', '{kind}', {source}, false, '', now(), '2026-11-23', now(), {reverses}, 0) RETURNING id
"""
WAITING = "(SELECT public_id FROM ledger_adjustment WHERE status = 'proposed')"
A_DEPOSIT = "(SELECT min(id) FROM ledger_transaction WHERE kind = 'spei_deposit')"


@pytest.mark.parametrize(
    ("kind", "source", "reverses"),
    [
        ("adjustment", "'adj_of_nobody'", "NULL"),
        ("adjustment", WAITING, "NULL"),
        ("adjustment", "'dep_1'", "NULL"),
        ("adjustment", "''", "NULL"),
        ("reversal", "'adj_of_nobody'", A_DEPOSIT),
        ("reversal", WAITING, A_DEPOSIT),
        ("spei_deposit", "'adj_of_nobody'", "NULL"),
        ("reversal", "(SELECT public_id FROM ledger_adjustment WHERE status = 'posted')", A_DEPOSIT),
    ],
)
def test_an_adjustment_that_nobody_else_approved_is_refused_at_commit(attacker, cash, kind, source, reverses):
    losses = account(attacker, "platform:losses")
    posted = int(attacker.run(ADJUSTED.format(kind=kind, source=source, reverses=reverses)))
    attacker.run(entries((posted, losses, 2), (posted, cash, -2)))

    attacker.refused(CHECK_DEFERRED, by=errors.CheckViolation, saying="is not what a second person approved")


@pytest.mark.parametrize(
    "change",
    [
        "total = total + 1",
        "total = 0",
        "position = position - 1",
        "position = 0, total = 0",
        "account_id = account_id + 1000000",
    ],
)
def test_a_snapshot_moves_forward_and_changes_in_no_other_way(attacker, change):
    attacker.refused(
        f"UPDATE ledger_snapshot SET {change}", by=errors.RestrictViolation, saying="position only moves forward"
    )


def test_a_snapshot_never_reaches_what_can_still_be_written(attacker):
    horizon = int(attacker.run(f"SELECT {HORIZON}"))

    for change in ("position + 1000000", "9223372036854775807"):
        attacker.run(f"UPDATE ledger_snapshot SET position = {change} RETURNING 1")

    assert attacker.run("SELECT max(position) FROM ledger_snapshot") <= horizon
    assert attacker.run(WRONG) == 0


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_snapshot_is_not_taken_where_other_entries_are_hidden(attacker, level):
    attacker.connection.rollback()
    attacker.connection.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")

    attacker.refused(
        f"UPDATE ledger_snapshot SET position = {HORIZON}", by=errors.CheckViolation, saying="hides other entries"
    )


HORIZON = POSITIONS.horizon_sql
WRONG = """
    SELECT count(*) FROM ledger_snapshot s WHERE s.total = 123456 OR s.total <> (
        SELECT coalesce(sum(e.amount), 0) FROM ledger_entry e
        WHERE e.account_id = s.account_id AND e.position < s.position
    )
"""


@pytest.mark.parametrize(
    "written",
    [
        f"UPDATE ledger_snapshot SET total = 123456, position = {HORIZON} RETURNING 1",
        f"INSERT INTO ledger_snapshot (account_id, position, total, taken_at) SELECT id, {HORIZON}, 123456, now() "
        "FROM ledger_account WHERE id NOT IN (SELECT account_id FROM ledger_snapshot) RETURNING 1",
        f"INSERT INTO ledger_snapshot (account_id, position, total, taken_at) SELECT id, {HORIZON}, 123456, now() "
        "FROM ledger_account ON CONFLICT (account_id) DO UPDATE SET total = 123456, position = excluded.position "
        "RETURNING 1",
    ],
    ids=["moved", "new", "new or moved"],
)
def test_the_database_computes_a_snapshots_total_whatever_it_is_told(attacker, written):
    assert attacker.run("SELECT nextval('ledger_position_counter')") > 0  # the horizon lies beyond the snapshots
    attacker.run(
        "INSERT INTO ledger_account (code, purpose, livemode, currency, normal_side, created_at) "
        "VALUES ('platform:new', 'losses', false, 'MXN', 'debit', now())"
    )

    assert attacker.run(written) == 1

    assert attacker.run(WRONG) == 0
