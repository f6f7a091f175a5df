"""What every request gets: an id, a log line, and an honest 503 when the database is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

from core import request_context
from core.api.errors import as_payments_error, problem_response
from payments_site import metrics

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
            response["API-Version"] = settings.API_VERSION
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
