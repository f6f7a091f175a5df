"""Balances: sums of entries, read through ``ledger_total`` (a snapshot and the entries behind it).

Every figure is positive on its account's normal side, in centavos.
"""

from __future__ import annotations

from datetime import datetime

from django.db import connection
from django.db.models import BigIntegerField, F, Func, Sum

from core import clock
from core.money import CURRENCY
from ledger.models import Account, Entry
from ledger.resources.balance import MerchantBalance
from ledger.services.chart import MERCHANT_PURPOSES, AccountName
from merchants.models import Merchant


class Total(Func):
    """What an account's entries sum to, debits positive: the database's own ``ledger_total``."""

    function = "ledger_total"
    output_field = BigIntegerField()


def of_merchant(merchant: Merchant, *, livemode: bool, as_of: datetime | None = None) -> MerchantBalance:
    """The merchant's balance in one mode, now or at any past moment by effective time."""
    moment = as_of or clock.now()
    accounts = Account.objects.filter(merchant=merchant, livemode=livemode, currency=CURRENCY)
    totals = dict.fromkeys(MERCHANT_PURPOSES, 0)
    if as_of is None:
        rows = list(accounts.annotate(total=Total(F("pk"))).values_list("purpose", "normal_side", "total"))
    else:
        rows = [(account.purpose, account.normal_side, _total_at(account, as_of)) for account in accounts]
    for purpose, side, total in rows:
        totals[purpose] = on_side(total, side)
    return MerchantBalance(livemode=livemode, currency=CURRENCY, as_of=moment, **totals)


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
    """One account's balance as it was at ``moment``, by the entries' effective time, whenever they were recorded."""
    return on_side(_total_at(account, moment), account.normal_side)


def of_name(name: AccountName, *, livemode: bool) -> int:
    """The balance of an account by its name; zero while it has not been opened."""
    account = Account.objects.filter(code=name.code, livemode=livemode, currency=CURRENCY).first()
    return of_account(account) if account else 0


def on_side(total: int, side: str) -> int:
    """A sum of entries as a balance: positive on the account's normal side."""
    return int(total) if side == Account.Side.DEBIT else -int(total)


def _total_at(account: Account, moment: datetime) -> int:
    """The shorter way round: up from the beginning, or down from now."""
    entries = Entry.objects.filter(account=account)
    now = clock.now()
    if moment - account.created_at <= now - moment:
        return int(entries.filter(effective_at__lte=moment).aggregate(total=Sum("amount", default=0))["total"])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ledger_total(%s) - coalesce(sum(amount), 0) FROM ledger_entry "
            "WHERE account_id = %s AND effective_at > %s",
            [account.pk, account.pk, moment],
        )
        return int(cursor.fetchone()[0])
