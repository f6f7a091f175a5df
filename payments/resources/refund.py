"""JSON representation of refunds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.clock import to_rfc3339
from core.mx import clabe
from payments.models import Payout, Refund
from payments.resources.payout import returned


def refund(record: Refund) -> dict[str, Any]:
    """The refund as the API answers it and events carry it."""
    attempt = record.attempt
    has_failed = record.status == Refund.Status.FAILED and attempt is not None
    return {
        "id": record.public_id,
        "object": "refund",
        "livemode": record.livemode,
        "created_at": to_rfc3339(record.created_at),
        "status": record.status,
        "origin": record.origin,
        "payment": record.payment.public_id if record.payment is not None else None,
        "topup": record.deposit.public_id if record.payment is None else None,
        "deposit": record.deposit.public_id,
        "amount": record.amount,
        "currency": record.currency,
        "reason": record.reason,
        "destination": {
            "clabe_masked": clabe.mask(record.destination_clabe),
            "bank": {"code": record.destination_bank, "name": clabe.institution_name(record.destination_bank)},
            "name": record.destination_name,
        },
        "payout": attempt.public_id if attempt is not None else None,
        "delayed": attempt is not None and record.status == Refund.Status.PROCESSING and attempt.delayed,
        "failure": {"code": attempt.failure_code, "message": attempt.failure_message}
        if has_failed and attempt is not None
        else None,
        "return": returned(attempt) if attempt is not None and record.status == Refund.Status.RETURNED else None,
        "external_id": record.external_id,
        "metadata": record.metadata,
    }


def with_attempts(records: Sequence[Refund]) -> Sequence[Refund]:
    """The same refunds; the attempts of all are read by one query instead of one each."""
    found: dict[int, list[Payout]] = {record.pk: [] for record in records}
    for payout in Payout.objects.filter(refund__in=list(found)).order_by("pk"):
        found[payout.refund_id or 0].append(payout)
    for record in records:
        record.attempt_rows = found[record.pk]
    return records
