"""Deadlocks that PostgreSQL has counted."""

from __future__ import annotations

from django.db import connections

from tests.concurrency.threads import soon


def deadlocks(owner) -> int:
    """How many deadlocks there were in this database; sessions report theirs when they end."""
    connections["default"].close()
    connections["default"].close_pool()
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'payments_app'"
    assert soon(lambda: one(owner, sessions) == 0)
    return one(owner, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")


def one(owner, query: str) -> int:
    owner.rollback()  # a transaction goes on seeing the statistics that it saw first
    return int(owner.execute(query).fetchone()[0])
