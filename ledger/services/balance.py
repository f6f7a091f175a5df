"""Balances: sums of entries, read through ``ledger_total`` (a snapshot plus the entries after it).

Every figure is in centavos, positive on its account's normal side.
"""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import connection
from django.db.models import BigIntegerField, Case, F, Func, OuterRef, Subquery, Sum, When
from django.db.models.functions import Cast, Coalesce

from core import clock
from core.errors import UnusableValue
from core.money import CURRENCY
from ledger.models import Account, Entry
from ledger.resources.balance import MerchantBalance
from ledger.services.chart import MERCHANT_PURPOSES, AccountName
from merchants.models import Merchant

_EARLIEST = datetime.min.replace(tzinfo=UTC)


class Total(Func):
    """Sum of an account's entries, debits positive: the SQL function ``ledger_total``."""

    function = "ledger_total"
    output_field = BigIntegerField()


def of_merchant(merchant: Merchant, *, livemode: bool, as_of: datetime | None = None) -> MerchantBalance:
    """The merchant's balance in one mode, now or at a past moment by effective time.

    Raises ``UnusableValue`` for a moment in the future.
    """
    moment = clock.now()
    if as_of is not None and as_of > moment:
        message = "This moment is in the future."
        raise UnusableValue.of("as_of", message)
    accounts = Account.objects.filter(merchant=merchant, livemode=livemode, currency=CURRENCY)
    totals = dict.fromkeys(MERCHANT_PURPOSES, 0)
    # One statement, so that concurrent money between two of the accounts is seen in both or in neither.
    rows = accounts.annotate(total=Total(F("pk")) if as_of is None else total_at(as_of))
    for purpose, side, total in rows.values_list("purpose", "normal_side", "total"):
        totals[purpose] = on_side(total, side)
    return MerchantBalance(livemode=livemode, currency=CURRENCY, as_of=as_of or moment, **totals)


def of_platform(*, livemode: bool) -> dict[str, int]:
    """Every platform account's balance by purpose."""
    rows = (
        Account.objects.filter(merchant=None, livemode=livemode)
        .annotate(total=Total(F("pk")))
        .values_list("purpose", "normal_side", "total")
    )
    return {purpose: on_side(total, side) for purpose, side, total in rows}


def of_account(account: Account) -> int:
    """One account's balance now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger_total(%s)", [account.pk])
        return on_side(cursor.fetchone()[0], account.normal_side)


def balance_at(account: Account, moment: datetime) -> int:
    """One account's balance at ``moment`` by effective time, including entries that were recorded later."""
    found = Account.objects.filter(pk=account.pk).annotate(total=total_at(moment)).values_list("total", flat=True)
    return on_side(found.get(), account.normal_side)


def of_name(name: AccountName, *, livemode: bool) -> int:
    """The balance of an account by its name; zero while it has not been opened."""
    account = Account.objects.filter(code=name.code, livemode=livemode, currency=CURRENCY).first()
    return of_account(account) if account else 0


def on_side(total: int, side: str) -> int:
    """A sum of entries as a balance: positive on the account's normal side."""
    return int(total) if side == Account.Side.DEBIT else -int(total)


def total_at(moment: datetime) -> Case:
    """Sum of an account's entries up to ``moment``, summed from the beginning or back from now, as is shorter."""
    back = min(clock.now() - moment, moment - _EARLIEST)
    return Case(
        When(created_at__gte=moment - back, then=_sum_of_entries(effective_at__lte=moment)),
        default=Total(F("pk")) - _sum_of_entries(effective_at__gt=moment),
        output_field=BigIntegerField(),
    )


def _sum_of_entries(**which: datetime) -> Coalesce:
    entries = Entry.objects.filter(account=OuterRef("pk"), **which).order_by().values("account")
    return Coalesce(Subquery(entries.annotate(s=Cast(Sum("amount"), BigIntegerField())).values("s")), 0)
