"""Reading a request's body strictly. It is complete and not too large: ``payments_site.request_body`` has read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from core import strict_json
from core.errors import InvalidRequest

MAX_BODY_BYTES = 64 * 1024
"""The largest body of anything but a form with a file."""


class StrictJSONParser(BaseParser):
    """JSON objects, read by ``core.strict_json``; every fault is a 400 that says what is wrong."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        value = read_json(stream.read())
        if not isinstance(value, dict):
            raise InvalidRequest("The body must be a JSON object.")
        return value


def read_json(raw: bytes) -> Any:
    """``core.strict_json.loads`` with what it refuses as ``InvalidRequest``."""
    try:
        return strict_json.loads(raw)
    except strict_json.NotStrictJson as error:
        raise InvalidRequest(error.template, params=error.params) from None
