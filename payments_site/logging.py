"""One JSON object a line, with the request's names in it and without anything secret or personal.

Addresses are named by their route: a path may hold anything. Of an exception the frames and the class are written, and
its message only where it is ours or PostgreSQL's first line: messages quote values, and values are people's. The mask
works on every text and number of the finished line, tracebacks included: whatever a caller logs by mistake,
an API key, credentials or a complete account number never reach the disk. It works before the text is written as
JSON: in JSON a line break is the letter n, which would hide where a word begins.
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

_START = r"(?:\b|(?<=\\[nrt]))"
"""Where a word begins, also behind a line break that somebody wrote as ``repr`` does."""

_MASKS = [
    ("sk_", re.compile(r"(sk_(?:test|live)_[A-Za-z0-9_-]{8})[A-Za-z0-9_-]+"), r"\1…"),
    ("key_", re.compile(_START + r"(key_)[A-Za-z0-9_-]{8,}"), r"\1…"),
    ("", re.compile(_START + r"((?:Bearer|Basic) )[A-Za-z0-9+/=_.-]+", re.IGNORECASE), r"\1…"),
    ("://", re.compile(r"://[^/\s:@]*:[^/\s@]*@"), "://…@"),
    ("", re.compile(r"(?<!\d)(\d{6})\d{8}(\d{4})(?!\d)"), r"\1********\2"),
    ("@", re.compile(r"[\w.%+-]{1,64}@[\w-]{1,63}\.[\w.-]+"), "…@…"),
]
"""What a text must contain, what is looked for then, and what stands there instead."""

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?<=\w)\((?:[^()]|\([^()]*\))*\)""")
"""A quotation, or the arguments of a call."""


REQUESTS = "payments_site.request"
"""The logger of requests: method, route, status, milliseconds beside the request's names."""

METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))

_encode = json.JSONEncoder(ensure_ascii=False).encode


def masked(text: str) -> str:
    """``text`` without keys, credentials, complete CLABEs and e-mail addresses."""
    for sign, pattern, replacement in _MASKS:
        if sign in text:
            text = pattern.sub(replacement, text)
    return text


def told(error: BaseException) -> str:
    """``error`` and what it came from: classes, frames, and of messages only what quotes nobody's input."""
    parts, seen = [], set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = "".join(traceback.format_tb(current.__traceback__))
        parts.append(f"{frames}{type(current).__module__}.{type(current).__qualname__}{_said(current)}")
        if isinstance(current, BaseExceptionGroup):
            parts += [told(inner) for inner in current.exceptions]
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\nraised while handling\n".join(reversed(parts))


def _said(error: BaseException) -> str:
    if isinstance(error, PaymentsError):
        template = getattr(error, "template", (type(error).__doc__ or "").strip().split("\n")[0])
        return f": {template}"
    if type(error).__module__.startswith("psycopg"):  # looked at once it is there: gunicorn's master never loads it
        import psycopg

        if isinstance(error, psycopg.Error) and error.sqlstate is not None:
            # Class 22 is faulty data, and quotes it. Details and contexts quote whole rows.
            text = "" if error.sqlstate.startswith("22") else error.diag.message_primary or ""
            return f": {error.sqlstate} {text}"
        return f": {error}" if isinstance(error, psycopg.OperationalError) else ""
    if type(error).__module__ == "redis.exceptions":
        return f": {error}"
    return f": {error.strerror}" if isinstance(error, OSError) else ""


class JsonFormatter(BaseJsonFormatter):
    """time, level, logger, message, the request's names, and whatever ``extra`` holds."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s %(message)s", rename_fields={"levelname": "level", "name": "logger"})

    def format(self, record: logging.LogRecord) -> str:
        """One line. A request's own, of which there are the most, is put together from its few fields."""
        if record.name != REQUESTS or record.exc_info:
            return super().format(record)
        fields = record.__dict__
        line = {
            "level": record.levelname,
            "logger": REQUESTS,
            "message": record.msg,
            "time": _moment(record),
            "method": fields["method"] if fields["method"] in METHODS else masked(fields["method"]),
            "route": fields["route"],
            "status": fields["status"],
            "milliseconds": fields["milliseconds"],
            **request_context.current(),
        }
        line["request_id"] = masked(line.get("request_id", ""))  # the other names are ours
        return _encode(line)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """See ``told``."""
        return told(ei[1])

    def add_fields(
        self, log_data: dict[str, object], record: logging.LogRecord, message_dict: dict[str, object]
    ) -> None:
        log_data["time"] = _moment(record)
        super().add_fields(log_data, record, message_dict)
        log_data.pop("request", None)
        if record.name.startswith(("django.", "gunicorn.", "procrastinate.")):
            log_data["message"] = _message_of_others(record)
            for name in ("job", "task_kwargs", "args"):
                log_data.pop(name, None)
        log_data.update(request_context.current())

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        line = super().jsonify_log_record(log_data)
        if "\\" not in line and masked(line) == line:  # nothing escaped, nothing secret: most lines
            return line
        return json.dumps(_masked_value(json.loads(line)))


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _message_of_others(record: logging.LogRecord) -> str:
    """What libraries say without the paths, headers and arguments that they quote."""
    if record.name == "django.request":
        return str(record.args[0]) if isinstance(record.args, tuple) and record.args else "request failed"
    if record.name.startswith("django.security"):
        return f"refused: {record.name.rpartition('.')[2]}"
    return _QUOTED.sub("…", record.getMessage())


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
