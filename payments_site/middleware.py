"""Middleware of every request: request id, access log, complete body, and 503 while the database is unavailable."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse

from core import request_context
from core.api.errors import as_payments_error, is_unavailable, problem_response
from core.errors import ReleasePending, RequestRefused
from core.translation import activate
from payments_site import metrics, request_body
from payments_site.health import unapplied_migrations
from payments_site.logging import REQUESTS

logger = logging.getLogger(REQUESTS)


_RECORD = vars(logging.LogRecord(REQUESTS, logging.INFO, "", 0, "request", (), None))
"""Constant fields of every line. Building the record by hand skips the lookup of caller and thread."""


def log_request(**fields: object) -> None:
    """Write the access log line."""
    if logger.isEnabledFor(logging.INFO):
        record = logging.LogRecord.__new__(logging.LogRecord)
        record.__dict__.update(_RECORD, created=time.time(), **fields)
        logger.handle(record)


class RequestMiddleware:
    """Sets ``X-Request-Id`` (the caller's if well formed), reads the body, logs and counts the request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.monotonic()
        request_id = request_context.begin(request.META.get("HTTP_X_REQUEST_ID"))
        request.request_id = request_id  # type: ignore[attr-defined]
        response = self._answer(request)
        headers = response.headers
        headers["X-Request-Id"] = request_id
        if request.path.startswith("/v1/"):
            headers.setdefault("API-Version", settings.API_VERSION)
            headers.setdefault("Cache-Control", "no-store")
        seconds = time.monotonic() - started
        route = metrics.route_of(request)
        metrics.count(route, request.method or "", response.status_code, seconds)
        log_request(
            method=request.method, route=route, status=response.status_code, milliseconds=round(seconds * 1000, 1)
        )
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        try:
            upload = request_body.buffer_body(request)
        except RequestRefused as error:
            activate(request.META.get("HTTP_ACCEPT_LANGUAGE"))
            refused = problem_response(error, request)
            refused.headers["Content-Length"] = str(len(refused.content))
            return refused
        try:
            return self.get_response(request)
        finally:
            if upload is not None:
                upload.close()


class UnavailableMiddleware:
    """An unavailable database is 503 rather than 500, also where REST framework does not handle errors."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Called by Django for exceptions of views."""
        if is_unavailable(error):
            logger.warning("database unavailable", exc_info=error)
            return problem_response(as_payments_error(error), request)
        return None


class ReleaseMiddleware:
    """Answers 503 until ``manage.py release`` has applied all migrations that this code knows.

    Once all are applied, the process stops checking.
    """

    GUARDED = ("/v1/", "/webhooks/", "/admin/", "/pay/")
    released = False
    _asked_at = float("-inf")
    _missing = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if ReleaseMiddleware.is_pending(request.path):
            return problem_response(ReleasePending(), request)
        return self.get_response(request)

    @classmethod
    def is_pending(cls, path: str) -> bool:
        """True if requests for ``path`` have to wait for a release."""
        return not cls.released and path.startswith(cls.GUARDED) and cls._is_missing()

    @classmethod
    def _is_missing(cls) -> bool:
        """Checks at most once a second. An unavailable database is reported elsewhere."""
        now = time.monotonic()
        if now - cls._asked_at >= 1:
            cls._asked_at = now
            try:
                cls._missing = bool(unapplied_migrations())
            except DatabaseError:
                return False
            cls.released = not cls._missing
        return cls._missing
