"""Plans made while tables are empty stay good when they are full."""

from __future__ import annotations

import pytest
from django.db import connection

from tests.factories.payment import make_payment

GROWING = [
    "payments_payment",
    "payments_paymenttransition",
    "payments_deposit",
    "payments_deposittransition",
    "merchants_event",
    "merchants_idempotencykey",
    "webhooks_providerevent",
    "webhooks_providereventtransition",
    "ledger_transaction",
    "ledger_entry",
]
NOTICES = 40


@pytest.mark.parametrize("table", GROWING)
def test_a_growing_table_gets_no_statistics_while_a_scan_of_it_looks_cheap(db, table):
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE oid = %s::regclass", [table])
        assert set(cursor.fetchone()[0]) >= {
            "autovacuum_analyze_threshold=1000",
            "autovacuum_vacuum_threshold=1000",
        }


def test_the_first_notices_of_a_site_find_their_rows_by_indexes(committed_db, merchant, stp, owner):
    """A plan is kept for the life of a connection: one that reads a whole table reads it for each later notice."""
    payments = [make_payment(merchant) for _ in range(2 * NOTICES)]

    def notices(some):
        """How many rows PostgreSQL read by walking through tables that grow, while these notices came."""
        before = walked(owner)
        for payment in some:
            own = {"id": payment.pk, "claveRastreo": f"MBAN{payment.pk:014}"}
            assert stp.post(stp.deposit(payment.clabe, 100_000, **own)).json() == {"mensaje": "confirmar"}
        connection.close()
        connection.close_pool()  # a session that ends leaves its statistics
        return walked(owner) - before

    assert notices(payments[:NOTICES]) < 3 * NOTICES
    assert notices(payments[NOTICES:]) < 3 * NOTICES


def walked(owner) -> int:
    owner.rollback()
    [row] = owner.execute("SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = ANY(%s)", [GROWING])
    return int(row[0])
