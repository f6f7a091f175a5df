"""Stored Idempotency-Keys: claimed with the effect, completed with the response, read by repeated requests.

``claim`` is part of the statement that writes the effect, and waits for a concurrent equal request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import OperationalError
from psycopg.errors import LockNotAvailable
from psycopg.types.json import Jsonb

from core import clock, ids
from core.writes import Sql, Writes, fetch
from merchants.models import IdempotencyKey, Merchant

TAKEOVER_AFTER = timedelta(seconds=60)
"""Lease: after this time a repeated request may take over a two-phase creation that did not complete."""

_BATCH = 5_000

_INSERT = """
    INSERT INTO merchants_idempotencykey (public_id, merchant_id, livemode, key, method, path, body_sha256,
        field_hashes, state, response_status, response_body, object_id, locked_at, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (merchant_id, livemode, key) DO NOTHING RETURNING id
"""
_COMPLETE = """
    UPDATE merchants_idempotencykey
    SET state = 'completed', response_status = $2, response_body = $3, object_id = $4
    WHERE id = $1 AND state = 'in_progress' RETURNING id
"""
_TAKE_OVER = """
    UPDATE merchants_idempotencykey SET locked_at = $2
    WHERE id = $1 AND state = 'in_progress' AND locked_at <= $3 RETURNING id
"""


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with an Idempotency-Key. ``field_hashes``: a hash of each top-level field of its body."""

    merchant: Merchant
    livemode: bool
    key: str
    method: str
    path: str
    body_sha256: str
    field_hashes: Mapping[str, str]

    def matches(self, record: IdempotencyKey) -> bool:
        """True if ``record`` was created by an equal request."""
        return (self.method, self.path, self.body_sha256) == (record.method, record.path, record.body_sha256)

    def differing_fields(self, record: IdempotencyKey) -> list[str]:
        """Sorted names of the top-level fields in which the request of ``record`` differs."""
        ours, theirs = dict(self.field_hashes), record.field_hashes
        return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


def claim(writes: Writes, keyed: KeyedRequest, object_id: str, *, status: int | None, answer: str) -> None:
    """Let ``writes`` claim the key first, and write nothing if it is already claimed.

    With ``status`` and ``answer`` the key is completed; with (None, "") it stays in progress until ``complete``. While
    another transaction holds the key, the statement waits for its end, up to the database's lock timeout (2 s), whose
    error ``is_lock_timeout`` recognises.
    """
    now = clock.now()
    values = (
        ids.new_id("idempotency_key"),
        keyed.merchant.pk,
        keyed.livemode,
        keyed.key,
        keyed.method,
        keyed.path,
        keyed.body_sha256,
        Jsonb(dict(keyed.field_hashes)),
        "in_progress" if status is None else "completed",
        status,
        answer,
        object_id,
        now,
        now,
    )
    writes.only_if(Sql(_INSERT, values))


def is_lock_timeout(error: OperationalError) -> bool:
    """True if ``error`` is a lock timeout because another transaction held the key."""
    cause = error.__cause__
    return isinstance(cause, LockNotAvailable) and IdempotencyKey._meta.db_table in (cause.diag.context or "")


def complete(row_id: int, status: int, body: str, object_id: str) -> bool:
    """Store the response of a key in progress; False if a request that took it over has already done so."""
    return bool(fetch(_COMPLETE, [row_id, status, body, object_id]))


def take_over(record: IdempotencyKey) -> bool:
    """Take over an abandoned creation; True for exactly one concurrent caller."""
    if not is_abandoned(record):
        return False
    now = clock.now()
    return bool(fetch(_TAKE_OVER, [record.pk, now, now - TAKEOVER_AFTER]))


def is_abandoned(record: IdempotencyKey) -> bool:
    """True if the creation of ``record`` has been in progress for ``TAKEOVER_AFTER`` or longer."""
    return record.state == IdempotencyKey.State.IN_PROGRESS and record.locked_at <= clock.now() - TAKEOVER_AFTER


def find(merchant: Merchant, *, livemode: bool, key: str) -> IdempotencyKey | None:
    """The row of a merchant's key; None also while the transaction of its first request is open."""
    return IdempotencyKey.objects.filter(merchant=merchant, livemode=livemode, key=key).first()


def forget_old() -> int:
    """Delete keys older than ``settings.IDEMPOTENCY_KEY_LIFETIME``, in batches; return their number."""
    before = clock.now() - settings.IDEMPOTENCY_KEY_LIFETIME
    forgotten = 0
    while True:
        # The oldest rows come first in the primary key, so no index on created_at is needed.
        oldest = list(IdempotencyKey.objects.order_by("pk").values_list("pk", "created_at")[:_BATCH])
        old = [pk for pk, created_at in oldest if created_at < before]
        if old:
            deleted, _ = IdempotencyKey.objects.filter(pk__in=old).delete()
            forgotten += deleted
        if len(old) < _BATCH:
            return forgotten
