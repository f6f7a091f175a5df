"""API and webhook requests skip the browser middleware.

They carry no session, form or flash message, so running the full stack would only cost time. ``MIDDLEWARE`` stays as in
any Django project; ``ApiMiddleware``, second in the list, calls the view directly and applies the parts that matter
here: TLS redirect, allowed hosts, language, security headers and the release check.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.middleware.security import SecurityMiddleware

from core.api.errors import problem_response
from core.errors import ReleasePending
from core.translation import activate
from payments_site.middleware import ReleaseMiddleware

_API_PREFIXES = ("/v1/", "/webhooks/", "/healthz", "/readyz", "/metrics")
_PAGE_PREFIXES = ("/v1/docs",)
_HEALTH = ("/healthz", "/readyz", "/metrics")
"""Load balancers and scrapers call these by IP address. The answers contain no links, so any Host is accepted."""

Handler = Callable[[HttpRequest], HttpResponse]


def is_page(request: HttpRequest) -> bool:
    """True for requests of browsers, False for the API, webhooks, health checks and metrics."""
    path = request.path_info
    return not path.startswith(_API_PREFIXES) or path.startswith(_PAGE_PREFIXES)


class ApiMiddleware:
    """Handles API, webhook, health and metrics requests; passes pages on to the rest of ``MIDDLEWARE``."""

    def __init__(self, get_response: Handler) -> None:
        self._page_handler = get_response
        self._view_handler = innermost(get_response)
        self._security = SecurityMiddleware(self._answer)
        self._redirects = self._security.redirect
        self._hsts = _hsts(self._security)
        self._host_is_forwarded = settings.USE_X_FORWARDED_HOST

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if is_page(request):
            return self._page_handler(request)
        if self._redirects and not request.is_secure():
            return self._security(request)  # type: ignore[return-value]  # redirects to https, except the exempt paths
        response = self._answer(request)
        headers = response.headers
        if self._hsts and request.is_secure():
            headers["Strict-Transport-Security"] = self._hsts
        headers["X-Content-Type-Options"] = "nosniff"
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        activate(request.META.get("HTTP_ACCEPT_LANGUAGE"))
        host = request.META.get("HTTP_HOST", "")
        is_allowed = not self._host_is_forwarded and _is_allowed(host, tuple(settings.ALLOWED_HOSTS))
        if not is_allowed and request.path_info not in _HEALTH:
            request.get_host()  # DisallowedHost becomes 400
        if ReleaseMiddleware.is_pending(request.path):
            response: HttpResponse = problem_response(ReleasePending(), request)
        else:
            response = self._view_handler(request)
        if not response.streaming and "Content-Length" not in response.headers:
            response.headers["Content-Length"] = str(len(response.content))
        return response


def innermost(handler: Handler) -> Handler:
    """The handler behind all middleware.

    Django wraps each one with ``functools.wraps`` in a function that turns exceptions into responses. If it stops
    setting ``__wrapped__``, API requests run through all middleware: slower, but still correct.
    """
    while following := getattr(getattr(handler, "__wrapped__", None), "get_response", None):
        handler = following
    return handler


@lru_cache(maxsize=100)
def _is_allowed(host: str, allowed: tuple[str, ...]) -> bool:
    """Whether Django would accept this Host header."""
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed)


def _hsts(security: SecurityMiddleware) -> str:
    if not security.sts_seconds:
        return ""
    further = "; includeSubDomains" * bool(security.sts_include_subdomains) + "; preload" * bool(security.sts_preload)
    return f"max-age={security.sts_seconds}{further}"
