"""STP's notice about a sent order ("cambio de estado") and its response.

Wire format: STP, change of state, JSON dialect: ``id`` (STP's number of the order), ``folioOrigen`` (ours, may be
empty), ``estado``, ``causaDevolucion``, ``tsLiquidacion`` (milliseconds since 1970, as text). The spelling of
``estado`` differs between integrations (LIQUIDACION, Liquidada, Éxito, Success …): only its beginning is read.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import UTC, datetime
from typing import Any, Final

from core import clock
from payments.providers.base import OrderStateChanged
from payments.providers.errors import UnreadableNotice
from payments.providers.reading import read_object
from payments.providers.stp.keys import present_keys
from payments.providers.stp.notices import settled_at

RECEIVED: Final[dict[str, str]] = {"mensaje": "recibido"}
"""Answer to every change of state, with HTTP 200."""

MAX_FOLIO_LENGTH: Final = 64

_NUMBER = re.compile(r"[0-9]{1,18}")
_CAUSE = re.compile(r"[0-9]{1,4}")
_STATES: Final = {
    "liquid": "settled",
    "exito": "settled",
    "success": "settled",
    "devol": "returned",
    "devuel": "returned",
    "refund": "returned",
    "cancel": "cancelled",
    "decline": "cancelled",
}


def parse_order_state(raw: bytes, *, received_at: datetime) -> OrderStateChanged:
    """Read one change of state; ``state`` is ``settled``, ``returned``, ``cancelled`` or ``unknown``.

    ``event_id`` is derived from the order's number, state, cause and day (Mexico City): STP gives the message no id.
    The day is included because most states are only confirmed by an inquiry: a forged notice must not make a later
    genuine one look like a repetition. Each unknown spelling has an id of its own.
    ``occurred_at`` is ``tsLiquidacion`` if it is a credible moment, else ``received_at`` (aware).
    Raises ``UnreadableNotice`` for a body without a number or state.
    """
    if received_at.utcoffset() is None:
        raise ValueError("received_at needs its time zone")
    body = present_keys(read_object(raw))
    number = _number(body.get("id"))
    written = body.get("estado")
    if not isinstance(written, str) or not written.strip():
        raise UnreadableNotice("This field is required.", field="estado")
    state = _state(written)
    cause = _cause(body.get("causaDevolucion"))
    return OrderStateChanged(
        event_id=":".join(_identity(number, state, written, cause, received_at)),
        event_type=f"stp.order.{state}",
        state=state,
        provider_id=number,
        reference=_folio(body.get("folioOrigen")),
        cause=cause,
        occurred_at=settled_at(body) or received_at.astimezone(UTC),
    )


def _identity(number: str, state: str, written: str, cause: int | None, received_at: datetime) -> list[str]:
    parts = ["order", number, state]
    if state == "unknown":
        parts.append(hashlib.sha256(_folded(written).encode()).hexdigest()[:12])
    if cause is not None:
        parts.append(str(cause))
    return [*parts, f"{clock.mexico_city_date(received_at):%Y%m%d}"]


def _state(written: str) -> str:
    letters = _folded(written)
    return next((state for start, state in _STATES.items() if letters.startswith(start)), "unknown")


def _folded(written: str) -> str:
    plain = unicodedata.normalize("NFKD", written.strip().casefold())
    return "".join(character for character in plain if not unicodedata.combining(character))


def _number(value: Any) -> str:
    written = str(value) if type(value) is int else value
    if not isinstance(written, str) or not _NUMBER.fullmatch(written.strip()):
        raise UnreadableNotice("This is not the number of an order.", field="id")
    return written.strip().lstrip("0") or "0"


def _cause(value: Any) -> int | None:
    """One of STP's causas de devolución; None if absent or not a number."""
    written = str(value) if type(value) is int else value
    return int(written) if isinstance(written, str) and _CAUSE.fullmatch(written.strip()) else None


def _folio(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_FOLIO_LENGTH:
        return ""
    return "" if any(unicodedata.category(c) in ("Cc", "Cs") for c in value) else value.strip()
