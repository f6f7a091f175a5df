"""Context of the current request that every log line includes: request id, merchant, API key."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from core import addresses

if TYPE_CHECKING:
    from django.http import HttpRequest

_context: ContextVar[dict[str, str] | None] = ContextVar("request_context", default=None)

_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")


def begin(given_id: str | None) -> str:
    """Start a request's context and return its id: the caller's if it is well formed, else a new one."""
    request_id = given_id if given_id and _WELL_FORMED.match(given_id) else f"req_{secrets.token_hex(12)}"
    _context.set({"request_id": request_id})
    return request_id


def add(**values: str) -> None:
    """Add values to all further log lines of this request (never a secret)."""
    current = _context.get()
    if current is not None:
        current.update(values)


def current() -> dict[str, str]:
    """The context of the current request; empty outside a request."""
    return _context.get() or {}


def client_address(request: HttpRequest | Any) -> str:
    """The client's address in canonical form (``core.addresses.client``); "" if it cannot be parsed.

    ``settings.SITE.trusted_proxies`` is the number of trusted proxies that append to X-Forwarded-For.
    """
    from django.conf import settings  # gunicorn's master logs in this format too, without Django

    meta = request.META
    return addresses.client(
        meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", ""), settings.SITE.trusted_proxies
    )
