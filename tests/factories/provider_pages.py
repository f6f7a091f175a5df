"""URLs of the provider account's page."""

from __future__ import annotations

from payments.models import ProviderAccount


def url(account: ProviderAccount, action: str) -> str:
    return f"/admin/payments/provideraccount/{account.public_id}/{action}/"
