"""JSON log lines with the request context and without secrets or personal data.

Requests are logged by route, since paths may contain anything. Exceptions are logged with class and frames; messages
only if they are ours or PostgreSQL's first line, because others quote values. As a last line of defence, masks remove
API keys, credentials and account numbers from every string and number of a line, tracebacks included. They run before
JSON encoding, which turns a line break into ``\\n`` and would hide word boundaries.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter as BaseJsonFormatter

from core import request_context
from core.errors import PaymentsError
from core.masking import masked

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?<=\w)\((?:[^()]|\([^()]*\))*\)""")
"""A quotation, or the arguments of a call."""


REQUESTS = "payments_site.request"
"""Logger of the access log: method, route, status, milliseconds and the request context."""

METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))

_encode = json.JSONEncoder(ensure_ascii=False).encode


def describe(error: BaseException) -> str:
    """``error`` and its causes: classes, frames, and messages that cannot quote input."""
    parts, seen = [], set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = "".join(traceback.format_tb(current.__traceback__))
        parts.append(f"{frames}{type(current).__module__}.{type(current).__qualname__}{_safe_message(current)}")
        if isinstance(current, BaseExceptionGroup):
            parts += [describe(inner) for inner in current.exceptions]
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\nraised while handling\n".join(reversed(parts))


def _safe_message(error: BaseException) -> str:
    if isinstance(error, PaymentsError):
        template = getattr(error, "template", (type(error).__doc__ or "").strip().split("\n")[0])
        return f": {template}"
    if type(error).__module__.startswith("psycopg"):  # gunicorn's master never imports psycopg
        import psycopg

        if isinstance(error, psycopg.Error) and error.sqlstate is not None:
            # SQLSTATE class 22 (data exception) quotes the data; DETAIL and CONTEXT quote whole rows.
            text = "" if error.sqlstate.startswith("22") else error.diag.message_primary or ""
            return f": {error.sqlstate} {text}"
        return f": {error}" if isinstance(error, psycopg.OperationalError) else ""
    if type(error).__module__ == "redis.exceptions":
        return f": {error}"
    return f": {error.strerror}" if isinstance(error, OSError) else ""


class JsonFormatter(BaseJsonFormatter):
    """Formats time, level, logger, message, the request context and ``extra``."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s %(message)s", rename_fields={"levelname": "level", "name": "logger"})

    def format(self, record: logging.LogRecord) -> str:
        """Format one line; access log lines, the most frequent ones, take a fast path."""
        if record.name != REQUESTS or record.exc_info:
            return super().format(record)
        fields = record.__dict__
        line = {
            "level": record.levelname,
            "logger": REQUESTS,
            "message": record.msg,
            "time": _timestamp(record),
            "method": fields["method"] if fields["method"] in METHODS else masked(fields["method"]),
            "route": fields["route"],
            "status": fields["status"],
            "milliseconds": fields["milliseconds"],
            **request_context.current(),
        }
        line["request_id"] = masked(line.get("request_id", ""))  # the other fields are ours
        return _encode(line)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """See ``describe``."""
        return describe(ei[1])

    def add_fields(
        self, log_data: dict[str, object], record: logging.LogRecord, message_dict: dict[str, object]
    ) -> None:
        log_data["time"] = _timestamp(record)
        super().add_fields(log_data, record, message_dict)
        log_data.pop("request", None)
        if record.name.startswith(("django.", "gunicorn.", "procrastinate.")):
            log_data["message"] = _library_message(record)
            for name in ("job", "task_kwargs", "args"):
                log_data.pop(name, None)
        log_data.update(request_context.current())

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        line = super().jsonify_log_record(log_data)
        if "\\" not in line and masked(line) == line:  # most lines: nothing escaped, nothing secret
            return line
        return json.dumps(_masked_value(json.loads(line)))


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _library_message(record: logging.LogRecord) -> str:
    """A library's message without the paths, headers and arguments that it quotes."""
    if record.name == "django.request":
        return str(record.args[0]) if isinstance(record.args, tuple) and record.args else "request failed"
    if record.name.startswith("django.security"):
        return f"refused: {record.name.rpartition('.')[2]}"
    return _QUOTED.sub("…", record.getMessage())


def _masked_value(value: Any) -> Any:
    """``value`` with every string masked, and every integer that a mask would change."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {masked(key): _masked_value(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_masked_value(inner) for inner in value]
    if type(value) is int and masked(str(value)) != str(value):
        return masked(str(value))
    return value
