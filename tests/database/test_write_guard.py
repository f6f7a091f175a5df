"""What the guard beside a keyed unit of work takes for a write."""

from __future__ import annotations

import pytest
from django.db import connection

from core.write_guard import may_write

ONLY_READ = {"horizon", "merchants_key_issuers"}
ONLY_READ |= {"staff_approved", "staff_barred", "staff_barred_from", "staff_decides", "staff_makes_approver"}
ONLY_READ |= {"staff_permission_label", "staff_votes"}
"""Functions that are volatile because they must see the newest rows or locks; they write nothing."""


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        " select updated_at, deleted FROM t WHERE note = %s",
        "SELECT * FROM payments_payment WHERE id = $1 FOR NO KEY UPDATE OF payments_payment",
        "SELECT * FROM t FOR UPDATE SKIP LOCKED",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "SAVEPOINT s1",
        'RELEASE SAVEPOINT "s1"',
        'ROLLBACK TO SAVEPOINT "s1"',
        "SELECT pg_advisory_xact_lock(1)",
    ],
)
def test_reads_and_locks_are_no_writes(text: str) -> None:
    assert not may_write(text)


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t VALUES (1)",
        "update t set a = 1",
        "DELETE FROM t",
        "TRUNCATE t",
        "COPY t FROM STDIN",
        "WITH w AS (INSERT INTO t VALUES (1) RETURNING id) SELECT id FROM w",
        "SELECT nextval('s')",
        "SELECT setval('s', 1)",
        "SELECT set_config('a', 'b', true)",
        "SELECT * INTO t2 FROM t",
        "SELECT procrastinate_defer_jobs_v1(ARRAY[]::procrastinate_job_to_defer_v1[])",
        "DO $$ BEGIN END $$",
        "SET search_path = x",
        "COMMIT",
        "ROLLBACK",
    ],
)
def test_everything_else_is_a_write(text: str) -> None:
    assert may_write(text)


@pytest.mark.django_db
def test_no_volatile_function_of_the_schema_passes_for_a_read() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
            " WHERE n.nspname = 'public' AND p.provolatile = 'v' AND p.prorettype <> 'trigger'::regtype"
            " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
        )
        volatile = {name for (name,) in cursor.fetchall()}

    assert {name for name in volatile if not may_write(f"SELECT {name}()")} == ONLY_READ
