"""JSON representation of reusable CLABEs."""

from __future__ import annotations

from typing import Any

from core.clock import to_rfc3339
from core.mx import clabe as mx_clabe
from payments.models import Clabe
from payments.resources.customer import customer


def clabe(record: Clabe) -> dict[str, Any]:
    """The reusable CLABE in API responses and events."""
    return {
        "id": record.public_id,
        "object": "clabe",
        "livemode": record.livemode,
        "created_at": to_rfc3339(record.created_at),
        "status": record.status,
        "purpose": record.purpose,
        "registration": record.registration or None,
        "clabe": record.clabe,
        "bank_name": mx_clabe.bank_name(record.clabe),
        "beneficiary_name": record.merchant.name,
        "label": record.label or None,
        "customer": customer(record),
        "min_amount": record.min_amount,
        "max_amount": record.max_amount,
        "closed_at": to_rfc3339(record.closed_at) if record.closed_at else None,
        "metadata": record.metadata,
    }
