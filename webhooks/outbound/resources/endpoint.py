"""JSON representation of webhook endpoints."""

from __future__ import annotations

from typing import Any

from core.clock import to_rfc3339
from webhooks.outbound.models import Endpoint


def endpoint(record: Endpoint) -> dict[str, Any]:
    """The endpoint in API responses and events, without its secrets."""
    return {
        "id": record.public_id,
        "object": "webhook_endpoint",
        "livemode": record.livemode,
        "created_at": to_rfc3339(record.created_at),
        "status": record.status,
        "disabled_reason": record.disabled_reason or None,
        "failing_since": to_rfc3339(record.failing_since) if record.failing_since else None,
        "next_probe_at": to_rfc3339(record.probe_at) if record.probe_at else None,
        "url": record.url,
        "events": record.events,
        "description": record.description or None,
        "api_version": record.api_version,
        "ordered": record.ordered,
        "metadata": record.metadata,
    }
