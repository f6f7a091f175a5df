"""API keys: creation, authentication by hash with a short cache, rolling with an overlap, revocation."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction

from core import addresses, clock
from core.addresses import Network
from core.errors import IllegalTransition, InvalidApiKey, IpNotAllowed, KeyScopeInsufficient, MerchantSuspended
from core.writes import column_names, fetch, hydrate
from merchants.models import ApiKey, Merchant

OVERLAP = timedelta(hours=24)
"""Default time for which a rolled key keeps working."""

MAX_OVERLAP = timedelta(days=7)

_SHAPE = re.compile(r"sk_(test|live)_[A-Za-z0-9_-]{43}\Z")
_LAST_USED_RESOLUTION = timedelta(minutes=1)
_MAX_CACHED = 2_000
_REFRESH_WINDOW = 1.0
"""Seconds after its expiry for which a cache entry is refreshed together with others."""
_REFRESH_BATCH = 50

_cache: dict[str, tuple[ApiKey, float]] = {}
"""Hash of a secret -> its key and the entry's expiry (``time.monotonic``)."""


def create(
    merchant: Merchant,
    *,
    livemode: bool,
    name: str = "",
    scopes: Sequence[str] = tuple(ApiKey.Scope.values),
    networks: Iterable[Network | str] = (),
    expires_at: datetime | None = None,
    created_by: User | ApiKey | None = None,
    replaces: ApiKey | None = None,
) -> tuple[ApiKey, str]:
    """Create a key and return it with its secret, which cannot be read again.

    ``created_by`` is the person or the key that issues it, None for a command on the host. An issuer's vote does not
    count on what the key proposes; on proposals of a key from the host no vote counts.
    """
    secret = f"sk_{'live' if livemode else 'test'}_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        merchant=merchant,
        livemode=livemode,
        name=name,
        prefix=secret[:16],
        secret_sha256=_sha256(secret),
        scopes=[str(scope) for scope in scopes],
        networks=list(networks),
        expires_at=expires_at,
        created_by=created_by if isinstance(created_by, User) else None,
        created_by_key=created_by if isinstance(created_by, ApiKey) else None,
        replaces=replaces,
    )
    return key, secret


def authenticate(secret: str, *, address: str = "") -> ApiKey:
    """The key of ``secret`` with its merchant; ``address`` is the client's.

    A process caches keys for ``settings.API_KEY_CACHE_SECONDS`` (under a second), so that a change of a key or its
    merchant takes effect everywhere within a second; a key's expiry takes effect at once.

    Raises ``InvalidApiKey`` for a malformed, unknown, expired or revoked key, ``IpNotAllowed``, and
    ``MerchantSuspended``. ``last_used_at`` is written at most once a minute, in a transaction of its own.
    """
    if not _SHAPE.match(secret):
        raise InvalidApiKey
    key = _lookup(_sha256(secret))
    now = clock.now()
    if key is None or not key.works_at(now):
        raise InvalidApiKey
    if key.networks and not addresses.within(address, key.networks):
        raise IpNotAllowed
    if key.merchant.status != Merchant.Status.ACTIVE:
        raise MerchantSuspended
    if key.last_used_at is None or now - key.last_used_at >= _LAST_USED_RESOLUTION:
        _note_use(key, now)
    return key


def revoke(key: ApiKey) -> None:
    """Revoke the key. Idempotent."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=clock.now())
    _cache.pop(key.secret_sha256, None)


def restrict(key: ApiKey, *, networks: Iterable[Network | str]) -> None:
    """Accept the key only from these networks; from any address if there are none."""
    ApiKey.objects.filter(pk=key.pk).update(networks=list(networks))
    _cache.pop(key.secret_sha256, None)


@transaction.atomic
def roll(key_id: int, *, by: ApiKey, old_key_expires_at: datetime | None = None) -> tuple[ApiKey, str]:
    """Create a key's successor at the request of the key ``by``; return it with its secret.

    The successor has the same scopes, networks and expiry. The old key works until ``old_key_expires_at`` (default: 24
    hours from now), never longer than before. If the response was lost, the old key can be rolled again: its successor
    is revoked, unless it has been used.

    Raises ``KeyScopeInsufficient`` if the key has more rights than ``by``, ``IllegalTransition`` if it has expired or
    was revoked, if its successor is in use, or if ``by`` itself has a successor.
    """
    old = ApiKey.objects.select_for_update(of=("self",)).select_related("merchant").get(pk=key_id)
    now = clock.now()
    if not old.works_at(now):
        raise IllegalTransition("This API key has expired or was revoked.")
    if not _has_no_more_rights(old, by):
        raise KeyScopeInsufficient("An API key can roll only itself and keys with no more rights than its own.")
    if by.pk != old.pk and by.successors.filter(revoked_at=None).exists():
        raise IllegalTransition("This API key was rolled; use its successor.")
    successor = old.successors.select_for_update().filter(revoked_at=None).first()
    if successor is not None:
        if successor.last_used_at is not None:
            raise IllegalTransition("This API key was rolled; use its successor.")
        revoke(successor)
    made = create(
        old.merchant,
        livemode=old.livemode,
        name=old.name,
        scopes=old.scopes,
        networks=old.networks,
        expires_at=old.expires_at if successor is None else successor.expires_at,
        created_by=by,
        replaces=old,
    )
    end = max(now, old_key_expires_at or now + OVERLAP)
    old.expires_at = end if old.expires_at is None else min(end, old.expires_at)
    old.save(update_fields=["expires_at"])
    _cache.pop(old.secret_sha256, None)
    return made


def _has_no_more_rights(key: ApiKey, than: ApiKey) -> bool:
    """True if ``key`` exceeds ``than`` neither in scopes, nor in networks, nor in time."""
    if key.pk == than.pk:
        return True
    later = than.expires_at is not None and (key.expires_at is None or key.expires_at > than.expires_at)
    wider = than.networks and not (
        key.networks
        and all(any(n.version == m.version and n.subnet_of(m) for m in than.networks) for n in key.networks)
    )
    return set(key.scopes) <= set(than.scopes) and not later and not wider


def _lookup(secret_sha256: str) -> ApiKey | None:
    cached = _cache.get(secret_sha256)
    started = time.monotonic()  # before the query: its result may be as old as its start
    if cached is not None and started < cached[1]:
        return cached[0]
    # Refresh all recently expired entries too: one statement instead of one per key.
    due = [secret for secret, (_, until) in _cache.copy().items() if until <= started < until + _REFRESH_WINDOW]
    requested = {secret_sha256, *due[:_REFRESH_BATCH]}
    size = len(ApiKey._meta.concrete_fields)
    found = {}
    for row in fetch(_by_secrets(), [list(requested)]):
        key = hydrate(ApiKey, row[:size])
        key.merchant = hydrate(Merchant, row[size:])
        found[key.secret_sha256] = key, started + settings.API_KEY_CACHE_SECONDS
    if len(_cache) + len(found) > _MAX_CACHED:
        _cache.clear()
    for gone in requested - found.keys():
        _cache.pop(gone, None)
    _cache.update(found)
    return found[secret_sha256][0] if secret_sha256 in found else None


@cache
def _by_secrets() -> str:
    """The statement that reads keys with their merchants; the most frequent query, so its text is cached."""
    return (
        f"SELECT {column_names(ApiKey, 'k')}, {column_names(Merchant, 'm')} "  # noqa: S608
        "FROM merchants_apikey k JOIN merchants_merchant m ON m.id = k.merchant_id WHERE k.secret_sha256 = ANY($1)"
    )


def _note_use(key: ApiKey, now: datetime) -> None:
    """Record the use, unless another process just did or the row is locked: no request waits for this."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE merchants_apikey SET last_used_at = %s WHERE id = (SELECT id FROM merchants_apikey WHERE id = %s"
            " AND (last_used_at IS NULL OR last_used_at <= %s) FOR NO KEY UPDATE SKIP LOCKED)",
            [now, key.pk, now - _LAST_USED_RESOLUTION],
        )
    key.last_used_at = now


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
