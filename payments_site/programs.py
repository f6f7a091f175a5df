"""What programs ask for passes by the middleware that serves people's pages.

A merchant's server or a provider brings no session, no form and no flash message, and reads no page. Every request of
theirs would pay for all of it. Django's middleware stands in the settings as everywhere; ``ProgramsMiddleware`` leads
programs from the second place in the list straight to their view, and does what of all that concerns them.
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

_PROGRAMS = ("/v1/", "/webhooks/", "/healthz", "/readyz", "/metrics")
_PAGES = ("/v1/docs",)
_HEALTH = ("/healthz", "/readyz", "/metrics")
"""Load balancers and scrapers call these by a machine's address; the answers contain no link, so no Host is wrong."""

Handler = Callable[[HttpRequest], HttpResponse]


def is_page(request: HttpRequest) -> bool:
    """False for what programs ask for."""
    path = request.path_info
    return not path.startswith(_PROGRAMS) or path.startswith(_PAGES)


class ProgramsMiddleware:
    """For programs: TLS only, hosts that are ours, the caller's language, the headers that say so. Pages go on."""

    def __init__(self, get_response: Handler) -> None:
        self._pages = get_response
        self._view = innermost(get_response)
        self._security = SecurityMiddleware(self._answer)
        self._redirects = self._security.redirect
        self._hsts = _hsts(self._security)
        self._host_elsewhere = settings.USE_X_FORWARDED_HOST

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if is_page(request):
            return self._pages(request)
        if self._redirects and not request.is_secure():
            return self._security(request)  # type: ignore[return-value]  # leads to https, but for healthz and readyz
        response = self._answer(request)
        headers = response.headers
        if self._hsts and request.is_secure():
            headers["Strict-Transport-Security"] = self._hsts
        headers["X-Content-Type-Options"] = "nosniff"
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        activate(request.META.get("HTTP_ACCEPT_LANGUAGE"))
        host = request.META.get("HTTP_HOST", "")
        ours = not self._host_elsewhere and _is_ours(host, tuple(settings.ALLOWED_HOSTS))
        if not ours and request.path_info not in _HEALTH:
            request.get_host()  # DisallowedHost becomes 400
        if ReleaseMiddleware.is_pending(request.path):
            response: HttpResponse = problem_response(ReleasePending(), request)
        else:
            response = self._view(request)
        if not response.streaming and "Content-Length" not in response.headers:
            response.headers["Content-Length"] = str(len(response.content))
        return response


def innermost(handler: Handler) -> Handler:
    """The handler behind all middleware.

    Django wraps each middleware in a function that turns exceptions into answers, the innermost one included, and
    ``functools.wraps`` keeps what is inside. Should it stop doing so, programs walk through all of it: slower, not
    wrong.
    """
    while following := getattr(getattr(handler, "__wrapped__", None), "get_response", None):
        handler = following
    return handler


@lru_cache(maxsize=100)
def _is_ours(host: str, allowed: tuple[str, ...]) -> bool:
    """True for a Host header that Django would let pass."""
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed)


def _hsts(security: SecurityMiddleware) -> str:
    if not security.sts_seconds:
        return ""
    further = "; includeSubDomains" * bool(security.sts_include_subdomains) + "; preload" * bool(security.sts_preload)
    return f"max-age={security.sts_seconds}{further}"
