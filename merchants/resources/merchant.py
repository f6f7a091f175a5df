"""JSON representation of merchants."""

from __future__ import annotations

from typing import Any

from core.clock import to_rfc3339
from merchants.models import Merchant


def merchant(record: Merchant, *, livemode: bool) -> dict[str, Any]:
    """The merchant, as seen through an API key of this mode."""
    return {
        "id": record.public_id,
        "object": "merchant",
        "livemode": livemode,
        "created_at": to_rfc3339(record.created_at),
        "name": record.name,
        "legal_name": record.legal_name,
        "status": record.status,
    }
