"""What every log line of a request should name, without passing it through every function."""

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
    """Start a request's context with the caller's id if it is well formed, else a fresh one; return the id."""
    request_id = given_id if given_id and _WELL_FORMED.match(given_id) else f"req_{secrets.token_hex(12)}"
    _context.set({"request_id": request_id})
    return request_id


def add(**values: str) -> None:
    """Name something more in every following log line of this request (never a secret)."""
    current = _context.get()
    if current is not None:
        current.update(values)


def current() -> dict[str, str]:
    """What is known about the running request; empty outside of one."""
    return _context.get() or {}


def client_address(request: HttpRequest | Any) -> str:
    """The caller's address in canonical form, as ``core.addresses.client`` reads it; "" if it cannot be read.

    ``settings.SITE.trusted_proxies`` says how many proxies of ours append to X-Forwarded-For.
    """
    from django.conf import settings  # gunicorn's master writes lines of this format too, without Django

    meta = request.META
    return addresses.client(
        meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", ""), settings.SITE.trusted_proxies
    )
