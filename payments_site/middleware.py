"""What every request gets: an id, a log line, and an honest 503 when the database is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

from core import request_context
from core.api.errors import as_payments_error, problem_response
from core.errors import ReleasePending
from payments_site import metrics
from payments_site.health import unapplied_migrations

logger = logging.getLogger("payments_site.request")


class RequestMiddleware:
    """Names the request (``X-Request-Id``: the caller's if well formed), logs it once, answers for the database."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.monotonic()
        request_id = request_context.begin(request.headers.get("X-Request-Id"))
        request.request_id = request_id  # type: ignore[attr-defined]
        response = self.get_response(request)
        response["X-Request-Id"] = request_id
        if request.path.startswith("/v1/"):
            response.headers.setdefault("API-Version", settings.API_VERSION)
            response.headers.setdefault("Cache-Control", "no-store")
        seconds = time.monotonic() - started
        metrics.count(request, response.status_code, seconds)
        logger.info(
            "request",
            extra={
                "method": request.method,
                "route": metrics.route_of(request),
                "status": response.status_code,
                "milliseconds": round(seconds * 1000, 1),
            },
        )
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Outside the API too, a database that is away is 503, not 500."""
        if isinstance(error, OperationalError | InterfaceError):
            logger.warning("database unavailable", exc_info=error)
            return problem_response(as_payments_error(error), request)
        return None


class ReleaseMiddleware:
    """Answers 503 while the database lacks a migration that this code knows: ``manage.py release`` is still to run.

    Once nothing is missing the question is settled for the life of the process.
    """

    GUARDED = ("/v1/", "/webhooks/", "/admin/", "/pay/")
    released = False
    _asked_at = float("-inf")
    _missing = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not ReleaseMiddleware.released and request.path.startswith(self.GUARDED) and self._is_missing():
            return problem_response(ReleasePending(), request)
        return self.get_response(request)

    def _is_missing(self) -> bool:
        """Asked at most once a second. A database that is away is for others to tell."""
        now = time.monotonic()
        if now - self._asked_at >= 1:
            self._asked_at = now
            try:
                self._missing = bool(unapplied_migrations())
            except DatabaseError:
                return False
            ReleaseMiddleware.released = not self._missing
        return self._missing
