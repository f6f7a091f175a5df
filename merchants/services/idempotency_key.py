"""The rows behind Idempotency-Key: claimed before the effect, completed with its answer, read by repetitions.

``claim`` is part of the statement that writes the effect, and waits for an equal request that is being carried out.
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
"""A creation in phases that stopped half-way may be finished by a repetition after this time."""

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
class Intention:
    """A request as its key stands for it. ``field_hashes``: a hash of each top-level field of its body."""

    merchant: Merchant
    livemode: bool
    key: str
    method: str
    path: str
    body_sha256: str
    field_hashes: Mapping[str, str]

    def is_that_of(self, record: IdempotencyKey) -> bool:
        """True if ``record`` was made by the same request."""
        return (self.method, self.path, self.body_sha256) == (record.method, record.path, record.body_sha256)

    def differing_fields(self, record: IdempotencyKey) -> list[str]:
        """Names of the top-level fields in which the request of ``record`` was another; by name."""
        ours, theirs = dict(self.field_hashes), record.field_hashes
        return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


def claim(writes: Writes, intention: Intention, object_id: str, *, status: int | None, answer: str) -> None:
    """Let ``writes`` take the key before anything else, and write nothing if it was taken before.

    With ``status`` and ``answer`` the request is carried out by that; without (None, ""), the key stays in progress
    until ``complete``. While another transaction holds the key, the statement waits for its end, up to the database's
    lock timeout (2 s); ``waited_in_vain`` knows that error.
    """
    now = clock.now()
    values = (
        ids.new_id("idempotency_key"),
        intention.merchant.pk,
        intention.livemode,
        intention.key,
        intention.method,
        intention.path,
        intention.body_sha256,
        Jsonb(dict(intention.field_hashes)),
        "in_progress" if status is None else "completed",
        status,
        answer,
        object_id,
        now,
        now,
    )
    writes.only_if(Sql(_INSERT, values))


def waited_in_vain(error: OperationalError) -> bool:
    """True if ``error`` says that another transaction held the key until the lock timeout."""
    cause = error.__cause__
    return isinstance(cause, LockNotAvailable) and IdempotencyKey._meta.db_table in (cause.diag.context or "")


def complete(row_id: int, status: int, body: str, object_id: str) -> bool:
    """Store the answer under a key in progress; False if another request, which took this one over, has done so."""
    return bool(fetch(_COMPLETE, [row_id, status, body, object_id]))


def take_over(record: IdempotencyKey) -> bool:
    """True if this request may finish a creation that stopped half-way ``TAKEOVER_AFTER`` ago; one can."""
    if not is_abandoned(record):
        return False
    now = clock.now()
    return bool(fetch(_TAKE_OVER, [record.pk, now, now - TAKEOVER_AFTER]))


def is_abandoned(record: IdempotencyKey) -> bool:
    """True if ``record`` is of a creation that stopped half-way ``TAKEOVER_AFTER`` ago."""
    return record.state == IdempotencyKey.State.IN_PROGRESS and record.locked_at <= clock.now() - TAKEOVER_AFTER


def find(merchant: Merchant, *, livemode: bool, key: str) -> IdempotencyKey | None:
    """What is known of a merchant's key; None also while its first request is being carried out."""
    return IdempotencyKey.objects.filter(merchant=merchant, livemode=livemode, key=key).first()


def forget_old() -> int:
    """Delete keys that were kept for ``settings.IDEMPOTENCY_KEY_LIFETIME``, in batches; how many."""
    before = clock.now() - settings.IDEMPOTENCY_KEY_LIFETIME
    forgotten = 0
    while True:
        # In the order of their making: the oldest rows are the first of the primary key, no index of the time needed.
        oldest = list(IdempotencyKey.objects.order_by("pk").values_list("pk", "created_at")[:_BATCH])
        old = [pk for pk, created_at in oldest if created_at < before]
        if old:
            deleted, _ = IdempotencyKey.objects.filter(pk__in=old).delete()
            forgotten += deleted
        if len(old) < _BATCH:
            return forgotten
