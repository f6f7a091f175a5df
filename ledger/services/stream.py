"""Reading much: rows that pass by one after another, however many, from one state of the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from core.db import allow_long_transaction, transaction_required

CHUNK = 2_000
"""Rows fetched at once: what a reader holds in memory."""


@contextmanager
def snapshot() -> Iterator[None]:
    """A read-only transaction in which every query sees the same state, with time for long ones (an hour each).

    For commands, not for requests. Inside another transaction it is that one's part and changes nothing about it.
    """
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # Between two chunks the reader may wait for a slow disk or a person with a pager.
            allow_long_transaction(statement="1h", idle="1h")
        yield


@transaction_required
def rows(query: str, params: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """The query's rows over a server-side cursor, in constant memory, while the caller's transaction lasts."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, params)
        while chunk := cursor.fetchmany(CHUNK):
            yield from chunk
