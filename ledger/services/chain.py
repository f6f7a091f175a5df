"""Hash chain of the ledger: each seal hashes one transaction and the previous seal, in the order of finality.

The worker seals asynchronously. Changing, removing or inserting an old transaction, even as the database's
administrator, breaks every later seal (``manage.py audit_ledger --chain``).
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
    """Seal transactions that became final since the last call, at most ``limit``; return how many.

    Transactions below the horizon are final: none can be added there. Each batch of ``BATCH`` is a separate database
    transaction; concurrent callers are serialized.
    """
    sealed = 0
    while sealed < limit and (now := _seal_batch()):
        sealed += now
    return sealed


def digest(previous: str, posted: Transaction, entries: list[tuple[str, int, str]]) -> str:
    """Hash of one link: the previous seal and the transaction's content in canonical JSON."""
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
    """The transactions with these database ids, in this order, each with its entries (account, amount, currency)."""
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
