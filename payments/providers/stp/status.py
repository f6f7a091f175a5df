"""HTTP statuses of STP and of the gateways in front of it."""

from __future__ import annotations

from typing import Final

TURNED_AWAY: Final = frozenset({401, 403, 404, 405, 410, 429})
"""Credentials or address refused, or too many requests: the request had no effect at STP."""

REQUEST_TIMEOUT: Final = 408
"""A gateway got no answer in time: STP may have received the request."""
