"""Streaming reads: any number of rows in constant memory, from one snapshot of the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from core.db import allow_long_transaction, transaction_required

CHUNK = 2_000
"""Rows fetched at once, and held in memory."""


@contextmanager
def snapshot() -> Iterator[None]:
    """A read-only transaction in which every query sees the same snapshot; queries may take an hour each.

    For commands, not for requests. Nested in another transaction it has no effect.
    """
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # Between two chunks the reader may wait for a slow disk or a person using a pager.
            allow_long_transaction(statement="1h", idle="1h")
        yield


@transaction_required
def rows(query: str, params: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """The query's rows through a server-side cursor, in constant memory, within the caller's transaction."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, params)
        while chunk := cursor.fetchmany(CHUNK):
            yield from chunk
