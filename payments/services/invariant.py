"""Invariants between the ledger and deposits: suspense accounts equal the deposits in that status."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from django.db import connection

from core import invariants
from core.invariants import Fault

_QUERY = """
    SELECT coalesce(books.livemode, domain.livemode), coalesce(books.total, 0), coalesce(domain.total, 0)
    FROM (
        SELECT livemode, -sum(ledger_total(id)) AS total FROM ledger_account WHERE purpose = %s GROUP BY livemode
    ) books
    FULL JOIN (
        SELECT livemode, sum(amount) AS total FROM payments_deposit
        WHERE status = %s AND status <> 'credited' GROUP BY livemode
    ) domain ON domain.livemode = books.livemode
    WHERE coalesce(books.total, 0) <> coalesce(domain.total, 0)
"""
"""The redundant ``status <> 'credited'`` lets PostgreSQL use the partial index of deposits that are not credited."""


def register() -> None:
    """Add the invariants of deposits in suspense to the registry."""
    for name, meaning, find in (
        ("suspense_is_deposits", "Suspense is the sum of suspended deposits.", _suspended),
        (
            "suspense_reserved_is_deposits",
            "Suspense being returned is the sum of returning deposits.",
            _returning,
        ),
    ):
        invariants.register(name, meaning, find)


def _differences(purpose: str, status: str) -> Iterable[Fault]:
    with connection.cursor() as cursor:
        cursor.execute(_QUERY, [purpose, status])
        for livemode, booked, deposits in cursor.fetchall():
            mode = "live" if livemode else "test"
            yield Fault(
                f"{mode}: {purpose} holds {booked} centavos, {status} deposits say {deposits}", livemode=livemode
            )


_suspended: Callable[[], Iterable[Fault]] = partial(_differences, "suspense", "suspended")
_returning: Callable[[], Iterable[Fault]] = partial(_differences, "suspense_reserved", "returning")
