"""The statements that store a notice: its slim row and its bytes, or nothing if the account has one with this id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from django.conf import settings
from psycopg.types.json import Jsonb

from core.writes import Sql, Writes, fetch, numbered
from payments.models import ProviderAccount
from payments.services.notice import Overtaken
from webhooks.inbound.models import Channel, ProviderEvent

_EVENT = """
    INSERT INTO webhooks_providerevent (
        public_id, account_id, livemode, channel, event_id, event_type, business_key, status, reason, object_id,
        body_sha256, key_id, remote_address, response_status, response_body, attempts, last_error, received_at,
        processed_at, next_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (account_id, event_id) DO NOTHING
    RETURNING id
"""


def _body(event: str) -> str:
    """The statement for the bytes of the notice that the part ``event`` of the same statement stores."""
    return (
        "INSERT INTO webhooks_providereventbody (event_id, received_at, headers, body) "  # noqa: S608
        f"SELECT id, %s::timestamptz, %s::jsonb, %s::bytea FROM {event} RETURNING event_id AS id"
    )


_KNOWN = "id, status, body_sha256, response_status, response_body"

_KNOWN_COLUMNS = len(_KNOWN.split(", "))

_STORE = numbered(
    f"WITH event AS ({_EVENT}), body AS ({_body('event')}) "  # noqa: S608 - constants only
    f"SELECT event.id, {', '.join(f'known.{column}' for column in _KNOWN.split(', '))} "
    "FROM (VALUES (1)) one LEFT JOIN event ON true "
    "LEFT JOIN webhooks_providerevent known ON known.account_id = %s AND known.event_id = %s"
)
"""With the row that was there: a repetition costs no further question."""

_LOOK = f"SELECT {_KNOWN} FROM webhooks_providerevent WHERE account_id = %s AND event_id = %s"  # noqa: S608
_LOOK_NUMBERED = numbered(_LOOK)
_ONLY_IF_NEW = "AND NOT EXISTS (SELECT FROM known) FOR NO KEY UPDATE"


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

    def event(self, *, digest: str, event_id: str, event_type: str, business_key: str = "") -> ProviderEvent:
        """Its row, not stored yet."""
        return ProviderEvent(
            account=self.account,
            livemode=self.account.livemode,
            channel=self.channel,
            event_id=event_id,
            event_type=event_type[:64],
            business_key=business_key,
            body_sha256=digest,
            key_id=self.key_id,
            remote_address=self.remote_address,
            received_at=self.received_at,
            next_at=self.received_at + settings.INBOX_STALE_AFTER,
        )


@dataclass(frozen=True, slots=True)
class Known:
    """A row that was there, as far as a repetition must know it; not locked."""

    pk: int
    status: str
    body_sha256: str
    response_status: int | None
    response_body: dict[str, Any]

    @property
    def is_settled(self) -> bool:
        """True once it needs no further work."""
        return self.status in ProviderEvent.SETTLED


def insert(arrival: Arrival, event: ProviderEvent) -> Known | None:
    """Store the event as it is by one statement, or give what is there; None: stored. No transaction is needed.

    Nobody may hold anything that whoever stores the same id waits for.
    """
    values = (*_event_values(event), *_body_values(arrival), event.account_id, event.event_id)
    (row,) = fetch(_STORE, values)
    new_id, known = row[0], row[1:]
    if new_id is not None:
        event.pk = new_id
        event._state.adding = False
        return None
    if known[0] is None:  # stored by a transaction that ended while this one waited for it
        (known,) = fetch(_LOOK_NUMBERED, [event.account_id, event.event_id])
    return _known(known)


def look(account_pk: int, event_id: str, about: Sql | None) -> tuple[Known | None, tuple[Any, ...] | None]:
    """What is stored under a notice's id; else, by the same statement, the row of ``about``, which locks."""
    if about is None:
        rows = fetch(_LOOK_NUMBERED, [account_pk, event_id])
        return (_known(rows[0]) if rows else None), None
    (row,) = fetch(_looking(about.text), [account_pk, event_id, *about.params])
    known, found = row[:_KNOWN_COLUMNS], row[_KNOWN_COLUMNS:]
    return (_known(known) if known[0] is not None else None), (found if found[0] is not None else None)


@cache
def _looking(text: str) -> str:
    return numbered(  # constants only
        f"WITH known AS ({_LOOK}), found AS ({text.replace('FOR NO KEY UPDATE', _ONLY_IF_NEW)}) "  # noqa: S608
        "SELECT known.*, found.* FROM (VALUES (1)) one LEFT JOIN known ON true LEFT JOIN found ON true"
    )


def add(writes: Writes, arrival: Arrival, event: ProviderEvent) -> None:
    """Let ``writes`` store the event as it is by then; executing raises ``Overtaken`` if one with its id is there."""
    part = writes.add(Sql(_EVENT, _event_values(event)), row=event, missing=Overtaken())
    writes.add(Sql(_body(part), _body_values(arrival)), missing=Overtaken())


def _event_values(event: ProviderEvent) -> tuple[Any, ...]:
    return (
        event.public_id,
        event.account_id,
        event.livemode,
        event.channel,
        event.event_id,
        event.event_type,
        event.business_key,
        event.status,
        event.reason,
        event.object_id,
        event.body_sha256,
        event.key_id,
        event.remote_address,
        event.response_status,
        Jsonb(event.response_body),
        event.attempts,
        event.last_error,
        event.received_at,
        event.processed_at,
        event.next_at,
    )


def _body_values(arrival: Arrival) -> tuple[Any, ...]:
    return arrival.received_at, Jsonb(dict(arrival.headers)), arrival.raw


def _known(row: Any) -> Known:
    pk, status, digest, response_status, response_body = row
    return Known(pk, status, digest, response_status, json.loads(response_body))
