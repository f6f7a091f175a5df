"""JSON representation of Idempotency-Keys."""

from __future__ import annotations

from typing import Any

from core import ids
from core.clock import to_rfc3339
from merchants.models import IdempotencyKey


def idempotency_key(record: IdempotencyKey) -> dict[str, Any]:
    """The request with this key, its response status and the created object."""
    created = {"object": ids.kind(record.object_id), "id": record.object_id} if record.object_id else None
    return {
        "id": record.public_id,
        "object": "idempotency_key",
        "livemode": record.livemode,
        "created_at": to_rfc3339(record.created_at),
        "key": record.key,
        "state": record.state,
        "method": record.method,
        "path": record.path,
        "response_status": record.response_status,
        "resource": created,
    }
