"""The worker applies open notices, in batches claimed with SKIP LOCKED; one failing notice does not stop others."""

from __future__ import annotations

import time
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from core import clock
from core.db import transaction_required
from webhooks.inbound.models import ProviderEvent, ProviderEventBody
from webhooks.inbound.services import applying
from webhooks.inbound.services.dialect import DIALECTS, channel_of, read

DROPPED = "its bytes were dropped"

_SLOTS_KEY = 4_737_002
_OPEN = [ProviderEvent.Status.RECEIVED, ProviderEvent.Status.RETRY]
_TOO_MANY = 1_000
"""Failures after which a sweep ends, because the cause is not in the notices."""


def sweep(*, now: datetime | None = None, seconds: float = 20) -> int:
    """Apply due open notices, the longest waiting first, for at most ``seconds``; returns how many were settled.

    Two concurrent sweeps share the work; a third finds no slot and ends. ``now`` decides which notices are due.
    """
    until, settled, postponed = time.monotonic() + seconds, 0, set[int]()
    while time.monotonic() < until and len(postponed) < _TOO_MANY:
        claimed, done = _batch(now or clock.now(), postponed)
        settled += len(done)
        postponed |= claimed - done
        if not claimed:
            break
    return settled


def sweep_one(event_pk: int) -> bool:
    """Apply one open notice, due or not. False if it is settled, dead, or locked by another transaction."""
    with transaction.atomic():
        return bool(_apply_all(list(_open().filter(pk=event_pk))))


def _batch(now: datetime, without: set[int]) -> tuple[set[int], set[int]]:
    """Ids (claimed, settled). One transaction for all; if one fails, each is retried in its own transaction."""
    claimed: list[int] = []
    try:
        with transaction.atomic():
            if not _slot():
                return set(), set()
            events = _claim(now, without)
            claimed = [event.pk for event in events]
            return set(claimed), _apply_all(events)
    except Exception:
        if not claimed:
            raise
    return set(claimed), {pk for pk in claimed if _alone(pk)}


def _alone(event_pk: int) -> bool:
    try:
        return sweep_one(event_pk)
    except Exception as error:
        applying.fail(event_pk, error, applying.WORKER_ORIGIN)  # raises if the database is down
        return False


@transaction_required
def _slot() -> bool:
    """Take one of two slots; False if both are taken."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT CASE WHEN pg_try_advisory_xact_lock(%s, 1) THEN true ELSE pg_try_advisory_xact_lock(%s, 2) END",
            [_SLOTS_KEY, _SLOTS_KEY],
        )
        return bool(cursor.fetchone()[0])


def _claim(now: datetime, without: set[int]) -> list[ProviderEvent]:
    due = _open().filter(next_at__lte=now).exclude(pk__in=without)
    return list(due.order_by("next_at")[: settings.INBOX_BATCH])


def _open() -> QuerySet[ProviderEvent]:
    """Open notices that are not locked by another transaction, locked as they are read."""
    rows = ProviderEvent.objects.select_for_update(of=("self",), skip_locked=True).select_related("account")
    return rows.filter(status__in=_OPEN)


def _apply_all(events: list[ProviderEvent]) -> set[int]:
    """Apply the notices; returns the ids of those that are settled now."""
    bodies = _bodies(events)
    for event in events:
        raw = bodies.get(event.pk)
        if raw is None:
            applying.fail(event.pk, DROPPED, applying.WORKER_ORIGIN)
            continue
        dialect = DIALECTS[channel_of(event)]
        notice = read(dialect, raw, event.received_at, event.body_sha256)
        applying.apply(event, notice, dialect, applying.WORKER_ORIGIN)
    return {event.pk for event in events if event.is_settled}


def _bodies(events: list[ProviderEvent]) -> dict[int, bytes]:
    if not events:
        return {}
    moments = [event.received_at for event in events]
    rows = ProviderEventBody.objects.filter(
        event_id__in=[event.pk for event in events], received_at__range=(min(moments), max(moments))
    )
    return {pk: bytes(body) for pk, body in rows.values_list("event_id", "body")}
