"""Strict parsing of request bodies. ``payments_site.request_body`` has read the body and checked its size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.http import HttpRequest
from rest_framework.parsers import BaseParser

from core import strict_json
from core.errors import FieldError, InvalidRequest

MAX_BODY_BYTES = 64 * 1024
"""Size limit of request bodies, except forms with a file."""


class StrictJSONParser(BaseParser):
    """Parses JSON objects by ``core.strict_json``; each fault is a 400 that describes it."""

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
    """The error for a Content-Type other than JSON."""
    return _wrong("Content-Type", "Send JSON: Content-Type: application/json.")


def _check_headers(request: HttpRequest) -> None:
    """Refuse headers that declare anything but plain JSON in UTF-8. REST framework accepts ``*/*`` as JSON."""
    if request.content_type != StrictJSONParser.media_type:
        raise not_json()
    if request.content_params and request.content_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise _wrong("Content-Type", "Send JSON in UTF-8: other charsets are not supported.")
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        raise _wrong("Content-Encoding", "Send the body without Content-Encoding: compressed bodies are not supported.")


def _wrong(header: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, errors=[FieldError(header, "invalid", message)])


def read_json(raw: bytes) -> Any:
    """``core.strict_json.loads``; raises ``InvalidRequest``."""
    try:
        return strict_json.loads(raw)
    except strict_json.NotStrictJson as error:
        raise InvalidRequest(error.template, params=error.params) from None
