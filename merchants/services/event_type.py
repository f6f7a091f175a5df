"""The types of events, and the filters that webhook endpoints choose them by."""

from __future__ import annotations

_ACTIONS = {
    "payment": "created updated processing completed failed expired cancelled reversed review_required",
    "payout": "created updated approved rejected processing delayed completed failed cancelled returned",
    "topup": "completed",
    "refund": "created processing delayed completed failed cancelled returned",
    "settlement": "closed paid returned",
    "clabe": "created closed",
    "kyc": "submitted approved rejected information_required expired suspended",
    "webhook_endpoint": "test failing paused recovered disabled",
    "statement": "ready",
    "report": "ready failed",
    "payout_batch": "ready invalid accepted failed rejected cancelled completed",
    "api_key": "created rolled revoked",
}

TYPES = frozenset(f"{noun}.{action}" for noun, actions in _ACTIONS.items() for action in actions.split())
"""Every type of the API's contract."""

FILTERS = TYPES | {f"{noun}.*" for noun in _ACTIONS} | {"*"}
"""What an endpoint may subscribe to: a type, all types of a noun (``payment.*``), or everything (``*``)."""

TEST = "webhook_endpoint.test"
"""An event for one endpoint, independent of the endpoint's filters."""
