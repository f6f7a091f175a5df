"""Balances: sums of entries, read in one statement so that the figures belong together."""

from __future__ import annotations

from django.db.models import Sum

from core import clock
from core.money import CURRENCY
from ledger.models import Account, Entry
from ledger.resources.balance import MerchantBalance
from ledger.services.chart import MERCHANT_PURPOSES
from merchants.models import Merchant


def of_merchant(merchant: Merchant, *, livemode: bool) -> MerchantBalance:
    """The merchant's balance now, in one mode."""
    as_of = clock.now()
    rows = (
        Entry.objects.filter(account__merchant=merchant, account__livemode=livemode, currency=CURRENCY)
        .values_list("account__purpose")
        .annotate(total=Sum("amount"))
    )
    totals = dict.fromkeys(MERCHANT_PURPOSES, 0)
    for purpose, total in rows:
        totals[purpose] = int(total) if MERCHANT_PURPOSES[purpose] == Account.Side.DEBIT else -int(total)
    return MerchantBalance(livemode=livemode, currency=CURRENCY, as_of=as_of, **totals)


def of_platform(*, livemode: bool) -> dict[str, int]:
    """Every platform account's balance by purpose, positive on its normal side."""
    rows = (
        Entry.objects.filter(account__merchant=None, account__livemode=livemode)
        .values_list("account__purpose", "account__normal_side")
        .annotate(total=Sum("amount"))
    )
    return {purpose: int(total) if side == Account.Side.DEBIT else -int(total) for purpose, side, total in rows}
