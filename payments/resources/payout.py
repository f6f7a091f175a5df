from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.clock import to_rfc3339
from core.mx import clabe
from payments.models import Payout
from staff.models import Approval

RETURN_CODES = {
    1: "account_not_found",
    2: "account_blocked",
    3: "account_closed",
    5: "currency_not_accepted",
    6: "not_this_bank",
    13: "not_recognized",
    14: "missing_information",
    15: "wrong_payment_type",
    16: "wrong_operation_type",
    17: "wrong_account_type",
    18: "requested_by_sender",
    19: "invalid_character",
    20: "balance_limit_exceeded",
    21: "monthly_limit_exceeded",
    22: "phone_not_registered",
    23: "additional_account_restricted",
    24: "wrong_additional_information",
    25: "missing_instruction",
    26: "fraud_protection",
    27: "optional_payment_declined",
    28: "not_notified_in_time",
    30: "tracking_key_repeated",
}
"""Causas de devolución of SPEI in our words (STP's catalogue of causes)."""

FREE = (Payout.Status.FAILED, Payout.Status.REJECTED, Payout.Status.CANCELLED)
"""States in which a payout costs nothing."""


def payout(record: Payout) -> dict[str, Any]:
    """The payout as the API answers it and events carry it."""
    free = record.status in FREE
    return {
        "id": record.public_id,
        "object": "payout",
        "livemode": record.livemode,
        "created_at": to_rfc3339(record.created_at),
        "kind": record.kind,
        "status": record.status,
        "waiting_for": record.waiting_for or None,
        "delayed": record.delayed,
        "amount": record.amount,
        "currency": record.currency,
        "fee": 0 if free else record.fee,
        "fee_tax": 0 if free else record.fee_tax,
        "destination": {
            "clabe_masked": clabe.mask(record.destination_clabe),
            "bank": {"code": record.destination_bank, "name": clabe.institution_name(record.destination_bank)},
            "name": record.destination_name,
        },
        "concept": record.concept,
        "reference_number": record.reference_number,
        "external_id": record.external_id,
        "batch": None,
        "tracking_key": record.tracking_key,
        "operating_date": record.operating_date.isoformat() if record.operating_date else None,
        "scheduled_for": to_rfc3339(record.scheduled_for) if record.scheduled_for else None,
        "completed_at": to_rfc3339(record.completed_at) if record.completed_at else None,
        "cep": None,
        "failure": {"code": record.failure_code, "message": record.failure_message}
        if free and record.failure_code
        else None,
        "return": returned(record),
        "approvals": _approvals(record),
        "metadata": record.metadata,
    }


def with_approvals(records: Sequence[Payout]) -> Sequence[Payout]:
    """The same payouts; the approvals of all are read by one query instead of one each."""
    found: dict[str, list[Approval]] = {record.public_id: [] for record in records}
    for approval in Approval.objects.filter(subject__in=list(found)).order_by("pk"):
        found[approval.subject].append(approval)
    for record in records:
        record.approval_rows = found[record.public_id]
    return records


def _approvals(record: Payout) -> list[dict[str, Any]]:
    if record.status == Payout.Status.PENDING_APPROVAL:
        return [{"state": "pending", "decided_at": None}]
    if record.approval_rows is None:
        if record.status == Payout.Status.PENDING and record._state.adding:  # no approval is asked for
            return []
        with_approvals([record])
    return [
        {"state": row.status, "decided_at": to_rfc3339(row.resolved_at) if row.resolved_at else None}
        for row in record.approval_rows or ()
    ]


def returned(record: Payout) -> dict[str, Any] | None:
    """Why and when the payout came back; None unless it did after it was settled."""
    if record.returned_at is None or record.status != Payout.Status.RETURNED:
        return None
    return {
        "code": RETURN_CODES.get(record.return_cause or 0, "other"),
        "cause": record.return_cause,
        "reason": None,
        "returned_at": to_rfc3339(record.returned_at),
    }
