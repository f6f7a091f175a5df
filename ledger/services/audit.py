"""Auditing the books from their entries alone, trusting no trigger."""

from __future__ import annotations

from dataclasses import dataclass

from django.apps import apps
from django.db import connection, transaction
from django.db.models import Count, Q, Sum

from core.db import missing_guards
from ledger.models import Entry, Transaction


@dataclass(frozen=True, slots=True)
class Audit:
    """What was counted (amounts in centavos) and one sentence for every fault."""

    transactions: int
    entries: int
    debits: int
    credits: int
    faults: list[str]


def run() -> Audit:
    """Check everything in one snapshot of the database."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        totals = Entry.objects.aggregate(
            entries=Count("pk"),
            debits=Sum("amount", filter=Q(amount__gt=0), default=0),
            credits=Sum("amount", filter=Q(amount__lt=0), default=0),
        )
        return Audit(
            transactions=Transaction.objects.count(),
            entries=totals["entries"],
            debits=int(totals["debits"]),
            credits=-int(totals["credits"]),
            faults=[*_unbalanced(), *_too_few_entries(), *_disabled_guards()],
        )


def _unbalanced() -> list[str]:
    wrong = (
        Entry.objects.values("transaction__public_id", "currency").annotate(total=Sum("amount")).exclude(total=0)
    ).order_by("transaction__public_id")
    return [f"{row['transaction__public_id']} is out by {row['total']} {row['currency']} centavos" for row in wrong]


def _too_few_entries() -> list[str]:
    wrong = Transaction.objects.annotate(legs=Count("entries")).filter(legs__lt=2)
    return [f"{found.public_id} has {found.legs} entries" for found in wrong]


def _disabled_guards() -> list[str]:
    guards = missing_guards(apps.get_app_config("ledger").get_models())
    return [f"guard {guard} is missing or disabled" for guard in guards]
