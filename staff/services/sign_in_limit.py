"""Sign-in limits per account name and per address, shared by all processes.

django-ratelimit counts in Redis and raises if Redis is unavailable. The first error switches to counters in PostgreSQL
with the same limits for a few seconds, so that a request waits for at most one Redis timeout.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.http import HttpRequest
from django_ratelimit.core import get_usage
from redis.exceptions import RedisError

from core import addresses, request_context
from staff.models import SignInCounter

logger = logging.getLogger(__name__)

WINDOW = 15 * 60
"""Length of a time window in seconds."""

_REDIS_PAUSE = 5.0
"""Seconds until Redis is used again after an error."""

_redis_paused_until = 0.0


@dataclass(frozen=True, slots=True)
class Refused:
    """Too many attempts; ``retry_after`` in seconds."""

    retry_after: int


class AddressUnreadable(Exception):
    """The client's address is unknown, so its attempts cannot be counted."""


def check(request: HttpRequest, username: str) -> Refused | None:
    """Count an attempt to sign in as ``username``; return ``Refused`` if it exceeds a limit.

    Counts every attempt, whether or not the password is right or the account exists, so that the response reveals
    neither. Raises ``AddressUnreadable``, and ``django.db.Error`` if neither Redis nor PostgreSQL can count.
    """
    address = request_context.client_address(request)
    if not address:
        raise AddressUnreadable
    limits = [
        ("account", account_name(username), settings.SIGN_IN_PER_ACCOUNT),
        ("address", addresses.customer(address), settings.SIGN_IN_PER_ADDRESS),
    ]
    refusals = [
        refused
        for kind, value, limit in limits
        if (refused := _count(request, kind, _key(kind, value), limit)) is not None
    ]
    return max(refusals, key=lambda refused: refused.retry_after) if refusals else None


def account_name(written: str) -> str:
    """Canonical form of an account name: normalized as in Django's sign-in form (NFKC) and case-folded."""
    return get_user_model().normalize_username(written.strip()).casefold()


def _count(request: HttpRequest, kind: str, key: str, limit: int) -> Refused | None:
    global _redis_paused_until
    if time.monotonic() >= _redis_paused_until:
        try:
            usage = get_usage(
                request, group=f"sign_in:{kind}", key=lambda *_: key, rate=f"{limit}/{WINDOW}s", increment=True
            )
        except (RedisError, OSError) as error:
            _redis_paused_until = time.monotonic() + _REDIS_PAUSE
            logger.warning("Redis cannot count sign-ins; PostgreSQL does", extra={"why": type(error).__name__})
        else:
            if usage is not None and usage["should_limit"]:
                return Refused(max(int(usage["time_left"]), 1))
            return None
    return _count_in_postgres(key, limit)


def _count_in_postgres(key: str, limit: int) -> Refused | None:
    now = int(time.time())
    window = now // WINDOW
    table = connection.ops.quote_name(SignInCounter._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO {table} (key, "window", count) VALUES (%s, %s, 1) '  # noqa: S608 - a table's own name
            f'ON CONFLICT (key, "window") DO UPDATE SET count = {table}.count + 1 RETURNING count',
            [key, window],
        )
        count = int(cursor.fetchone()[0])
    if count == 1:
        SignInCounter.objects.filter(window__lt=window - 1).delete()
    return Refused((window + 1) * WINDOW - now) if count > limit else None


def _key(kind: str, value: str) -> str:
    return hmac.new(settings.SECRET_KEY.encode(), f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()
