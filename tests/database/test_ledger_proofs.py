"""No adjustment without a second person, no snapshot that is not a sum: raw SQL by app and owner."""

from __future__ import annotations

import pytest
from psycopg import errors

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
        f"UPDATE ledger_snapshot SET {change}", by=errors.RestrictViolation, saying="moves forward and changes in no"
    )


def test_a_snapshot_never_reaches_what_can_still_be_written(attacker):
    for change in ("position + 1000000", "9223372036854775807"):
        attacker.refused(
            f"UPDATE ledger_snapshot SET position = {change}",
            by=errors.CheckViolation,
            saying="entries can still appear below",
        )


RIGHT = """
    SELECT count(*) FROM ledger_snapshot s WHERE s.total <> (
        SELECT coalesce(sum(e.amount), 0) FROM ledger_entry e
        WHERE e.account_id = s.account_id AND e.position < s.position
    )
"""


@pytest.mark.parametrize("start", ["what it was", "nothing"])
def test_the_database_computes_a_snapshots_total_whatever_it_is_told(attacker, cash, start):
    horizon = "(SELECT last_value + pg_snapshot_xmin(pg_current_snapshot())::text::bigint FROM ledger_position_base)"
    if start == "what it was":
        attacker.run(f"UPDATE ledger_snapshot SET total = 123456, position = {horizon}")
    else:
        attacker.run(
            f"INSERT INTO ledger_snapshot (account_id, position, total, taken_at) SELECT id, {horizon}, 123456, now() "
            "FROM ledger_account WHERE id NOT IN (SELECT account_id FROM ledger_snapshot)"
        )

    assert attacker.run("SELECT count(*) FROM ledger_snapshot WHERE total = 123456") == 0
    assert attacker.run(RIGHT) == 0
