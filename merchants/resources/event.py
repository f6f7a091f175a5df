"""JSON representation of events."""

from __future__ import annotations

from typing import Any

from core.clock import to_rfc3339
from merchants.models import Event


def event(record: Event) -> dict[str, Any]:
    """The event, as in the feed and in webhooks."""
    return {
        "id": record.public_id,
        "object": "event",
        "livemode": record.livemode,
        "created_at": to_rfc3339(record.created_at),
        "type": record.type,
        "sequence": record.sequence,
        "object_sequence": record.object_sequence,
        "data": record.data,
    }
