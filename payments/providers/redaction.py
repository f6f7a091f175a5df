"""What may be kept of a request to a provider and of its answer: no secret, no signature, no personal data in clear."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from core.errors import OutcomeUnknown
from core.masking import masked
from payments.providers.errors import UnreadableNotice, printable
from payments.providers.reading import read_object

MAX_LENGTH: Final = 4_000
"""Characters kept of a request or an answer."""
MAX_LISTED: Final = 3
"""Entries kept of a list; how many there were is said."""

_SECRET = re.compile(r"firma|signature|secret|password|token|api_?key|public_key|credential", re.IGNORECASE)
_PERSONAL = re.compile(
    r"nombre|name|apellido|nacimiento|e?mail|correo|phone|telefono|celular|rfc|curp|tax_id|concepto|description|address|direccion|customer"
    r"|beneficiar|ordenante|cuenta|account|clabe|last4",
    re.IGNORECASE,
)
_KEPT = re.compile(r"institucion|tipo|type|_id$|^id", re.IGNORECASE)
"""Names that would be taken for personal ones: an institution, the kind of an account, an identifier."""


def redacted(value: Any) -> str:
    """``value`` (JSON) as text, with secrets left out, people's data cut to the first character, and lists cut."""
    return _capped(json.dumps(_redacted(value), ensure_ascii=False))


def redacted_answer(raw: bytes) -> str:
    """An answer's bytes as text, as ``redacted`` makes it; of one that is no JSON object its beginning, masked."""
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
    text = str(value)  # of a Decimal its digits
    return value if isinstance(value, int | float) and masked(text) == text else masked(text)


def _cut(text: str) -> str:
    if not text:
        return ""
    return masked(text) if re.fullmatch(r"\d{18}", text) else f"{text[0]}…"


def _capped(text: str) -> str:
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 1]}…"
