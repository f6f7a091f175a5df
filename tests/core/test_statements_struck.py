"""Whatever strikes whenever in an exchange: no connection goes back to the pool with answers unread or half a
transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from core.statements import fetch
from core.unit_of_work import unit_of_work
from core.writes import Sql


class Struck(BaseException):
    """As a signal's handler or the end of a process raises it."""


class Striking:
    """libpq's connection; the call number ``left`` raises ``error``, before or after it is carried out."""

    def __init__(self, real: Any, left: int, *, after: bool, error: BaseException) -> None:
        self.real, self.left, self.after, self.error = real, left, after, error

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        return self._call(found) if callable(found) else found

    def _call(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self.after:
                raise self.error
            result = function(*args)
            if self.left == 0:
                raise self.error
            return result

        return call


def in_autocommit() -> None:
    fetch("SELECT $1::text", ["alone"])


def in_a_transaction() -> None:
    with transaction.atomic():
        fetch("SELECT $1::text", ["within"])


def with_its_commit() -> None:
    with unit_of_work() as writes:
        writes.add(Sql("UPDATE merchants_merchant SET name = name RETURNING id"), count=0)


@pytest.mark.parametrize("error", [Struck(), psycopg.OperationalError("lost")], ids=["struck", "lost"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("ask", [in_autocommit, in_a_transaction, with_its_commit])
def test_a_connection_is_whole_or_closed_wherever_an_exchange_is_struck(
    committed_db: None, ask: Callable[[], None], after: bool, error: BaseException
) -> None:
    struck = 0
    while True:
        assert fetch("SELECT 'next'", []) == [("next",)]
        session = connection.connection._core_session
        session.pgconn = striking = Striking(session.pgconn, struck + 1, after=after, error=error)
        try:
            ask()
        except (Struck, OperationalError):
            struck += 1
        session.pgconn, unstruck = striking.real, striking.left > 0
        assert not connection.in_atomic_block
        connection.close()  # as at the end of a request
        with connection.pool.connection() as raw:
            assert (raw.pgconn.pipeline_status, raw.pgconn.transaction_status) == (0, 0)
            assert raw.execute("SELECT 'alive'").fetchone() == ("alive",)
        if unstruck:
            break
    assert struck > 10
