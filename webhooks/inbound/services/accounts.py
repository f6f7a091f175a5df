"""Who may call: the active provider accounts, read at most once a second in each process.

A secret, key or address that was taken away is refused everywhere within that second.
"""

from __future__ import annotations

import time

from django.conf import settings

from payments.models import ProviderAccount

_seen: dict[str, tuple[float, tuple[ProviderAccount, ...]]] = {}


def active(provider: ProviderAccount.Provider) -> tuple[ProviderAccount, ...]:
    """The provider's active accounts, to be read and never changed."""
    now = time.monotonic()
    known = _seen.get(provider)
    if known is None or now - known[0] >= settings.INBOX_ACCOUNTS_SECONDS:
        known = _seen[provider] = (now, tuple(ProviderAccount.objects.filter(provider=provider, is_active=True)))
    return known[1]
