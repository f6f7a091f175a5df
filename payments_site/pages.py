"""Django's middleware for people's pages, spared to programs: they bring no session and no flash message.

Every request of the API and of providers would pay for all of it, a tenth of what it costs.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from whitenoise.middleware import WhiteNoiseMiddleware

_PROGRAMS = ("/v1/", "/webhooks/", "/healthz", "/readyz", "/metrics")
_PAGES = ("/v1/docs",)


def is_page(request: HttpRequest) -> bool:
    """False for what programs ask for."""
    path = request.path_info
    return not path.startswith(_PROGRAMS) or path.startswith(_PAGES)


class _PagesOnly:
    """Put before a middleware: programs' requests pass it by."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> Any:
        return super().__call__(request) if is_page(request) else self.get_response(request)  # type: ignore[misc]


class PageSession(_PagesOnly, SessionMiddleware):
    """Who is signed in."""


class PageUser(_PagesOnly, AuthenticationMiddleware):
    """The signed-in person as ``request.user``."""


class PageMessages(_PagesOnly, MessageMiddleware):
    """What the next page tells."""


class PageFiles(_PagesOnly, WhiteNoiseMiddleware):
    """Static files."""
