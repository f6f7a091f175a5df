"""Errors as ``application/problem+json`` (RFC 9457): type, title, status, detail, instance, code, request_id."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from psycopg_pool import PoolTimeout
from rest_framework import exceptions
from rest_framework.views import set_rollback

from core import request_context
from core.api.parsers import not_json
from core.api.serializers import UnusableCode
from core.api.views import ApiResponse
from core.errors import (
    AuthenticationRequired,
    DatabaseUnavailable,
    FieldError,
    InvalidRequest,
    NotFound,
    Overloaded,
    PaymentsError,
    RateLimited,
    UnusableValue,
)
from core.pool import discard_broken
from core.translation import translated

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"

_SPECIFIC_CODES = ("unknown_field", "invalid_amount", "invalid_clabe")
"""Field codes that become the code of the whole response, as the merchant API's contract says."""


def exception_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """DRF's exception handler: turns any exception of a view into a problem response without internals."""
    set_rollback()
    problem_error = as_payments_error(error)
    if problem_error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log = logger.warning if isinstance(problem_error, DatabaseUnavailable) else logger.error
        log("request failed", exc_info=error, extra={"code": problem_error.code})
    request, view = context.get("request"), context.get("view")
    path = request.path if request is not None else ""
    challenge = view.get_authenticate_header(request) if request is not None and view is not None else None
    return _answer(problem_error, path, challenge)


def problem_response(error: PaymentsError, request: HttpRequest) -> HttpResponse:
    """The same response for code outside DRF views."""
    return _answer(error, request.path, None)


def _answer(error: PaymentsError, path: str, challenge: str | None) -> HttpResponse:
    return ApiResponse(
        problem(error, instance=path),
        error.http_status,
        headers=headers(error, challenge=challenge),
        content_type=CONTENT_TYPE,
    )


def problem(error: PaymentsError, *, instance: str) -> dict[str, Any]:
    """The body of a problem response. Codes are stable; title, detail and messages are in the caller's language."""
    body: dict[str, Any] = {
        "type": f"/v1/docs#error-{error.code}",
        "title": _(HTTPStatus(error.http_status).phrase),
        "status": error.http_status,
        "detail": translated(error),
        "instance": instance,
        "code": error.code,
        "request_id": request_context.current().get("request_id", ""),
    }
    if error.errors:
        body["errors"] = [{"field": e.field, "code": e.code, "message": translated(e)} for e in error.errors]
    return body


def headers(error: PaymentsError, *, challenge: str | None = None) -> dict[str, str]:
    """Content-Language, Retry-After if a retry makes sense, WWW-Authenticate if a credential is missing or wrong.

    ``challenge`` is the value of WWW-Authenticate; by default that of the merchant API.
    """
    found = {"Content-Language": get_language() or "", "Vary": "Accept-Language"}
    if error.retry_after is not None:
        found["Retry-After"] = str(error.retry_after)
    if error.http_status == HTTPStatus.UNAUTHORIZED:
        found["WWW-Authenticate"] = challenge or 'Bearer realm="merchant API"'
    return found


_IDLE_IN_TRANSACTION_TIMEOUT = "25P03"
"""SQLSTATE of a session that PostgreSQL ended because its transaction was idle; psycopg has it as InternalError."""


def is_unavailable(error: BaseException) -> bool:
    """True if the database is down, overloaded or has ended the session: a retry may succeed."""
    return isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, DatabaseError) and getattr(error.__cause__, "sqlstate", None) == _IDLE_IN_TRANSACTION_TIMEOUT
    )


def as_payments_error(error: Exception) -> PaymentsError:
    """Map exceptions of Django and DRF to ``PaymentsError``. An unexpected one becomes a bare 500."""
    match error:
        case PaymentsError():
            return error
        case exceptions.ValidationError():
            return invalid_fields(list(_field_errors(error.detail, "")))
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return AuthenticationRequired()
        case Http404() | exceptions.NotFound():
            return NotFound()
        case exceptions.Throttled():
            return RateLimited(retry_after=int(getattr(error, "wait", None) or 60))
        case DatabaseError() | InterfaceError() if is_unavailable(error):
            if isinstance(error.__cause__, PoolTimeout):
                return Overloaded()
            state = getattr(error.__cause__, "sqlstate", None)
            if state is None or state.startswith(("57P", _IDLE_IN_TRANSACTION_TIMEOUT)):  # the connection is lost
                discard_broken()
            return DatabaseUnavailable()
        case exceptions.UnsupportedMediaType():
            return not_json()
        case exceptions.APIException():
            refused = InvalidRequest(str(error.detail))
            refused.http_status = error.status_code
            return refused
        case PermissionDenied():
            refused = InvalidRequest("You are not allowed to do this.")
            refused.http_status = HTTPStatus.FORBIDDEN
            return refused
    return PaymentsError()


def invalid_fields(errors: list[FieldError]) -> InvalidRequest:
    """One refusal for all faulty fields.

    400 with the most specific code that the contract allows; 422 ``invalid_request`` if the schema allows all of them.
    """
    detail = " ".join(f"{e.field}: {translated(e)}" if e.field else translated(e) for e in errors[:3]) or None
    refused_by_schema = [e.code for e in errors if not isinstance(e.code, UnusableCode)]
    if errors and not refused_by_schema:
        return UnusableValue(detail, errors=errors)
    code = next((code for code in refused_by_schema if code in _SPECIFIC_CODES), None)
    return InvalidRequest(detail, code=code, errors=errors)


def _field_errors(detail: Any, path: str) -> Iterator[FieldError]:
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            step = "" if name == "non_field_errors" else str(name)
            yield from _field_errors(inner, ".".join(part for part in (path, step) if part))
    elif isinstance(detail, list | tuple):
        for inner in detail:
            yield from _field_errors(inner, path)
    else:
        yield FieldError(path, getattr(detail, "code", "invalid"), str(detail))
