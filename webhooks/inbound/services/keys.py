"""Valid secrets and keys of an account, and when each last authenticated a notice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max

from core import clock
from payments.models import ProviderAccount
from payments.providers.conekta.signature import key_id
from webhooks.inbound.models import ProviderEvent

DAYS_BACK = 7
"""Days of notices that are evaluated: a rotation takes days."""


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One valid secret or key: its short name, whether it replaces the other one, and its use."""

    key_id: str
    is_new: bool
    last_used_at: datetime | None
    used_today: int


def in_use(account: ProviderAccount) -> list[KeyUse]:
    """All valid secrets or keys, oldest first."""
    named = [account.webhook_secret_sha256[:16], account.webhook_next_secret_sha256[:16]]
    named += [key_id(pem) for pem in account.webhook_public_keys]
    valid = [name for name in named if name]
    now = clock.now()
    recent = ProviderEvent.objects.filter(account=account, received_at__gte=now - timedelta(days=DAYS_BACK))
    last = dict(recent.order_by().values_list("key_id").annotate(last=Max("received_at")))
    today = recent.filter(received_at__gte=now - timedelta(days=1)).order_by()
    counts = dict(today.values_list("key_id").annotate(n=Count("id")))
    return [KeyUse(name, number > 0, last.get(name), counts.get(name, 0)) for number, name in enumerate(valid)]
