"""Debt of merchants: created when money leaves that they do not have, recovered from incoming money.

A merchant can spend ``available - debt``. Code that reads or creates debt locks ``available``, ``debt`` and
``reserved`` together, so that the difference cannot change in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import F

from core import calendar, clock
from core.db import transaction_required
from core.unit_of_work import open_unit
from ledger.models import Account
from ledger.services import balance, journal
from ledger.services.chart import AccountName
from ledger.services.errors import AlreadyPosted
from ledger.services.journal import PostingTime
from ledger.services.postings import payout
from merchants.models import Merchant

_LOCKED = ("available", "debt", "reserved")


@dataclass(frozen=True, slots=True)
class Funds:
    """A merchant's available money and debt, in centavos."""

    available: int
    debt: int

    @property
    def spendable(self) -> int:
        """What a hold may take; negative if the debt is greater than the available money."""
        return self.available - self.debt


@transaction_required
def lock(merchant: Merchant, *, livemode: bool) -> Funds:
    """The merchant's funds. Locks its accounts in the order of their ids until the transaction ends.

    Includes pending postings of the open unit of work.
    """
    locked = journal.lock([AccountName(purpose, merchant) for purpose in _LOCKED], livemode=livemode)
    # A separate statement, so that it sees what was committed while this one waited for the locks.
    rows = Account.objects.filter(pk__in=[account.pk for account in locked.values()])
    unit = open_unit()
    pending: Counter[Hashable] = Counter() if unit is None else unit.pending
    found = {
        purpose: balance.on_side(total, side) + pending["posted", code, livemode]
        for purpose, code, side, total in rows.values_list("purpose", "code", "normal_side", balance.Total(F("pk")))
    }
    return Funds(found["available"], found["debt"])


@transaction_required
def recover(merchant: Merchant, funds: Funds, *, livemode: bool, source: str, when: PostingTime) -> Funds:
    """Recover as much debt as the locked ``funds`` cover and return the remaining funds. Ledger: available -> debt.

    ``source``: the public id of the hold, or of the transaction that credited money.
    """
    amount = min(funds.available, funds.debt)
    if amount > 0:
        payout.debt_recovered(merchant, livemode=livemode, source=source, amount=amount, when=when)
        return Funds(funds.available - amount, funds.debt - amount)
    return funds


@transaction_required
def made_by(merchant: Merchant, source: str) -> int:
    """Debt that the postings of ``source`` created, less what they gave back, in centavos."""
    query = """
        SELECT coalesce(sum(e.amount), 0)
        FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
            JOIN ledger_account a ON a.id = e.account_id
        WHERE t.source = %s AND a.purpose = 'debt' AND a.merchant_id = %s
    """
    with connection.cursor() as cursor:
        cursor.execute(query, [source, merchant.pk])
        return int(cursor.fetchone()[0])


def recover_all() -> int:
    """Recover debt from every merchant that has debt and available money; return the number of merchants.

    Credits do not look for debt, because that would cost a query per deposit. The worker calls this once a minute, and
    every hold recovers debt first, so that owed money cannot leave in between.
    """
    query = """
        SELECT d.merchant_id, d.livemode, newest.public_id
        FROM ledger_account d
        JOIN ledger_account a ON a.merchant_id = d.merchant_id AND a.livemode = d.livemode AND a.purpose = 'available'
        CROSS JOIN LATERAL (
            SELECT t.public_id FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id
            WHERE e.account_id = a.id ORDER BY e.position DESC, e.id DESC LIMIT 1
        ) newest
        WHERE d.purpose = 'debt' AND ledger_total(d.id) > 0 AND ledger_total(a.id) < 0
    """
    with connection.cursor() as cursor:
        cursor.execute(query)
        owing = cursor.fetchall()
    return sum(_recover_one(*row) for row in owing)


def _recover_one(merchant_id: int, livemode: bool, source: str) -> bool:
    merchant = Merchant.objects.get(pk=merchant_id)
    now = clock.now()
    when = PostingTime(now, calendar.operating_date(now))
    try:
        with transaction.atomic():
            before = lock(merchant, livemode=livemode)
            return recover(merchant, before, livemode=livemode, source=source, when=when) != before
    except AlreadyPosted:  # another worker recovered it in the meantime
        return False
