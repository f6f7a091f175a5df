"""Reading a request's body strictly. It is complete and not too large: ``payments_site.request_body`` has read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.http import HttpRequest
from rest_framework.parsers import BaseParser

from core import strict_json
from core.errors import FieldError, InvalidRequest

MAX_BODY_BYTES = 64 * 1024
"""The largest body of anything but a form with a file."""


class StrictJSONParser(BaseParser):
    """JSON objects, read by ``core.strict_json``; every fault is a 400 that says what is wrong."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        _check_headers((parser_context or {})["request"]._request)
        value = read_json(stream.read())
        if not isinstance(value, dict):
            raise InvalidRequest("The body must be a JSON object.")
        return value


def not_json() -> InvalidRequest:
    """A body that calls itself anything but JSON."""
    return _wrong("Content-Type", "Send JSON: Content-Type: application/json.")


def _check_headers(request: HttpRequest) -> None:
    """Refuse what says that the body is not plain JSON in UTF-8. REST framework takes ``*/*`` for JSON."""
    if request.content_type != StrictJSONParser.media_type:
        raise not_json()
    if request.content_params and request.content_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise _wrong("Content-Type", "Send JSON in UTF-8: no other charset is read.")
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        raise _wrong("Content-Encoding", "Send the body without Content-Encoding: nothing is unpacked.")


def _wrong(header: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, errors=[FieldError(header, "invalid", message)])


def read_json(raw: bytes) -> Any:
    """``core.strict_json.loads`` with what it refuses as ``InvalidRequest``."""
    try:
        return strict_json.loads(raw)
    except strict_json.NotStrictJson as error:
        raise InvalidRequest(error.template, params=error.params) from None
