"""A statement and what belongs to it are one exchange with the database, and errors are as ever."""

# ruff: noqa: PT012 - the error comes when a block ends

from __future__ import annotations

import ast
import signal
import threading
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)
from psycopg.pq import TransactionStatus
from psycopg.types.json import Jsonb
from psycopg.types.numeric import Int8

from core import statements
from core.statements import MOST_PREPARED, fetch
from core.unit_of_work import unit_of_work
from core.writes import Sql, Writes
from merchants.models import Merchant
from payments.models import Payment
from tests.factories.connection import elsewhere
from tests.factories.unsaved import payment_of
from tests.provider_messages import StpSender


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One line for each time this process asked the database something and waited."""
    seen: list[str] = []
    wait, exchange = psycopg.Connection.wait, "core.statements._Session.exchange"

    def waited(self: Any, generator: Any, *args: Any, **options: Any) -> Any:
        if not generator.__name__.startswith("_set_"):  # changes this side's settings alone
            seen.append(generator.__name__)
        return wait(self, generator, *args, **options)

    from core.statements import _Session

    real = _Session.exchange
    monkeypatch.setattr(
        exchange, lambda self, text, *args, **how: seen.append(text.decode()[:6]) or real(self, text, *args, **how)
    )
    monkeypatch.setattr(psycopg.Connection, "wait", waited)
    return seen


def status() -> TransactionStatus:
    return TransactionStatus(connection.connection.pgconn.transaction_status)


def terminate() -> None:
    pid = connection.connection.info.backend_pid
    assert elsewhere(f"SELECT pg_terminate_backend({pid})") == (True,)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("José ✓ ' \" \\", "text"),
        ("", "text"),
        (Int8(2**62), "bigint"),
        (-7, "bigint"),
        (True, "boolean"),
        (False, "boolean"),
        (None, "text"),
        (b"\x00\xff'\\", "bytea"),
        (date(2026, 11, 26), "date"),
        (datetime(2026, 11, 26, 18, 4, 5, 6, UTC), "timestamptz"),
        (Decimal("2.9000"), "numeric"),
        (["a", 'b"', "c\\", "{},", "null", ""], "text[]"),
        ([1, -2], "bigint[]"),
        ([], "text[]"),
        (Payment.Status.PENDING, "text"),
    ],
)
def test_values_come_back_as_they_went(db: None, value: Any, kind: str) -> None:
    assert fetch(f"SELECT $1::{kind}", [value]) == [(value,)]


def test_json_goes_as_json(db: None) -> None:
    assert fetch("SELECT $1::jsonb ->> 'ñ'", [Jsonb({"ñ": "'✓\""})]) == [("'✓\"",)]


def test_text_is_never_cut_off_at_a_nul(db: None) -> None:
    for value in ("a\0b", ["a\0b"]):
        with pytest.raises(DataError, match="NUL"):
            fetch("SELECT $1::text[]" if isinstance(value, list) else "SELECT $1::text", [value])


def test_a_value_of_an_unknown_type_is_refused(db: None) -> None:
    with pytest.raises(TypeError, match="parameters of type object"):
        fetch("SELECT $1::text", [object()])


def test_more_than_the_socket_takes_at_once(db: None) -> None:
    long = "ñ" * 3_000_000

    assert fetch("SELECT $1::text", [long]) == [(long,)]


def test_the_first_statement_takes_begin_along_and_the_last_one_commit(
    committed_db: None, merchant: Merchant, waits: list[str]
) -> None:
    waits.clear()

    with unit_of_work() as writes:
        assert fetch("SELECT name FROM merchants_merchant WHERE id = $1", [merchant.pk]) == [(merchant.name,)]
        assert status() == TransactionStatus.INTRANS
        merchant.name = "committed"
        writes.update(merchant, "name")

    assert [wait for wait in waits if wait != "_commit_gen"] == ["SELECT", "WITH w"]
    assert status() == TransactionStatus.IDLE
    assert elsewhere("SELECT name FROM merchants_merchant") == ("committed",)


def test_what_a_transaction_did_before_commits_with_it_and_hooks_run_after(
    committed_db: None, merchant: Merchant
) -> None:
    seen: list[Any] = []
    with unit_of_work() as writes:
        Merchant.objects.filter(pk=merchant.pk).update(name="before")
        transaction.on_commit(lambda: seen.append(elsewhere("SELECT name, legal_name FROM merchants_merchant")))
        writes.add(Sql("UPDATE merchants_merchant SET legal_name = 'last' WHERE name = 'before' RETURNING id"))

    assert seen == [("before", "last")]


def test_a_body_that_raises_writes_nothing(committed_db: None, merchant: Merchant) -> None:
    with pytest.raises(LookupError), unit_of_work() as writes:
        fetch("UPDATE merchants_merchant SET legal_name = 'first' RETURNING id", [])
        writes.add(Sql("UPDATE merchants_merchant SET name = 'never' RETURNING id"))
        raise LookupError

    assert elsewhere("SELECT name, legal_name FROM merchants_merchant") == (merchant.name, merchant.legal_name)


def test_a_row_that_is_missing_is_noticed_before_commit(committed_db: None, merchant: Merchant) -> None:
    for text, rows in (("WHERE id = 0", 1), ("", 2)):
        with pytest.raises(LookupError, match="not there"), unit_of_work() as writes:
            fetch("UPDATE merchants_merchant SET legal_name = 'first' RETURNING id", [])
            writes.add(Sql("UPDATE merchants_merchant SET name = 'never' RETURNING id"))
            writes.add(
                Sql(f"UPDATE merchants_apikey SET name = '' {text} RETURNING id"),
                count=rows,
                missing=LookupError("not there"),
            )

        assert status() == TransactionStatus.IDLE
        assert elsewhere("SELECT name, legal_name FROM merchants_merchant") == (merchant.name, merchant.legal_name)


@pytest.mark.parametrize(
    "said",
    ['invalid input syntax for type bigint: "%s"', "la sintaxis de entrada no es válida para tipo bigint: «%s»"],
)
def test_a_row_that_is_missing_is_noticed_in_every_language(
    db: None, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise DataError(said % "part 0 wrote other rows 0.5")

    monkeypatch.setattr("core.writes.send", refuse)

    with pytest.raises(LookupError, match="the first"), unit_of_work() as writes:
        writes.add(Sql("UPDATE …"), missing=LookupError("the first"))


def test_a_row_to_update_that_is_gone_commits_nothing(committed_db: None, merchant: Merchant) -> None:
    gone = Merchant(pk=10**9, name="gone")

    with pytest.raises(RuntimeError, match="not written"), unit_of_work() as writes:
        writes.add(Sql("UPDATE merchants_merchant SET name = 'never' RETURNING id"))
        writes.update(gone, "name")

    assert elsewhere("SELECT name FROM merchants_merchant") == (merchant.name,)


def test_what_the_database_refuses_commits_nothing(committed_db: None, merchant: Merchant, stp: StpSender) -> None:
    payment_of(merchant, stp, external_id="once").save()
    again = payment_of(merchant, stp, external_id="once", clabe="646180157000000017")

    with pytest.raises(LookupError, match="known already"), unit_of_work() as writes:
        writes.expect("payment_external_id_unique", LookupError("known already"))
        writes.add(Sql("UPDATE merchants_merchant SET name = 'never' RETURNING id"))
        writes.insert(again)

    assert elsewhere("SELECT name, (SELECT count(*) FROM payments_payment) FROM merchants_merchant") == (
        merchant.name,
        1,
    )


def test_what_is_checked_at_commit_is_an_error_of_the_block(
    committed_db: None, merchant: Merchant, stp: StpSender
) -> None:
    payment = payment_of(merchant, stp)
    payment.save()
    heard: list[str] = []
    payment.complete(deposit=_deposit(payment), completed_at=payment.created_at)

    with pytest.raises(IntegrityError, match="amounts differ from those"), unit_of_work() as writes:
        transaction.on_commit(lambda: heard.append("committed"))
        writes.update(payment, "status", "amount_received", "completed_at")

    assert heard == []
    assert status() == TransactionStatus.IDLE
    assert Payment.objects.get().status == "pending"


def test_within_another_transaction_it_is_a_part_of_it(committed_db: None, merchant: Merchant) -> None:
    with pytest.raises(LookupError), transaction.atomic():
        with unit_of_work() as writes:
            merchant.name = "inner"
            writes.update(merchant, "name")
        assert status() == TransactionStatus.INTRANS
        raise LookupError

    assert elsewhere("SELECT count(*) FROM merchants_merchant WHERE name = 'inner'") == (0,)


def test_a_savepoint_that_failed_leaves_the_outer_transaction_alive(committed_db: None, merchant: Merchant) -> None:
    with transaction.atomic():
        fetch("UPDATE merchants_merchant SET legal_name = 'outer' RETURNING id", [])
        with pytest.raises(IntegrityError), unit_of_work() as writes:
            writes.add(Sql("UPDATE merchants_merchant SET name = NULL RETURNING id"))
        fetch("SELECT name FROM merchants_merchant", [])

    assert elsewhere("SELECT name, legal_name FROM merchants_merchant") == (merchant.name, "outer")


def test_nothing_named_is_nothing_written_but_commits(committed_db: None, merchant: Merchant) -> None:
    with unit_of_work():
        fetch("UPDATE merchants_merchant SET name = 'by itself' RETURNING id", [])

    assert elsewhere("SELECT name FROM merchants_merchant") == ("by itself",)


def test_a_connection_that_broke_before_the_writes_is_an_error(committed_db: None, merchant: Merchant) -> None:
    merchant.name = "never"

    with pytest.raises((OperationalError, InterfaceError)), unit_of_work() as writes:
        fetch("SELECT 1", [])
        terminate()
        writes.update(merchant, "name")

    assert Merchant.objects.get().name != "never"  # on a new connection


def test_a_connection_that_breaks_while_it_waits_is_an_error(committed_db: None) -> None:
    fetch("SELECT 1", [])
    killer = threading.Timer(0.3, elsewhere, [f"SELECT pg_terminate_backend({connection.connection.info.backend_pid})"])
    killer.start()

    with pytest.raises(OperationalError), transaction.atomic():
        fetch("SELECT pg_sleep(50)", [])

    killer.join()
    assert fetch("SELECT 1", []) == [(1,)]


def test_whoever_is_interrupted_while_waiting_leaves_no_answer_unread(committed_db: None) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(*_: Any) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    try:
        with pytest.raises(Interrupted), transaction.atomic():
            fetch("SELECT pg_sleep(20)", [])
    finally:
        signal.signal(signal.SIGALRM, before)

    assert fetch("SELECT 'another'", []) == [("another",)]


def test_other_threads_run_while_one_waits(db: None) -> None:
    counted, stop = [0], threading.Event()

    def count() -> None:
        while not stop.is_set():
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        for _ in range(20):  # until the machine lets it run in both halves alike
            before = counted[0]
            fetch("SELECT pg_sleep(0.5)", [])
            during = counted[0] - before
            start, before = time.monotonic(), counted[0]
            time.sleep(0.5)
            alone = (counted[0] - before) * 0.5 / (time.monotonic() - start)
            if during > alone / 10 > 0:
                break
    finally:
        stop.set()
        thread.join()
    assert during > alone / 10 > 0


def test_a_statement_is_prepared_once_also_after_a_rollback(db: None) -> None:
    def prepared() -> int:
        rows = fetch("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT 4711%'", [])
        return int(rows[0][0])

    for _ in range(3):
        assert fetch("SELECT 4711 + $1", [1]) == [(4712,)]
        assert prepared() == 1
    with pytest.raises(ProgrammingError), transaction.atomic():
        fetch("SELECT nonsense", [])

    assert fetch("SELECT 4711 + $1", [1]) == [(4712,)]
    assert prepared() == 1


def test_a_connection_keeps_so_many_statements_and_no_more(db: None) -> None:
    for number in range(MOST_PREPARED + 50):
        assert fetch(f"SELECT {number}", []) == [(number,)]

    assert fetch("SELECT count(*) FROM pg_prepared_statements", [])[0][0] <= MOST_PREPARED + 5
    assert fetch("SELECT 0", []) == [(0,)]


def test_where_nothing_may_be_prepared_nothing_is(db: None) -> None:
    assert fetch("SELECT 815 + $1", [1], prepare=False) == [(816,)]
    assert fetch("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT 815%'", []) == [(0,)]


def test_only_public_names_of_psycopg_are_used() -> None:
    """``error_from_result`` and ``Transformer`` are public, though hardly documented: the tests above exercise them."""
    nodes = list(ast.walk(ast.parse(Path(statements.__file__).read_text())))
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]

    assert {a.attr for a in attributes if a.attr.startswith("_") and ast.unparse(a.value) != "self"} <= {
        "__dict__",
        "__name__",
    }
    assert not [node for node in nodes if isinstance(node, ast.ImportFrom) and "._" in (node.module or "")]


def test_writes_run_in_a_transaction_only() -> None:
    writes = Writes()
    writes.add(Sql("SELECT 1"))
    with pytest.raises(RuntimeError, match="must run inside"):
        writes.execute()


def _deposit(payment: Payment) -> Any:
    from tests.factories.unsaved import deposit_of

    return deposit_of(payment)
