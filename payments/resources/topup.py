"""JSON representation of top-ups, which are credited deposits on a funding CLABE."""

from __future__ import annotations

from typing import Any

from core.clock import to_rfc3339
from core.mx import clabe
from payments.models import Deposit


def topup(record: Deposit) -> dict[str, Any]:
    """The top-up in API responses and events; its id is that of the deposit."""
    return {
        "id": record.public_id,
        "object": "topup",
        "livemode": record.livemode,
        "created_at": to_rfc3339(record.created_at),
        "amount": record.amount,
        "currency": record.currency,
        "clabe": record.clabe,
        "payer": {
            "name": record.payer_name,
            "account_masked": clabe.mask(record.payer_account),
            "bank_name": clabe.institution_name(record.payer_institution),
        },
        "tracking_key": record.tracking_key,
        "operating_date": record.operating_date.isoformat(),
    }
