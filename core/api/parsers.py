"""Reading a request's body: its size before anything, then strictly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from core import strict_json
from core.errors import InvalidRequest

MAX_BODY_BYTES = 64 * 1024


class StrictJSONParser(BaseParser):
    """JSON objects of at most 64 KiB, read by ``core.strict_json``; every fault is a 400 that says what is wrong."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        request = (parser_context or {})["request"]
        value = read_json(read_body(request.META, stream))
        if not isinstance(value, dict):
            raise InvalidRequest("The body must be a JSON object.")
        return value


def read_body(meta: Mapping[str, Any], stream: Any) -> bytes:
    """The raw bytes; ``InvalidRequest`` for more than 64 KiB, decided before reading, or less than was announced."""
    announced = announced_length(meta)
    raw = bytes(stream.read(MAX_BODY_BYTES))
    if len(raw) < announced:
        raise InvalidRequest("The body is shorter than its Content-Length.")
    return raw


def announced_length(meta: Mapping[str, Any]) -> int:
    """The Content-Length, 0 if there is none; ``InvalidRequest`` for more than 64 KiB."""
    try:
        announced = int(meta.get("CONTENT_LENGTH") or 0)
    except ValueError:
        announced = 0
    if announced > MAX_BODY_BYTES:
        raise InvalidRequest("The body is larger than 64 KiB.")
    return announced


def read_json(raw: bytes) -> Any:
    """``core.strict_json.loads`` with what it refuses as ``InvalidRequest``."""
    try:
        return strict_json.loads(raw)
    except strict_json.NotStrictJson as error:
        raise InvalidRequest(error.template, params=error.params) from None
