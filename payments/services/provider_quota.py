"""Quotas of a provider: requests of one kind that a company may make per hour of the clock.

Counted exactly, in PostgreSQL, across all processes. The limits are ``settings.PROVIDER_QUOTAS``.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import connection

from core import clock
from payments.models import ProviderAccount, ProviderQuota
from payments.services.provider_account import company_accounts


def spend(account: ProviderAccount, name: str, count: int = 1) -> bool:
    """Spend ``count`` requests of this hour's quota; False, and none is spent, if fewer are left."""
    limit = settings.PROVIDER_QUOTAS[name]
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


def left(account: ProviderAccount, name: str) -> int:
    """Requests left in this hour; other processes may spend them at any time."""
    rows = ProviderQuota.objects.filter(account=company_accounts(account)[0], name=name, hour=_hour())
    limit: int = settings.PROVIDER_QUOTAS[name]
    return max(0, limit - (rows.values_list("spent", flat=True).first() or 0))


def _hour() -> datetime:
    return clock.now().replace(minute=0, second=0, microsecond=0)
