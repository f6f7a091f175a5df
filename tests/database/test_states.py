"""No illegal state from any writer: every pair of states of every guarded model, in raw SQL by app and owner.

What is legal is written down in ``tests/database/states.py`` once more, independently of the code: a change of the
machine is a change of that table.
"""

from __future__ import annotations

import pytest
from psycopg import errors

from tests.database.states import EVERY, GUARDED, INITIAL, LEGAL, PAIRS, become, clone, row_in

pytestmark = pytest.mark.promise("P3", "raw SQL: every pair of states that no transition declares", unit="attacks")


def test_every_guarded_model_is_in_this_table():
    assert set(GUARDED) == set(LEGAL) == set(INITIAL)
    unreachable = {table: {*GUARDED[table].Status.values} - LEGAL[table].keys() for table in LEGAL}
    assert unreachable == {table: {"received"} if table == "payments_deposit" else set() for table in LEGAL}


@pytest.mark.parametrize(("table", "before", "after"), PAIRS)
def test_only_declared_changes_of_state_are_accepted(attacker, table, before, after):
    row = row_in(attacker, table, before)
    change = become(table, row, after)

    if after == before or after in LEGAL[table][before]:
        attacker.run(change)
    elif table == "staff_approval" and before != "pending":
        attacker.refused(change, by=errors.RestrictViolation, saying="was decided already")
    else:
        attacker.refused(change, by=errors.CheckViolation, saying=f"{table}: {before} cannot become {after}")

    expected = after if after in LEGAL[table][before] else before
    assert attacker.run(f"SELECT status FROM {table} WHERE id = %s", row) == expected


@pytest.mark.parametrize(("table", "state"), [(table, state) for table, states in EVERY.items() for state in states])
def test_a_row_begins_only_in_an_initial_state(attacker, table, state):
    rows = attacker.run(f"SELECT count(*) FROM {table}")

    if state in INITIAL[table]:
        row = clone(attacker, table, state)
        assert attacker.run(f"SELECT status FROM {table} WHERE id = %s", row) == state
    else:
        with pytest.raises(errors.CheckViolation, match="a row cannot begin as"), attacker.attempt():
            clone(attacker, table, state)
        assert attacker.run(f"SELECT count(*) FROM {table}") == rows


@pytest.mark.parametrize("table", GUARDED)
def test_a_state_is_never_null(attacker, table):
    refusals = (errors.CheckViolation, errors.NotNullViolation)  # the guard's, or the column's after it

    with pytest.raises(refusals), attacker.attempt():
        attacker.run(f"UPDATE {table} SET status = NULL")


def test_a_merge_an_upsert_and_a_copy_meet_the_same_guard(attacker):
    attacker.refused(
        "MERGE INTO payments_payment p USING (SELECT 1) s ON p.status = 'completed' "
        "WHEN MATCHED THEN UPDATE SET status = 'failed'",
        by=errors.CheckViolation,
        saying="completed cannot become failed",
    )
    attacker.refused(
        "INSERT INTO payments_payment SELECT * FROM payments_payment WHERE status = 'pending' "
        "ON CONFLICT (id) DO UPDATE SET status = 'reversed'",
        by=errors.CheckViolation,
        saying="pending cannot become reversed",
    )
    columns = "public_id, merchant_id, status, decision_reason, decided_by, created_at"
    with pytest.raises(errors.CheckViolation, match="a row cannot begin as approved"), attacker.attempt():
        with attacker.connection.cursor().copy(f"COPY kyc_case ({columns}) FROM STDIN") as copy:
            copy.write_row(["kyc_copied", 1, "approved", "", "", "2026-11-23T00:00:00Z"])


def test_one_statement_that_changes_many_rows_is_refused_for_its_one_illegal_row(attacker):
    before = attacker.run("SELECT array_agg(status ORDER BY id) FROM payments_payment")
    assert sorted(before) == ["completed", "completed", "pending"]

    attacker.refused(
        "UPDATE payments_payment SET status = 'cancelled', cancelled_at = now()",
        by=errors.CheckViolation,
        saying="cannot become cancelled",
    )

    assert attacker.run("SELECT array_agg(status ORDER BY id) FROM payments_payment") == before
