"""Advances snapshots, which keep balances cheap however long an account's history is.

Postings never write a snapshot, so that credits to one account do not contend for a row.
"""

from __future__ import annotations

from django.db import connection, transaction

from core.db import transaction_required
from ledger.models.transaction import COUNTER

TAIL = 200
"""Entries after a snapshot that make a new one worthwhile."""

_LOCK_KEY = 4_737_002_024


def take(*, tail: int = TAIL) -> int:
    """Advance the snapshot of every account with ``tail`` or more entries after it; return how many.

    A snapshot reaches up to the horizon, below which no entry can be added. Concurrent callers are serialized.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_KEY])
        cursor.execute("SET LOCAL statement_timeout = '60s'")
        horizon = COUNTER.horizon()
        cursor.execute(
            """
            WITH behind AS MATERIALIZED (
                SELECT a.id FROM ledger_account a LEFT JOIN ledger_snapshot s ON s.account_id = a.id
                WHERE (
                    SELECT count(*) FROM (
                        SELECT 1 FROM ledger_entry e
                        WHERE e.account_id = a.id AND e.position >= coalesce(s.position, 0) LIMIT %s
                    ) tail
                ) = %s
            )
            INSERT INTO ledger_snapshot AS known (account_id, position, total, taken_at)
            SELECT behind.id, %s, 0, now() FROM behind
            ON CONFLICT (account_id) DO UPDATE SET position = excluded.position, taken_at = excluded.taken_at
                WHERE known.position < excluded.position
            """,
            [tail, tail, horizon],
        )
        return cursor.rowcount


@transaction_required
def wrong() -> list[tuple[str, int | None, bool, int, int]]:
    """Snapshots that differ from the sum of their entries: account code, merchant's database id, mode, total, real sum.

    Sums only the entries between the last successful check and the snapshot, so that the work does not grow with the
    ledger. A change of an older entry is found by ``audit_ledger``.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_KEY])
        cursor.execute(
            """
            WITH summed AS MATERIALIZED (
                SELECT s.account_id, s.position, s.total, s.checked_total + coalesce((
                    SELECT sum(e.amount) FROM ledger_entry e
                    WHERE e.account_id = s.account_id AND e.position >= s.checked_position AND e.position < s.position
                ), 0) AS found
                FROM ledger_snapshot s
            ), right_ones AS (
                UPDATE ledger_snapshot s SET checked_position = summed.position, checked_total = summed.found
                FROM summed
                WHERE s.account_id = summed.account_id AND s.checked_position < summed.position
                    AND summed.found = summed.total
            )
            SELECT a.code, a.merchant_id, a.livemode, summed.total, summed.found
            FROM summed JOIN ledger_account a ON a.id = summed.account_id
            WHERE summed.found <> summed.total ORDER BY a.code
            """
        )
        return cursor.fetchall()
