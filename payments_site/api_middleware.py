"""API, webhook, health and metrics requests run through ``API_MIDDLEWARE``, pages through the rest of ``MIDDLEWARE``.

Programs carry no session, form or flash message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

from core.translation import activate

_API_PREFIXES = ("/v1/", "/webhooks/", "/healthz", "/readyz", "/metrics")
_PAGE_PREFIXES = ("/v1/docs",)
_HEALTH = ("/healthz", "/readyz", "/metrics")
"""Load balancers and scrapers call these by IP address. The answers contain no links, so any Host is accepted."""

Handler = Callable[[HttpRequest], HttpResponse]


def is_page(request: HttpRequest) -> bool:
    """True for requests of browsers, False for the API, webhooks, health checks and metrics."""
    path = request.path_info
    return not path.startswith(_API_PREFIXES) or path.startswith(_PAGE_PREFIXES)


class ApiHandler(BaseHandler):
    """Django's handler with the list ``API_MIDDLEWARE``: of the further hooks it knows ``process_exception``."""

    def __init__(self) -> None:
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        handler: Any = convert_exception_to_response(self._get_response)  # type: ignore[attr-defined]
        for path in reversed(settings.API_MIDDLEWARE):
            middleware = import_string(path)(handler)
            if hasattr(middleware, "process_exception"):
                self._exception_middleware.append(middleware.process_exception)
            handler = convert_exception_to_response(middleware)
        self.answer: Handler = handler


class ApiMiddleware:
    """Hands requests of programs to ``ApiHandler``, pages to the rest of ``MIDDLEWARE``."""

    def __init__(self, get_response: Handler) -> None:
        self._page, self._api = get_response, ApiHandler().answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._page(request) if is_page(request) else self._api(request)


class ProgramMiddleware:
    """What Django's locale and common middleware do for pages: language, allowed hosts, Content-Length."""

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        activate(request.META.get("HTTP_ACCEPT_LANGUAGE"))
        if request.path_info not in _HEALTH:
            request.get_host()  # DisallowedHost becomes 400
        response = self._get_response(request)
        if not response.streaming and "Content-Length" not in response.headers:
            response.headers["Content-Length"] = str(len(response.content))
        return response
