"""API keys: made once, recognised by their hash, revoked for good."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import timedelta

from core import clock
from core.errors import InvalidApiKey, MerchantSuspended
from merchants.models import ApiKey, Merchant

_SHAPE = re.compile(r"sk_(test|live)_[A-Za-z0-9_-]{43}\Z")
_LAST_USED_RESOLUTION = timedelta(minutes=1)


def create(
    merchant: Merchant,
    *,
    livemode: bool,
    name: str = "",
    scopes: Sequence[str] = (ApiKey.Scope.PAYMENTS_READ, ApiKey.Scope.PAYMENTS_WRITE),
) -> tuple[ApiKey, str]:
    """Make a key and return it with its secret text, which nobody can read again afterwards."""
    secret = f"sk_{'live' if livemode else 'test'}_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        merchant=merchant,
        livemode=livemode,
        name=name,
        prefix=secret[:16],
        secret_sha256=_sha256(secret),
        scopes=[str(scope) for scope in scopes],
    )
    return key, secret


def authenticate(secret: str) -> ApiKey:
    """The active key behind ``secret``, its merchant loaded.

    Raises ``InvalidApiKey`` for a malformed, unknown or revoked key and ``MerchantSuspended`` for a suspended merchant.
    ``last_used_at`` is written at most once a minute.
    """
    if not _SHAPE.match(secret):
        raise InvalidApiKey
    key = ApiKey.objects.select_related("merchant").filter(secret_sha256=_sha256(secret)).first()
    if key is None or key.revoked_at is not None:
        raise InvalidApiKey
    if key.merchant.status != Merchant.Status.ACTIVE:
        raise MerchantSuspended
    now = clock.now()
    if key.last_used_at is None or now - key.last_used_at >= _LAST_USED_RESOLUTION:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return key


def revoke(key: ApiKey) -> None:
    """Refuse this key from now on. Revoking twice changes nothing."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=clock.now())


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
