"""Every guarded state: which changes are legal, and how a raw row comes to one."""

from __future__ import annotations

import itertools

from core.db import StateGuard
from tests.database.conftest import NEW_DEPOSIT, our_models
from tests.database.raw_books import new_transaction

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
