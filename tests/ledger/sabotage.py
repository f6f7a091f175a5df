"""Postings, and corrupting them as a superuser with all triggers disabled."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from django.core.management import call_command
from django.db import transaction
from django.db.models import F, Q
from psycopg import sql

from core import clock
from ledger.models import Entry, Hold, Transaction
from ledger.services import hold, snapshot
from ledger.services.journal import PostingTime
from ledger.services.postings import pay_in
from merchants.models import Merchant
from tests import cluster
from tests.concurrency.threads import soon

TABLES = (
    "ledger_transaction",
    "ledger_entry",
    "ledger_account",
    "ledger_hold",
    "ledger_snapshot",
    "ledger_seal",
    "ledger_breach",
    "ledger_adjustment",
    "staff_approval",
    "staff_vote",
)


def now() -> PostingTime:
    moment = clock.now()
    return PostingTime(moment, moment.date())


@transaction.atomic
def deposit(merchant: Merchant, source: str = "dep_1", *, effective_at: datetime | None = None) -> Transaction:
    """1,000 pesos by SPEI, committed: stp_cash 1000 / available 988.40, fee_revenue 10, iva_payable 1.60."""
    moment = effective_at or clock.now()
    figures = {"amount": 100_000, "fee": 1_000, "fee_tax": 160, "when": PostingTime(moment, moment.date())}
    return pay_in.spei_deposit(merchant, livemode=False, source=source, **figures)


@transaction.atomic
def place_hold(merchant: Merchant, source: str = "po_1", amount: int = 500) -> Hold:
    return hold.place(merchant, livemode=False, source=source, amount=amount, purpose=Hold.Purpose.PAYOUT, when=now())


def take_snapshots() -> None:
    """Snapshots of all accounts up to their newest entries."""

    def all_taken() -> bool:
        snapshot.take(tail=1)
        behind = Q(account__snapshot=None) | Q(position__gte=F("account__snapshot__position"))
        return not Entry.objects.filter(behind).exists()

    assert soon(all_taken)


@contextmanager
def triggers_off() -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection without triggers; commits and enables the triggers again at the end."""
    with psycopg.connect(cluster.url("postgres")) as connection:
        for table in TABLES:
            connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER ALL").format(sql.Identifier(table)))
        yield connection
        for table in TABLES:
            connection.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER ALL").format(sql.Identifier(table)))
            for name in triggers(connection, table):
                set_trigger(connection, table, name, "ENABLE ALWAYS")


def break_books(*statements: str) -> None:
    """Commit these statements with all triggers disabled."""
    with triggers_off() as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0


def triggers(connection: psycopg.Connection[Any], table: str) -> list[str]:
    query = "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal ORDER BY tgname"
    return [name for (name,) in connection.execute(query, [table])]


def set_trigger(connection: psycopg.Connection[Any], table: str, name: str, how: str) -> None:
    """``how``: DISABLE, ENABLE, ENABLE REPLICA, ENABLE ALWAYS."""
    connection.execute(
        sql.SQL("ALTER TABLE {} {} TRIGGER {}").format(sql.Identifier(table), sql.SQL(how), sql.Identifier(name))
    )


def audit(*options: str) -> tuple[int, list[str], str]:
    """Exit code, lines of standard error and standard output of ``manage.py audit_ledger``."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    try:
        call_command("audit_ledger", *options, stdout=out, stderr=err)
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    return code, err.getvalue().splitlines(), out.getvalue()


def entry(purpose: str, source: str = "dep_1") -> str:
    """SQL that finds the entry of a posting on the account with a purpose."""
    return (
        "id = (SELECT e.id FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id "
        f"JOIN ledger_account a ON a.id = e.account_id WHERE t.source = '{source}' AND a.purpose = '{purpose}')"
    )
