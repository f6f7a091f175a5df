"""One JSON object a line, with the request's names in it and without anything secret.

The mask works on every text and number of the finished line, tracebacks included: whatever a caller logs by mistake,
an API key, credentials or a complete account number never reach the disk. It works before the text is written as
JSON: in JSON a line break is the letter n, which would hide where a word begins.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter as BaseJsonFormatter

from core import request_context

_START = r"(?:\b|(?<=\\[nrt]))"
"""Where a word begins, also behind a line break that somebody wrote as ``repr`` does."""

_MASKS = [
    (re.compile(r"(sk_(?:test|live)_[A-Za-z0-9_-]{8})[A-Za-z0-9_-]+"), r"\1…"),
    (re.compile(_START + r"(key_)[A-Za-z0-9_-]{8,}"), r"\1…"),
    (re.compile(_START + r"((?:Bearer|Basic) )[A-Za-z0-9+/=_.-]+", re.IGNORECASE), r"\1…"),
    (re.compile(r"://[^/\s:@]*:[^/\s@]*@"), "://…@"),
    (re.compile(r"(?<!\d)(\d{6})\d{8}(\d{4})(?!\d)"), r"\1********\2"),
    (re.compile(r"[\w.%+-]{1,64}@[\w-]{1,63}\.[\w.-]+"), "…@…"),
]


def masked(text: str) -> str:
    """``text`` without keys, credentials, complete CLABEs and e-mail addresses."""
    for pattern, replacement in _MASKS:
        text = pattern.sub(replacement, text)
    return text


class JsonFormatter(BaseJsonFormatter):
    """time, level, logger, message, the request's names, and whatever ``extra`` holds."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s %(message)s", rename_fields={"levelname": "level", "name": "logger"})

    def add_fields(
        self, log_data: dict[str, object], record: logging.LogRecord, message_dict: dict[str, object]
    ) -> None:
        log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        super().add_fields(log_data, record, message_dict)
        log_data.pop("request", None)
        log_data.update(request_context.current())

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        line = super().jsonify_log_record(log_data)
        if "\\" not in line and masked(line) == line:  # nothing escaped, nothing secret: most lines
            return line
        return json.dumps(_masked_value(json.loads(line)))


def _masked_value(value: Any) -> Any:
    """``value``, as JSON can hold it, with every text masked, and every number that a mask would change."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {masked(key): _masked_value(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_masked_value(inner) for inner in value]
    if type(value) is int and masked(str(value)) != str(value):
        return masked(str(value))
    return value
