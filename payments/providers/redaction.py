"""Redaction of requests to providers and their responses: no secrets, signatures or personal data in clear."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from core.errors import OutcomeUnknown
from core.masking import masked
from payments.providers.errors import UnreadableNotice, printable
from payments.providers.reading import read_object

MAX_LENGTH: Final = 4_000
"""Maximum length of a stored request or response."""
MAX_LISTED: Final = 3
"""Maximum number of stored list entries; the number of omitted ones is added."""

_SECRET = re.compile(r"firma|signature|secret|password|token|api_?key|public_key|credential", re.IGNORECASE)
_PERSONAL = re.compile(
    r"nombre|name|apellido|nacimiento|e?mail|correo|phone|telefono|celular|rfc|curp|tax_id|concepto|description|address|direccion|customer"
    r"|beneficiar|ordenante|cuenta|account|clabe|last4",
    re.IGNORECASE,
)
_KEPT = re.compile(r"institucion|tipo|type|_id$|^id", re.IGNORECASE)
"""Exceptions from ``_PERSONAL``: institutions, types of accounts, identifiers."""


def redacted(value: Any) -> str:
    """``value`` (JSON) as text without secrets, with personal data cut to one character and long lists truncated."""
    return _capped(json.dumps(_redacted(value), ensure_ascii=False))


def redacted_answer(raw: bytes) -> str:
    """A response as redacted text; if it is not a JSON object, its beginning, masked."""
    try:
        return redacted(read_object(raw))
    except (UnreadableNotice, OutcomeUnknown):
        return _capped(masked(printable(raw[:MAX_LENGTH].decode("utf-8", "replace"))))


def _redacted(value: Any, name: str = "") -> Any:
    if _SECRET.search(name):
        return "***"
    if isinstance(value, dict):
        return {masked(str(key)): _redacted(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        kept = [_redacted(inner, name) for inner in value[:MAX_LISTED]]
        return kept if len(value) <= MAX_LISTED else [*kept, f"… {len(value) - MAX_LISTED} more"]
    if value is None or isinstance(value, bool):
        return value
    if _PERSONAL.search(name) and not _KEPT.search(name):
        return _cut(str(value))
    if isinstance(value, str):
        return masked(value)
    text = str(value)  # the digits of a Decimal
    return value if isinstance(value, int | float) and masked(text) == text else masked(text)


def _cut(text: str) -> str:
    if not text:
        return ""
    return masked(text) if re.fullmatch(r"\d{18}", text) else f"{text[0]}…"


def _capped(text: str) -> str:
    text = text.encode(errors="replace").decode()  # JSON may hold unpaired surrogates, which cannot be stored
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 1]}…"
