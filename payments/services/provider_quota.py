"""Quotas of a provider: requests of one kind that a company may make per hour of the clock.

Counted exactly, in PostgreSQL, across all processes. The limits are ``settings.PROVIDER_QUOTAS``. A fifth of each is
kept for balances and lists of deposits, the rest is for inquiries about payouts, by urgency (``Use``).
"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum

from django.conf import settings
from django.db import connection
from django.db.models import Sum

from core import clock
from payments.models import ProviderAccount, ProviderQuota
from payments.services.provider_account import company_accounts


class Use(IntEnum):
    """What a request is for, most urgent first. The less urgent it is, the more requests it leaves to others."""

    UNKNOWN = 0
    """An inquiry about a payout whose outcome is unknown: nothing else resolves it."""
    CLAIM = 1
    """An inquiry about what a notice reports."""
    ROUTINE = 2
    """An inquiry about an accepted payout, whose notice should come anyway."""
    KEPT = 3
    """A balance or a list of deposits. It has the kept share first, then as much as a routine inquiry."""


_KEPT_PERCENT = 20
_LEFT_PERCENT = {Use.UNKNOWN: 0, Use.CLAIM: 15, Use.ROUTINE: 30, Use.KEPT: 30}
"""Percent of the quota that a use leaves, beyond the kept share, to more urgent ones."""
_KEPT_NAME = "%s:kept"


def spend(account: ProviderAccount, name: str, count: int = 1, *, use: Use) -> bool:
    """Spend ``count`` requests of this hour's quota; False, and none is spent, if fewer are left for this use."""
    if use is Use.KEPT and _spend(account, _KEPT_NAME % name, count, _kept(name)):
        return True
    return _spend(account, name, count, _limit(name, use))


def left(account: ProviderAccount, name: str, use: Use) -> int:
    """Requests left in this hour for this use; other processes may spend them at any time."""
    found = max(0, _limit(name, use) - _spent(account, name))
    return found + (_kept(name) - _spent(account, _KEPT_NAME % name) if use is Use.KEPT else 0)


def _kept(name: str) -> int:
    return int(settings.PROVIDER_QUOTAS[name]) * _KEPT_PERCENT // 100


def _limit(name: str, use: Use) -> int:
    quota = int(settings.PROVIDER_QUOTAS[name])
    return quota - _kept(name) - quota * _LEFT_PERCENT[use] // 100


def _spent(account: ProviderAccount, name: str) -> int:
    rows = ProviderQuota.objects.filter(account=company_accounts(account)[0], name=name, hour=_hour())
    return rows.aggregate(spent=Sum("spent"))["spent"] or 0


def _spend(account: ProviderAccount, name: str, count: int, limit: int) -> bool:
    if count > limit:
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO payments_providerquota AS q (account_id, name, hour, spent) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (account_id, name, hour) DO UPDATE SET spent = q.spent + excluded.spent "
            "WHERE q.spent + excluded.spent <= %s RETURNING spent",
            [company_accounts(account)[0].pk, name, _hour(), count, limit],
        )
        return cursor.fetchone() is not None


def _hour() -> datetime:
    return clock.now().replace(minute=0, second=0, microsecond=0)
