"""Tables change while a process lives: a statement that was prepared before is prepared anew."""

# ruff: noqa: PT012 - the error comes when a block ends

from __future__ import annotations

import psycopg
import pytest
from django.db import NotSupportedError, connection, transaction

from core.statements import fetch
from core.unit_of_work import unit_of_work
from merchants.models import Merchant
from tests import cluster
from tests.factories.connection import elsewhere

ASK = "SELECT name FROM merchants_merchant WHERE id = $1"


def a_release_widens_the_column() -> None:
    with psycopg.connect(cluster.url("payments_owner"), autocommit=True) as owner:
        owner.execute("ALTER TABLE merchants_merchant ALTER name TYPE varchar(999)")


def test_a_question_outside_transactions_outlives_a_release(committed_db: None, merchant: Merchant) -> None:
    assert fetch(ASK, [merchant.pk]) == [(merchant.name,)]
    a_release_widens_the_column()

    assert fetch(ASK, [merchant.pk]) == [(merchant.name,)]


def test_a_transaction_that_begins_with_it_outlives_a_release(committed_db: None, merchant: Merchant) -> None:
    fetch(ASK, [merchant.pk])
    a_release_widens_the_column()
    name, merchant.name = merchant.name, "after the release"

    with unit_of_work() as writes:
        assert fetch(ASK, [merchant.pk]) == [(name,)]
        writes.update(merchant, "name")

    assert elsewhere("SELECT name FROM merchants_merchant") == ("after the release",)


def test_a_transaction_that_wrote_before_fails_once_and_whole(committed_db: None, merchant: Merchant) -> None:
    fetch(ASK, [merchant.pk])
    a_release_widens_the_column()
    with pytest.raises(NotSupportedError), transaction.atomic():
        Merchant.objects.update(legal_name="never")
        fetch(ASK, [merchant.pk])

    with transaction.atomic():
        Merchant.objects.update(legal_name="again")
        fetch(ASK, [merchant.pk])

    assert elsewhere("SELECT legal_name FROM merchants_merchant") == ("again",)


def test_what_the_server_forgot_is_prepared_anew(committed_db: None, merchant: Merchant) -> None:
    fetch(ASK, [merchant.pk])
    connection.connection.pgconn.exec_(b"DEALLOCATE ALL")

    assert fetch(ASK, [merchant.pk]) == [(merchant.name,)]
    with transaction.atomic():
        assert fetch(ASK, [merchant.pk]) == [(merchant.name,)]


def test_what_postgresql_cannot_do_is_tried_once(committed_db: None, merchant: Merchant) -> None:
    for _ in range(2):
        with pytest.raises(NotSupportedError):
            fetch("SELECT count(*) FROM merchants_merchant WHERE id = $1 FOR UPDATE", [merchant.pk])

    assert fetch(ASK, [merchant.pk]) == [(merchant.name,)]
