"""The chain over the books: transactions linked one to the next by hash, in the order in which they became final.

A worker seals behind the postings, off their path. Whoever changes, removes or inserts an old transaction, whatever
rights he has, breaks every later seal (``manage.py audit_ledger --chain``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction

from core.clock import to_rfc3339
from ledger.models import Seal, Transaction
from ledger.models.transaction import COUNTER

GENESIS = "0" * 64
BATCH = 1_000

_LOCK_KEY = 4_737_002_025

_FINAL = """
    SELECT t.id FROM ledger_transaction t
    WHERE (t.position, t.id) > (%s, %s) AND t.position < %s
    ORDER BY t.position, t.id LIMIT %s
"""


def seal(*, limit: int = 100_000) -> int:
    """Seal what has become final since the last time, up to ``limit`` transactions; return how many.

    Final is what lies below the horizon: nothing can appear there any more. Each batch of ``BATCH`` is a transaction of
    its own; two callers at once take turns.
    """
    sealed = 0
    while sealed < limit and (now := _seal_batch()):
        sealed += now
    return sealed


def digest(previous: str, posted: Transaction, entries: list[tuple[str, int, str]]) -> str:
    """The hash of one link: over the seal before and everything the transaction says, in one spelling."""
    said: dict[str, Any] = {
        "previous": previous,
        "id": posted.public_id,
        "kind": posted.kind,
        "source": posted.source,
        "livemode": posted.livemode,
        "description": posted.description,
        "effective_at": to_rfc3339(posted.effective_at),
        "operating_date": posted.operating_date.isoformat(),
        "recorded_at": to_rfc3339(posted.recorded_at),
        "reverses": posted.reverses.public_id if posted.reverses else None,
        "entries": sorted(entries),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def links(ids: list[int]) -> Iterator[tuple[Transaction, list[tuple[str, int, str]]]]:
    """The transactions with these database ids, in this order, each with its entries: account, amount, currency."""
    found = (
        Transaction.objects.filter(pk__in=ids)
        .select_related("reverses")
        .prefetch_related("entries__account")
        .in_bulk(ids)
    )
    for pk in ids:
        entries = [(entry.account.code, entry.amount, entry.currency) for entry in found[pk].entries.all()]
        yield found[pk], entries


@transaction.atomic
def _seal_batch() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_KEY])
        cursor.execute("SET LOCAL statement_timeout = '60s'")
        last = Seal.objects.select_related("transaction").order_by("-seq").first()
        start = (last.transaction.position, last.transaction.pk) if last else (-1, 0)
        cursor.execute(_FINAL, [*start, COUNTER.horizon(), BATCH])
        ids = [pk for (pk,) in cursor.fetchall()]
    seq, previous = (last.seq, last.hash) if last else (0, GENESIS)
    seals = []
    for posted, entries in links(ids):
        seq, previous = seq + 1, digest(previous, posted, entries)
        seals.append(Seal(seq=seq, transaction=posted, hash=previous))
    Seal.objects.bulk_create(seals)
    return len(seals)
