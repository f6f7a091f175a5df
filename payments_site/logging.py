"""One JSON object a line, with the request's names in it and without anything secret.

The mask works on the finished line, tracebacks included: whatever a caller logs by mistake, an API key, credentials
or a complete account number never reach the disk.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime

from pythonjsonlogger.json import JsonFormatter as BaseJsonFormatter

from core import request_context

_MASKS = [
    (re.compile(r"\b(sk_(?:test|live)_[A-Za-z0-9_-]{8})[A-Za-z0-9_-]+"), r"\1…"),
    (re.compile(r"\b(key_)[A-Za-z0-9_-]{8,}"), r"\1…"),
    (re.compile(r"\b((?:Bearer|Basic) )[A-Za-z0-9+/=_.-]+", re.IGNORECASE), r"\1…"),
    (re.compile(r"://[^/\s:@]*:[^/\s@]*@"), "://…@"),
    (re.compile(r"(?<!\d)(\d{6})\d{8}(\d{4})(?!\d)"), r"\1********\2"),
    (re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z0-9.-]+"), "…@…"),
]


def masked(line: str) -> str:
    """``line`` without keys, credentials, complete CLABEs and e-mail addresses."""
    for pattern, replacement in _MASKS:
        line = pattern.sub(replacement, line)
    return line


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

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))
