"""One statement stores a notice: its slim row and its bytes, or nothing if the account has one with this id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from psycopg.types.numeric import Int8

from core import ids
from core.db import transaction_required
from core.writes import column_names, fetch, hydrate
from payments.models import ProviderAccount
from webhooks.inbound.models import Channel, ProviderEvent

_INSERT = """
WITH event AS (
    INSERT INTO webhooks_providerevent (
        public_id, account_id, livemode, channel, event_id, event_type, business_key, status, reason, object_id,
        body_sha256, key_id, remote_address, response_body, attempts, last_error, received_at, next_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, 'received', '', '', $8, $9, $10, '{}', 0, '', $11, $12)
    ON CONFLICT (account_id, event_id) DO NOTHING
    RETURNING id
), body AS (
    INSERT INTO webhooks_providereventbody (event_id, received_at, headers, body)
    SELECT id, $11::timestamptz, $13::jsonb, $14::bytea FROM event
)
SELECT (SELECT id FROM event), """

_KNOWN = """
FROM (VALUES (1)) one LEFT JOIN webhooks_providerevent known ON known.account_id = $2 AND known.event_id = $5
"""
"""The row that was there: a repetition costs no further question."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came, from whom and how: all that is kept of a notice beside its meaning."""

    account: ProviderAccount
    channel: Channel
    raw: bytes
    received_at: datetime
    remote_address: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    key_id: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self.raw).hexdigest()


@transaction_required
def insert(
    arrival: Arrival, *, digest: str, event_id: str, event_type: str, business_key: str = ""
) -> tuple[ProviderEvent, bool]:
    """The new row, ours until the transaction ends, and True; or the row that is there, unlocked, and False."""
    event = ProviderEvent(
        public_id=ids.new_id("provider_event"),
        account=arrival.account,
        livemode=arrival.account.livemode,
        channel=arrival.channel,
        event_id=event_id,
        event_type=event_type[:64],
        business_key=business_key,
        body_sha256=digest,
        key_id=arrival.key_id,
        remote_address=arrival.remote_address,
        received_at=arrival.received_at,
        next_at=arrival.received_at + settings.INBOX_STALE_AFTER,
    )
    new_id, *known = fetch(
        _INSERT + column_names(ProviderEvent, "known") + _KNOWN,
        [
            event.public_id,
            Int8(arrival.account.pk),
            event.livemode,
            str(event.channel),
            event.event_id,
            event.event_type,
            event.business_key,
            event.body_sha256,
            event.key_id,
            event.remote_address,
            event.received_at,
            event.next_at,
            json.dumps(dict(arrival.headers)),
            arrival.raw,
        ],
    )[0]
    if new_id is not None:
        event.pk = new_id
        event._state.adding = False
        return event, True
    if known[0] is None:  # stored by a transaction that ended while this one waited for it
        return ProviderEvent.objects.get(account=arrival.account, event_id=event_id), False
    event = hydrate(ProviderEvent, known)
    event.account = arrival.account
    return event, False
