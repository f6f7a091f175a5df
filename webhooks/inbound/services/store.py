"""SQL that finds, locks and inserts notices: the row of the notice and its raw body."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from django.conf import settings
from psycopg.types.json import Jsonb

from core.write_text import AFTER, bind, columns, rows_of_values
from core.writes import Sql, Writes, fetch, new_instance, numbered
from payments.models import ProviderAccount
from payments.services.notice import Overtaken
from webhooks.inbound.models import Channel, ProviderEvent

_COLUMNS = {column.attname: column.type for column in columns(ProviderEvent)}
"""Name -> PostgreSQL's type of every column of a notice's row, from the model."""


def _event_insert(values: Iterable[str], source: str) -> str:
    """INSERT of the rows of ``source`` that are not stored yet."""
    return (
        f"INSERT INTO webhooks_providerevent ({', '.join(_COLUMNS)}) SELECT {', '.join(values)}{source} "  # noqa: S608
        "ON CONFLICT (account_id, event_id) DO NOTHING RETURNING id, account_id, event_id"
    )


def _body_insert(source: str, values: Iterable[str] = ("%s::timestamptz", "%s::jsonb", "%s::bytea")) -> str:
    """INSERT of the bodies of notices whose rows the same statement inserts: ``source`` with the alias ``t``."""
    return (
        "INSERT INTO webhooks_providereventbody (event_id, received_at, headers, body) "  # noqa: S608
        f"SELECT t.id, {', '.join(values)} FROM {source} RETURNING event_id AS id"
    )


_STORED = "id, status, body_sha256, response_status, response_body"

_STORED_COLUMNS = len(_STORED.split(", "))

_INSERT = numbered(
    f"WITH event AS ({_event_insert(['%s'] * len(_COLUMNS), '')}), body AS ({_body_insert('event t')}) "  # noqa: S608 - constants only
    f"SELECT event.id, {', '.join(f'known.{column}' for column in _STORED.split(', '))} "
    "FROM (VALUES (1)) one LEFT JOIN event ON true "
    "LEFT JOIN webhooks_providerevent known ON known.account_id = %s AND known.event_id = %s"
)
"""Also returns the stored row, so that a repetition needs no second query."""

_FIND = f"SELECT {_STORED} FROM webhooks_providerevent WHERE account_id = %s AND event_id = %s"  # noqa: S608
_FIND_NUMBERED = numbered(_FIND)
_ONLY_IF_NEW = "AND NOT EXISTS (SELECT FROM known) FOR NO KEY UPDATE"


@dataclass(frozen=True, slots=True)
class IncomingNotice:
    """A notice as it was received: account, channel, raw body and headers."""

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
        """The row of the notice, not stored yet."""
        return new_instance(
            ProviderEvent,
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
class StoredNotice:
    """The columns of a stored notice that a repetition needs; not locked."""

    pk: int
    status: str
    body_sha256: str
    response_status: int | None
    response_body: dict[str, Any]

    @property
    def is_settled(self) -> bool:
        """True once it needs no further work."""
        return self.status in ProviderEvent.SETTLED


def insert(incoming: IncomingNotice, event: ProviderEvent) -> StoredNotice | None:
    """Insert the event by one statement, without a transaction; returns the stored notice if its id is known.

    The caller must not hold a lock that another transaction inserting the same id waits for.
    """
    values = (*_event_values(event), *_body_values(incoming), event.account_id, event.event_id)
    (row,) = fetch(_INSERT, values)
    new_id, known = row[0], row[1:]
    if new_id is not None:
        event.pk = new_id
        event._state.adding = False
        return None
    if known[0] is None:  # inserted by a concurrent transaction for which this statement waited
        (known,) = fetch(_FIND_NUMBERED, [event.account_id, event.event_id])
    return _stored_notice(known)


def insert_all(arrived: Sequence[tuple[IncomingNotice, ProviderEvent]]) -> list[bool]:
    """Insert events with distinct ids by one statement; returns for each whether it was new."""
    values = [value for incoming, event in arrived for value in (*_event_values(event), *_body_values(incoming))]
    stored = set(fetch(_insert_all_sql(len(arrived)), values))
    return [(event.account_id, event.event_id) in stored for _, event in arrived]


def lock_all(queries: Sequence[tuple[ProviderEvent, Sql]]) -> list[tuple[Any, ...] | None]:
    """For each event that is not stored yet the locked row of its target; None if there is none.

    Does not wait: rows that are locked by other transactions are skipped (None).
    """
    rows: list[tuple[Any, ...] | None] = [None] * len(queries)
    alike = dict[tuple[str, tuple[str, ...]], list[int]]()
    for number, (_, query) in enumerate(queries):
        alike.setdefault((query.text, query.types), []).append(number)
    for (text, types), numbers in alike.items():
        values = list[Any]()
        for number in numbers:
            event, query = queries[number]
            values += (event.account_id, event.event_id, *query.params)
        for row in fetch(_lock_all_sql(text, ("bigint", "text", *types), len(numbers)), values):
            rows[numbers[row[0]]] = row[1:]
    return rows


def find_or_lock(
    account_pk: int, event_id: str, about: Sql | None
) -> tuple[StoredNotice | None, tuple[Any, ...] | None]:
    """The stored notice with this id; else, by the same statement, the locked row of the lock query ``about``."""
    if about is None:
        rows = fetch(_FIND_NUMBERED, [account_pk, event_id])
        return (_stored_notice(rows[0]) if rows else None), None
    (row,) = fetch(_find_or_lock_sql(about.text), [account_pk, event_id, *about.params])
    known, found = row[:_STORED_COLUMNS], row[_STORED_COLUMNS:]
    return (_stored_notice(known) if known[0] is not None else None), (found if found[0] is not None else None)


@cache
def _find_or_lock_sql(text: str) -> str:
    return numbered(  # constants only
        f"WITH known AS ({_FIND}), found AS ({text.replace('FOR NO KEY UPDATE', _ONLY_IF_NEW)}) "  # noqa: S608
        "SELECT known.*, found.* FROM (VALUES (1)) one LEFT JOIN known ON true LEFT JOIN found ON true"
    )


@cache
def _lock_all_sql(text: str, types: tuple[str, ...], count: int) -> str:
    names = [f"c{number}" for number in range(len(types))]
    found = bind(text.replace("FOR NO KEY UPDATE", _ONLY_IF_NEW), (f"input.{name}" for name in names[2:]))
    return (
        f"SELECT input.n, found.* FROM ({rows_of_values(types, count)}) input (n, {', '.join(names)}) "  # noqa: S608
        f"JOIN LATERAL (WITH known AS ({_FIND % ('input.c0', 'input.c1')}) {found} SKIP LOCKED) found ON true"
    )


@cache
def _insert_all_sql(count: int) -> str:
    types = [*_COLUMNS.values(), "timestamptz", "jsonb", "bytea"]
    names = [f"c{number}" for number in range(len(types))]
    values = [f"input.{name}" for name in names]
    same = [
        f"input.{name} = t.{key}"
        for key, name in zip(_COLUMNS, names, strict=False)
        if key in ("account_id", "event_id")
    ]
    source = f"event t JOIN input ON {' AND '.join(same)}"
    return (
        f"WITH input (n, {', '.join(names)}) AS ({rows_of_values(types, count)}), "  # noqa: S608 - constants only
        f"event AS ({_event_insert(values[: len(_COLUMNS)], ' FROM input')}), "
        f"body AS ({_body_insert(source, values[-3:])}) "
        "SELECT account_id, event_id FROM event"
    )


def add_insert(writes: Writes, incoming: IncomingNotice, event: ProviderEvent) -> None:
    """Add the INSERT of the event, as it is at execution, to ``writes``. It raises ``Overtaken`` for a known id."""
    writes.insert(event, on_conflict_do_nothing=("account", "event_id"), missing=Overtaken())
    writes.add(Sql(_body_insert(AFTER), _body_values(incoming)), after=event, missing=Overtaken())


def _event_values(event: ProviderEvent) -> tuple[Any, ...]:
    values = ((getattr(event, name), kind) for name, kind in _COLUMNS.items())
    return tuple(Jsonb(value) if kind == "jsonb" else value for value, kind in values)


def _body_values(incoming: IncomingNotice) -> tuple[Any, ...]:
    return incoming.received_at, Jsonb(dict(incoming.headers)), incoming.raw


def _stored_notice(row: Any) -> StoredNotice:
    pk, status, digest, response_status, response_body = row
    return StoredNotice(pk, status, digest, response_status, json.loads(response_body))
