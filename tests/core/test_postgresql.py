"""A connection that the pool lends again is as good as new."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import request_finished
from django.db import OperationalError, ProgrammingError, connection, connections, transaction
from django.db.backends.postgresql import base

from core.statements import fetch
from merchants.models import Merchant
from tests.factories.connection import elsewhere


@pytest.fixture
def pool(committed_db: None) -> Iterator[Any]:
    """The pool, with one connection of its own that was lent before."""
    connections.close_all()
    connection.close_pool()
    connection.pool.open(wait=True)
    session()
    finish()
    yield connection.pool
    connections.close_all()


def finish() -> None:
    """As at the end of a request."""
    request_finished.send(sender=None)


def session() -> int:
    return int(fetch("SELECT pg_backend_pid()", [])[0][0])


def test_a_connection_goes_back_at_the_end_of_a_request_and_comes_again(pool) -> None:
    first = session()
    finish()
    assert connection.connection is None
    assert pool.get_stats()["pool_available"] == 1
    again = session()

    assert again == first
    assert connection.get_autocommit()
    assert connection.connection.autocommit


def test_a_request_that_asks_nothing_takes_no_connection(pool) -> None:
    requests = pool.get_stats()["requests_num"]

    finish()

    assert pool.get_stats()["requests_num"] == requests
    assert pool.get_stats()["pool_available"] == 1


def test_what_a_transaction_left_behind_is_not_the_next_requests(pool) -> None:
    ran: list[str] = []
    block = transaction.atomic()
    block.__enter__()
    transaction.on_commit(lambda: ran.append("of the transaction that was cut off"))
    Merchant.objects.create(name="Left behind", legal_name="Left behind")
    connection.close()  # the request died in the midst of it
    assert connection.closed_in_transaction
    with pytest.raises(ProgrammingError, match="atomic block"):
        session()
    block.__exit__(None, None, None)
    finish()

    with transaction.atomic():
        transaction.on_commit(lambda: ran.append("next"))
        assert not Merchant.objects.exists()

    assert ran == ["next"]
    assert (connection.in_atomic_block, connection.needs_rollback, connection.savepoint_ids) == (False, False, [])


def test_a_transaction_that_was_left_open_is_rolled_back(pool) -> None:
    connection.set_autocommit(False)
    Merchant.objects.create(name="Left open", legal_name="Left open")
    finish()
    assert connection.connection is None

    assert not Merchant.objects.exists()
    assert connection.get_autocommit()
    assert connection.connection.autocommit


@pytest.mark.parametrize("ends", ["at work", "in the pool"])
def test_a_session_that_ended_costs_one_answer_and_never_comes_again(pool, ends: str) -> None:
    gone = session()
    if ends == "in the pool":
        finish()
    assert elsewhere(f"SELECT pg_terminate_backend({gone}, 5000)") == (True,)

    with pytest.raises(OperationalError):
        session()
    finish()

    assert session() != gone
    finish()
    assert pool.get_stats()["pool_available"] >= 1


def test_after_an_error_of_the_database_the_connection_is_asked_before_it_goes_back(pool, monkeypatch) -> None:
    asked: list[bool] = []
    usable = base.DatabaseWrapper.is_usable
    monkeypatch.setattr(base.DatabaseWrapper, "is_usable", lambda self: asked.append(True) or usable(self))
    first = session()
    with pytest.raises(ProgrammingError):
        fetch("SELECT nothing_of_this_name", [])

    finish()

    assert asked == [True]
    assert session() == first
