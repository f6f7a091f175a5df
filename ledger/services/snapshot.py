"""Moving snapshots forward: what keeps a balance cheap however long an account's history is.

Nothing on the hot path writes a snapshot; credits to one account never meet on a row.
"""

from __future__ import annotations

from django.db import connection, transaction

TAIL = 200
"""Entries behind a snapshot from which on it is worth a new one."""

_LOCK_KEY = 4_737_002_024


def take(*, tail: int = TAIL) -> int:
    """Give every account with ``tail`` entries or more behind its snapshot a new one; return how many.

    A snapshot reaches up to the oldest transaction that is still running: below it no entry can appear any more. Two
    callers at once take turns; the second finds nothing to do.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_KEY])
        cursor.execute("SET LOCAL statement_timeout = '60s'")
        cursor.execute(
            """
            WITH horizon AS MATERIALIZED (
                SELECT last_value + pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS position
                FROM ledger_position_base
            ), behind AS MATERIALIZED (
                SELECT a.id, coalesce(s.position, 0) AS position, coalesce(s.total, 0) AS total
                FROM ledger_account a LEFT JOIN ledger_snapshot s ON s.account_id = a.id
                WHERE (
                    SELECT count(*) FROM (
                        SELECT 1 FROM ledger_entry e
                        WHERE e.account_id = a.id AND e.position >= coalesce(s.position, 0) LIMIT %s
                    ) tail
                ) = %s
            )
            INSERT INTO ledger_snapshot AS known (account_id, position, total, taken_at)
            SELECT behind.id, horizon.position, behind.total + coalesce((
                SELECT sum(e.amount) FROM ledger_entry e
                WHERE e.account_id = behind.id
                    AND e.position >= behind.position AND e.position < horizon.position
            ), 0), now()
            FROM behind, horizon
            ON CONFLICT (account_id) DO UPDATE
                SET position = excluded.position, total = excluded.total, taken_at = excluded.taken_at
                WHERE known.position < excluded.position
            """,
            [tail, tail],
        )
        return cursor.rowcount
