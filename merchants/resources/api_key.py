"""JSON representation of API keys."""

from __future__ import annotations

from typing import Any

from core import clock
from core.clock import to_rfc3339
from merchants.models import ApiKey


def api_key(record: ApiKey) -> dict[str, Any]:
    """The key without its secret, which is not stored."""
    return {
        "id": record.public_id,
        "object": "api_key",
        "livemode": record.livemode,
        "created_at": to_rfc3339(record.created_at),
        "name": record.name,
        "prefix": record.prefix,
        "status": status(record),
        "scopes": record.scopes,
        "networks": [str(network) for network in record.networks],
        "replaces": record.replaces.public_id if record.replaces else None,
        "expires_at": to_rfc3339(record.expires_at) if record.expires_at else None,
        "last_used_at": to_rfc3339(record.last_used_at) if record.last_used_at else None,
        "revoked_at": to_rfc3339(record.revoked_at) if record.revoked_at else None,
    }


def status(record: ApiKey) -> str:
    """``active``, ``expired`` or ``revoked``."""
    if record.revoked_at is not None:
        return "revoked"
    return "active" if record.works_at(clock.now()) else "expired"
