"""Reversals: a new transaction that reverses another one in full or in part, never more than the original."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection, models
from django.db.models import Sum

from core.db import transaction_required
from ledger.models import Entry, Transaction
from ledger.services.chart import AccountName
from ledger.services.errors import NothingLeftToReverse
from ledger.services.journal import Leg, PostingTime, post, valid_amount

KIND = "reversal"


def not_reversed(kind: str, sources: Iterable[str]) -> Transaction:
    """The one transaction of ``kind`` that one of ``sources`` posted and nothing has reversed.

    Raises ``Transaction.DoesNotExist`` or ``MultipleObjectsReturned``.
    """
    return Transaction.objects.get(source__in=sources, kind=kind, reversals=None)


@transaction_required
def reverse(
    original: Transaction, *, source: str, when: PostingTime, description: str, amount: int | None = None
) -> Transaction:
    """Post the opposite of what is left of ``original``, or of ``amount`` centavos of its debits.

    ``source`` is the public id of the cause: one cause reverses once (``AlreadyPosted``). A part is taken from every
    leg in proportion, in whole centavos; the last part takes the exact rest. Raises ``NothingLeftToReverse`` for more
    than the rest and for the reversal of a reversal, and ``MoneyHeld`` if the original moved ``reserved``, which must
    stay the sum of open holds.
    """
    _take_turns(original)
    if original.reverses_id is not None:
        raise NothingLeftToReverse("A reversal cannot be reversed; post a correction instead.")
    whole = _by_account(Entry.objects.filter(transaction=original))
    done = _by_account(Entry.objects.filter(transaction__reverses=original))
    rest = {pk: total + done.get(pk, 0) for pk, total in whole.items()}
    left = sum(total for total in rest.values() if total > 0)
    wanted = left if amount is None else valid_amount(amount)
    if not left or wanted > left:
        raise NothingLeftToReverse(f"{left} centavos are left of {original.public_id}.")
    parts = rest if wanted == left else _share(rest, wanted, left)
    names = {
        entry.account_id: AccountName(entry.account.purpose, entry.account.merchant)
        for entry in original.entries.select_related("account__merchant")
    }
    legs: list[Leg] = [(names[pk], -part) for pk, part in parts.items() if part]
    return post(KIND, source, legs, livemode=original.livemode, when=when, description=description, reverses=original)


def _share(rest: dict[int, int], wanted: int, left: int) -> dict[int, int]:
    """``wanted`` of ``left`` on each side, in proportion; rounding differences go to the largest legs."""
    shares = {pk: (abs(total) * wanted // left) * (1 if total > 0 else -1) for pk, total in rest.items()}
    for sign in (1, -1):
        side = sorted((pk for pk, total in rest.items() if total * sign > 0), key=lambda pk: -abs(rest[pk]))
        missing = wanted - sum(abs(shares[pk]) for pk in side)
        for pk in side:
            more = min(missing, abs(rest[pk]) - abs(shares[pk]))
            shares[pk] += sign * more
            missing -= more
    return shares


def _by_account(entries: models.QuerySet[Entry]) -> dict[int, int]:
    return {row["account_id"]: int(row["total"]) for row in entries.values("account_id").annotate(total=Sum("amount"))}


def _take_turns(original: Transaction) -> None:
    """Serialize reversals of one transaction. Its row is append-only and cannot be locked."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [original.public_id])
