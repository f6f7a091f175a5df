"""No illegal state, whoever writes it: every pair of states of every guarded model, in raw SQL by app and owner.

What is legal is written down here once more, independently of the code: a change of the machine is a change of this
table.
"""

from __future__ import annotations

import itertools

import pytest
from psycopg import errors

from core.db import StateGuard
from tests.database.conftest import NEW_DEPOSIT, our_models
from tests.database.raw_books import new_transaction

pytestmark = pytest.mark.promise("P3", "raw SQL: every pair of states that no transition declares", unit="attacks")

INITIAL = {
    "payments_payment": {"pending"},
    "payments_deposit": {"credited", "suspended"},
    "payments_payout": {"pending_approval", "pending"},
    "payments_payoutresolution": {"proposed"},
    "payments_refund": {"pending"},
    "payments_clabe": {"active"},
    "payments_reviewcase": {"to_match", "open"},
    "payments_report": {"pending"},
    "kyc_case": {"draft"},
    "ledger_hold": {"open"},
    "ledger_adjustment": {"proposed"},
    "staff_approval": {"pending"},
    "webhooks_providerevent": {"received", "processed", "ignored", "conflict", "retry"},
    "webhooks_endpoint": {"active"},
    "webhooks_delivery": {"pending"},
}
LEGAL = {
    "payments_payment": {
        "pending": {"processing", "completed", "failed", "expired", "cancelled"},
        "processing": {"completed", "failed", "expired", "cancelled"},
        "expired": {"completed"},
        "cancelled": {"completed"},
        "completed": {"reversed"},
        "failed": set(),
        "reversed": set(),
    },
    "payments_deposit": {"credited": set(), "suspended": {"credited", "matched"}, "matched": {"suspended"}},
    "payments_payout": {
        "pending_approval": {"pending", "rejected", "cancelled"},
        "pending": {"processing", "cancelled"},
        "processing": {"completed", "failed", "cancelled"},
        "completed": {"returned"},
        "failed": {"completed"},
        "cancelled": {"completed"},
        "rejected": set(),
        "returned": {"completed"},
    },
    "payments_payoutresolution": {"proposed": {"applied", "rejected"}, "applied": set(), "rejected": set()},
    "payments_refund": {
        "pending": {"processing", "completed", "failed", "cancelled", "returned"},
        "processing": {"completed", "failed"},
        "completed": {"processing", "failed", "returned"},
        "failed": {"pending", "completed"},
        "returned": {"pending", "completed"},
        "cancelled": {"completed"},
    },
    "payments_clabe": {"active": {"closed"}, "closed": set()},
    "payments_report": {
        "pending": {"processing", "failed"},
        "processing": {"completed", "failed"},
        "completed": set(),
        "failed": set(),
    },
    "payments_reviewcase": {
        "to_match": {"open", "matched"},
        "open": {"credited", "assigned", "matched"},
        "credited": set(),
        "assigned": set(),
        "matched": {"open"},
    },
    "kyc_case": {
        "draft": {"submitted"},
        "submitted": {"approved", "rejected"},
        "rejected": {"draft"},
        "approved": set(),
    },
    "ledger_hold": {"open": {"captured", "released"}, "captured": set(), "released": set()},
    "ledger_adjustment": {"proposed": {"posted", "rejected"}, "posted": set(), "rejected": set()},
    "staff_approval": {
        "pending": {"approved", "rejected", "cancelled", "expired"},
        "approved": set(),
        "rejected": set(),
        "cancelled": set(),
        "expired": set(),
    },
    "webhooks_providerevent": {
        "received": {"processed", "ignored", "retry", "conflict", "dead"},
        "retry": {"processed", "ignored", "retry", "conflict", "dead"},
        "processed": set(),
        "ignored": {"retry"},
        "conflict": {"resolved", "retry"},
        "resolved": {"retry"},
        "dead": {"retry"},
    },
    "webhooks_endpoint": {
        "active": {"failing", "disabled"},
        "failing": {"active", "paused", "disabled"},
        "paused": {"active", "disabled"},
        "disabled": {"active"},
    },
    "webhooks_delivery": {
        "pending": {"delivered", "exhausted", "cancelled", "paused"},
        "paused": {"pending", "cancelled"},
        "exhausted": {"pending"},
        "cancelled": {"pending"},
        "delivered": set(),
    },
}
"""Table -> reachable state -> the states it may become. Staying as it is, is always legal."""

GUARDED = {
    model._meta.db_table: model
    for model in our_models()
    if any(isinstance(trigger, StateGuard) for trigger in getattr(model._meta, "triggers", ()))
}
EVERY = {table: [*model.Status.values, "invented", ""] for table, model in GUARDED.items()}
PAIRS = [(table, a, b) for table, states in LEGAL.items() for a, b in itertools.product(states, EVERY[table])]

WITH = {
    "webhooks_endpoint": ", cursor = CASE '{after}' WHEN 'paused' THEN 1 END"
    ", probe_at = CASE '{after}' WHEN 'paused' THEN now() END"
    ", disabled_reason = CASE '{after}' WHEN 'disabled' THEN 'gone' ELSE '' END",
    "webhooks_delivery": ", next_attempt_at = CASE '{after}' WHEN 'pending' THEN now() END"
    ", finished_at = CASE WHEN '{after}' IN ('pending', 'paused') THEN NULL ELSE now() END",
    "webhooks_providerevent": ", next_at = now()",
    "payments_payment": ", completed_at = CASE '{after}' WHEN 'completed' THEN now() ELSE completed_at END"
    ", cancelled_at = CASE '{after}' WHEN 'cancelled' THEN now() ELSE cancelled_at END"
    ", amount_received = CASE WHEN '{after}' IN ('completed', 'reversed') THEN amount ELSE 0 END",
    "payments_payout": ", first_sent_at = coalesce(first_sent_at, now())"
    ", operating_date = coalesce(operating_date, current_date)"
    ", liquidated_at = CASE WHEN '{after}' IN ('completed', 'returned') THEN coalesce(liquidated_at, now())"
    " ELSE liquidated_at END"
    ", completed_at = CASE WHEN '{after}' = 'completed' AND status <> 'completed' THEN now() ELSE completed_at END"
    ", returned_at = CASE '{after}' WHEN 'returned' THEN coalesce(returned_at, now()) ELSE returned_at END"
    ", cancelled_at = CASE WHEN '{after}' = 'cancelled' AND status <> 'cancelled' THEN now() ELSE cancelled_at END"
    ", failure_code = CASE WHEN '{after}' IN ('failed', 'rejected') AND status <> '{after}' THEN 'x'"
    " ELSE failure_code END",
    "payments_payoutresolution": ", resolved_at = CASE WHEN '{after}' = status THEN resolved_at"
    " WHEN '{after}' = 'proposed' THEN NULL ELSE now() END",
    "payments_clabe": ", closed_at = CASE '{after}' WHEN 'closed' THEN now() ELSE closed_at END",
    "payments_report": ", attempt = 1, rows_done = 1, rows_total = 1"
    ", leased_until = CASE WHEN status IN ('completed', 'failed') THEN leased_until"
    " WHEN '{after}' = 'processing' THEN now() END"
    ", size = CASE '{after}' WHEN 'completed' THEN 1 ELSE size END"
    ", sha256 = CASE '{after}' WHEN 'completed' THEN repeat('a', 64) ELSE sha256 END"
    ", expires_at = CASE '{after}' WHEN 'completed' THEN now() + interval '1 day' ELSE expires_at END"
    ", completed_at = CASE WHEN '{after}' IN ('completed', 'failed') THEN now() ELSE completed_at END",
    "kyc_case": ", decision_reason = CASE WHEN '{after}' IN ('approved', 'rejected') THEN 'y' ELSE decision_reason END"
    ", decided_by = CASE WHEN '{after}' IN ('approved', 'rejected') THEN 'user:ana' ELSE decided_by END"
    ", decided_at = CASE WHEN '{after}' IN ('approved', 'rejected') THEN now() ELSE decided_at END",
    "payments_reviewcase": ", resolved_at = CASE WHEN '{after}' = 'open' AND status = 'matched' THEN NULL"
    " WHEN '{after}' IN ('to_match', 'open') THEN resolved_at ELSE now() END"
    ", payout_id = CASE WHEN '{after}' = 'open' THEN NULL"
    " WHEN '{after}' = 'matched' AND status <> 'matched' THEN (SELECT min(id) FROM payments_payout)"
    " ELSE payout_id END",
    "payments_deposit": ", suspense_reason = 'unknown_clabe'",
    "ledger_hold": ", captured = CASE '{after}' WHEN 'captured' THEN amount ELSE 0 END"
    ", resolved_at = CASE '{after}' WHEN 'open' THEN NULL ELSE now() END",
    "ledger_adjustment": ", resolved_at = CASE '{after}' WHEN 'proposed' THEN NULL ELSE now() END",
    "staff_approval": ", resolved_at = CASE '{after}' WHEN 'pending' THEN NULL ELSE now() END",
}
"""What CHECK constraints want of a row in some state, so that only the guard can be what refuses."""

CLONED = {
    "webhooks_endpoint": {"public_id": "we_new", "slot": 3},
    "webhooks_delivery": {"public_id": "dlv_new", "kind": "replay"},
    "payments_payment": {"public_id": "pay_new", "clabe": "646180157000000990", "amount_received": 0, "fee": 0}
    | {"fee_tax": 0, "external_id": None},
    "payments_deposit": {"public_id": "dep_new", "deposit_key": "new", "suspense_reason": "unknown_clabe"}
    | {"fee": 0, "fee_tax": 0},
    "payments_payout": {"public_id": "po_new", "tracking_key": "NEW", "external_id": None},
    "payments_payoutresolution": {"public_id": "prs_new"},
    "payments_refund": {"public_id": "re_new", "external_id": None},
    "payments_clabe": {"public_id": "clb_new", "clabe": "646180157000000990", "closed_at": None},
    "payments_report": {"public_id": "rep_new", "completed_at": None, "size": None},
    "payments_reviewcase": {"public_id": "rev_new", "resolved_at": None},
    "kyc_case": {"public_id": "kyc_new"},
    "ledger_hold": {"public_id": "hold_new", "source": "po_new"},
    "ledger_adjustment": {"public_id": "adj_new"},
    "staff_approval": {"public_id": "apr_new", "kind": "ledger.adjustment", "subject": "adj_new"},
    "webhooks_providerevent": {
        "public_id": "pev_new",
        "event_id": "new",
        "next_at": "2026-11-26T00:00:00Z",
    },
}


def path_to(table: str, state: str) -> list[str]:
    """The shortest way from an initial state to ``state``, both included."""
    paths = [[first] for first in sorted(INITIAL[table])]
    for path in paths:
        if path[-1] == state:
            return path
        paths += [[*path, after] for after in sorted(LEGAL[table][path[-1]]) if after not in path]
    raise AssertionError(f"{table} cannot become {state}")


def clone(attacker, table: str, status: str, **more: str) -> int:
    changes = dict(CLONED[table]) | more
    if table == "kyc_case":  # one case a merchant
        changes["merchant_id"] = attacker.clone("merchants_merchant", public_id="mer_new")
    if table == "payments_payment":
        changes["completed_at"] = None
    if table == "payments_reviewcase":  # one case a deposit
        changes["deposit_id"] = attacker.clone("payments_deposit", **NEW_DEPOSIT)
    if table == "payments_payoutresolution":  # one open one a payout
        changes["payout_id"] = attacker.run("SELECT min(id) FROM payments_payout")
    row = attacker.clone(table, status=status, **changes)
    if table == "kyc_case":  # without documents it could not be submitted
        attacker.clone("kyc_document", public_id="doc_new", case_id=row)
    if table == "staff_approval":  # two people have voted, each his way
        for user, decision in (("berta", "approve"), ("carla", "reject")):
            attacker.run(
                "INSERT INTO staff_vote (approval_id, user_id, decision, comment, created_at) "
                "SELECT %s, id, %s, '', now() FROM auth_user WHERE username = %s",
                row,
                decision,
                user,
            )
    if table == "payments_payoutresolution":  # approved
        about = {"kind": "payments.payout_resolution", "subject": "prs_new"}
        attacker.run(become("staff_approval", clone(attacker, "staff_approval", "pending", **about), "approved"))
    if table == "ledger_adjustment":  # approved, and in the books
        attacker.run(become("staff_approval", clone(attacker, "staff_approval", "pending"), "approved"))
        new_transaction(attacker, "adj_new")
    return row


def become(table: str, row: int, after: str) -> str:
    """An UPDATE to the state ``after`` that only the guard can refuse."""
    return f"UPDATE {table} SET status = '{after}'{WITH.get(table, '').format(after=after)} WHERE id = {row}"


def row_in(attacker, table: str, state: str) -> int:
    """A row that has come to ``state`` by legal steps."""
    first, *steps = path_to(table, state)
    row = clone(attacker, table, first)
    for step in steps:
        attacker.run(become(table, row, step))
    return row


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
