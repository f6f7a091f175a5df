"""Moving snapshots forward: what keeps a balance cheap however long an account's history is.

Nothing on the hot path writes a snapshot; credits to one account never meet on a row.
"""

from __future__ import annotations

from django.db import connection, transaction

from core.db import transaction_required
from ledger.models.transaction import COUNTER

TAIL = 200
"""Entries behind a snapshot from which on it is worth a new one."""

_LOCK_KEY = 4_737_002_024


def take(*, tail: int = TAIL) -> int:
    """Give every account with ``tail`` entries or more behind its snapshot a new one; return how many.

    A snapshot reaches up to the horizon: below it no entry can appear any more. Two callers at once take turns; the
    second finds nothing to do.
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
    """Snapshots that are not what their entries sum to: account, its merchant's database id, mode, total, right total.

    Sums only what lies between the last check that found an account right and its snapshot, and goes on from there next
    time: the work does not grow with the books. An entry that somebody changes below is found by ``audit_ledger``.
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
