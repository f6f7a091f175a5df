"""JSON representation of deliveries and their attempts."""

from __future__ import annotations

from typing import Any

from core.clock import to_rfc3339
from webhooks.outbound.models import Delivery, DeliveryAttempt


def delivery(record: Delivery) -> dict[str, Any]:
    """The delivery with its attempts; its endpoint, event and attempts are loaded or prefetched."""
    return {
        "id": record.public_id,
        "object": "delivery",
        "livemode": record.endpoint.livemode,
        "created_at": to_rfc3339(record.created_at),
        "endpoint": record.endpoint.public_id,
        "event": record.event.public_id,
        "event_type": record.event.type,
        "kind": record.kind,
        "status": record.status,
        "next_attempt_at": to_rfc3339(record.next_attempt_at) if record.next_attempt_at else None,
        "finished_at": to_rfc3339(record.finished_at) if record.finished_at else None,
        "attempts": [attempt(made) for made in record.attempts.all()] if record.pk else [],
    }


def attempt(record: DeliveryAttempt) -> dict[str, Any]:
    """One attempt, without the body that was sent: it is the event."""
    return {
        "id": record.public_id,
        "at": to_rfc3339(record.at),
        "url": record.url,
        "manual": record.manual,
        "status_code": record.status_code,
        "error": record.error or None,
        "duration_ms": record.duration_ms,
        "response_excerpt": record.response_excerpt or None,
    }
