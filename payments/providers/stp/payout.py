"""Orders that we send: their serialization, STP's answer, and the state that STP reports later.

Wire formats: STP speiws ``PUT ordenPago/registra``; efws ``consultaOrden`` and ``V2/conciliacion``, which use one
format for orders. The text that is sent must be the text that was signed, so values are never changed here: a value
that cannot be sent unchanged raises ``ValueError``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from core.masking import masked
from core.money import MAX_AMOUNT, centavos_to_pesos, pesos_to_centavos
from core.mx import clabe
from core.mx.spei_text import fold
from payments.providers.calls import Outcome
from payments.providers.errors import UnreadableNotice, printable
from payments.providers.payout import OrderState, OrderStatus, OutgoingOrder, SendReason, SendResult
from payments.providers.reading import read_object
from payments.providers.stp.catalogue import ORDER_ERRORS, look_up
from payments.providers.stp.keys import present_keys
from payments.providers.stp.notices import settled_at
from payments.providers.stp.status import REQUEST_TIMEOUT, TURNED_AWAY

STP_INSTITUTION: Final = "90646"
CLABE_ACCOUNT: Final = 40
THIRD_PARTY: Final = 1
"""tipoPago: from a third party to a third party."""
UNKNOWN_TAX_ID: Final = "ND"
FIRST_ORDER_ID: Final = 1000
"""The lowest number of an order at STP; lower numbers are error codes."""
MAX_ORDER_ID: Final = 10**18 - 1
"""The highest number that notices and questions can carry."""
MAX_DETAIL_LENGTH: Final = 300

_TRACKING_KEY = re.compile(r"[A-Za-z0-9]{1,30}")
_REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,40}")
_BANK = re.compile(r"[0-9]{4,5}")
_TAX_ID = re.compile(r"[A-Z0-9&Ñ]{10,18}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_DAY = re.compile(r"[0-9]{8}")
_MAX_REFERENCE_NUMBER: Final = 9_999_999
_MAX_TEXT_LENGTH: Final = 500

STATES: Final[Mapping[str, OrderStatus]] = {
    **dict.fromkeys("C PL L PA A E EA XC XD TC TL TA".split(), OrderStatus.IN_PROGRESS),
    **dict.fromkeys(("LQ", "TLQ"), OrderStatus.SETTLED),
    **dict.fromkeys(("D", "TD"), OrderStatus.RETURNED),
    **dict.fromkeys("CN CL CA TCL RL RA RB".split(), OrderStatus.CANCELLED),
}
"""STP's codes for the state of an order that was sent. All others are unknown (CR: a cancellation was refused)."""


def write_order(company: str, order: OutgoingOrder) -> dict[str, Any]:
    """The fields of ``ordenPago/registra`` without the signature; the amount is a ``Decimal`` in pesos.

    Raises ``ValueError`` for an order that STP could misread. Messages contain no personal data.
    """
    _require(_TRACKING_KEY.fullmatch(order.tracking_key), "a tracking key is 1 to 30 letters and digits")
    _require(_REFERENCE.fullmatch(order.reference), "our reference of an order is one of our ids")
    _require(type(order.amount) is int and 0 < order.amount <= MAX_AMOUNT, "an amount is a number of centavos above 0")
    _require(clabe.is_valid(order.beneficiary_clabe), "the beneficiary's account is no CLABE")
    _require(clabe.is_valid(order.ordering_clabe), "the ordering account is no CLABE")
    _require(order.beneficiary_clabe != order.ordering_clabe, "both accounts of an order are the same")
    _require(_BANK.fullmatch(order.beneficiary_bank), "a bank is a SPEI code of five digits")
    _require(
        type(order.reference_number) is int and 1 <= order.reference_number <= _MAX_REFERENCE_NUMBER,
        "a reference number is from 1 to 9,999,999",
    )
    for name in ("beneficiary_name", "ordering_name", "concept"):
        text = getattr(order, name)
        _require(fold(text) == text, f"{name} is not folded as SPEI sends it")
    for tax_id in (order.beneficiary_tax_id, order.ordering_tax_id):
        _require(not tax_id or _TAX_ID.fullmatch(tax_id), "a tax id is an RFC or a CURP")
    return {
        "institucionContraparte": order.beneficiary_bank,
        "empresa": company,
        "fechaOperacion": f"{order.operating_date:%Y%m%d}",
        "folioOrigen": order.reference,
        "claveRastreo": order.tracking_key,
        "institucionOperante": STP_INSTITUTION,
        "monto": centavos_to_pesos(order.amount),
        "tipoPago": THIRD_PARTY,
        "tipoCuentaOrdenante": CLABE_ACCOUNT,
        "nombreOrdenante": order.ordering_name,
        "cuentaOrdenante": order.ordering_clabe,
        "rfcCurpOrdenante": order.ordering_tax_id or UNKNOWN_TAX_ID,
        "tipoCuentaBeneficiario": CLABE_ACCOUNT,
        "nombreBeneficiario": order.beneficiary_name,
        "cuentaBeneficiario": order.beneficiary_clabe,
        "rfcCurpBeneficiario": order.beneficiary_tax_id or UNKNOWN_TAX_ID,
        "conceptoPago": order.concept,
        "referenciaNumerica": order.reference_number,
        "topologia": "T",
        "medioEntrega": 3,
        "prioridad": 0,
    }


def to_json(body: Mapping[str, Any]) -> bytes:
    """``body`` as JSON in which a ``Decimal`` is written exactly, without passing through a float."""
    members = (
        f"{json.dumps(name)}: {f'{value:.2f}' if isinstance(value, Decimal) else json.dumps(value)}"
        for name, value in body.items()
    )
    return f"{{{', '.join(members)}}}".encode()


def read_sent(status: int, raw: bytes) -> SendResult:
    """The result of STP's answer to the registration of an order, without ``raw``.

    Accepted is only HTTP 2xx with a number from ``FIRST_ORDER_ID`` to ``MAX_ORDER_ID`` and no ``descripcionError``.
    """
    try:
        answer = read_object(raw).get("resultado")
    except UnreadableNotice:
        answer = None
    if not isinstance(answer, dict):
        if status in TURNED_AWAY:
            return SendResult(Outcome.NOT_SENT, SendReason.TURNED_AWAY, detail=f"STP answered HTTP {status}.")
        return SendResult(Outcome.UNKNOWN, SendReason.UNREADABLE, detail=f"STP answered HTTP {status}, unreadable.")
    number, text = answer.get("id"), answer.get("descripcionError")
    is_blank = text is None or (isinstance(text, str) and not text.strip())
    detail = masked(printable(text))[:MAX_DETAIL_LENGTH]
    code = str(number)[:20] if type(number) is int else ""
    unclear = SendResult(Outcome.UNKNOWN, SendReason.UNREADABLE, code=code, detail=detail)
    if type(number) is not int or status >= 500 or status == REQUEST_TIMEOUT or 300 <= status < 400:
        return unclear
    if number >= FIRST_ORDER_ID:
        is_order = is_blank and status < 300 and number <= MAX_ORDER_ID
        return SendResult(Outcome.ACCEPTED, order_id=code) if is_order else unclear
    entry = look_up(ORDER_ERRORS, number, detail)
    if entry is None or not (is_blank or isinstance(text, str)):
        return replace(unclear, reason=SendReason.UNCATALOGUED)
    return SendResult(entry.outcome, entry.reason, code=code, detail=detail)


def read_state(record: Mapping[str, Any]) -> OrderState:
    """One order of ``consultaOrden`` or of the day's list. Raises ``UnreadableNotice`` if it has no tracking key.

    A state that is not in ``STATES`` is ``unknown``; other unreadable fields are left empty.
    """
    body = present_keys(record)
    tracking_key = _text(body.get("claveRastreo"))
    if not tracking_key:
        raise UnreadableNotice("This field is required.", field="claveRastreo")
    written = _text(body.get("estado"))
    return OrderState(
        tracking_key=tracking_key,
        status=STATES.get(written.upper(), OrderStatus.UNKNOWN),
        provider_status=written,
        order_id=_digits(body.get("idEF"), _NUMBER),
        operating_date=_day(body.get("fechaOperacion")),
        amount=_amount(body.get("monto")),
        beneficiary_clabe=_text(body.get("cuentaBeneficiario")),
        ordering_clabe=_text(body.get("cuentaOrdenante")),
        reference=_text(body.get("folioOrigen")),
        cause=_cause(body.get("causaDevolucion")),
        return_tracking_key=_text(body.get("claveRastreoDevolucion")),
        settled_at=settled_at(body),
        receipt_url=_text(body.get("urlCEP")),
    )


def _require(is_right: object, message: str) -> None:
    if not is_right:
        raise ValueError(message)


def _text(value: Any) -> str:
    """An identifier or text, stripped; "" for null, "null" and a value that is too long."""
    written = str(value) if type(value) is int else printable(value).strip()
    return "" if written.casefold() == "null" or len(written) > _MAX_TEXT_LENGTH else written


def _digits(value: Any, form: re.Pattern[str]) -> str:
    written = _text(value)
    return written if form.fullmatch(written) else ""


def _day(value: Any) -> date | None:
    written = _digits(value, _DAY)
    try:
        return date(int(written[:4]), int(written[4:6]), int(written[6:])) if written else None
    except ValueError:
        return None


def _amount(value: Any) -> int | None:
    try:
        return pesos_to_centavos(value if isinstance(value, Decimal | int) else _text(value))
    except (TypeError, ValueError):
        return None


def _cause(value: Any) -> int | None:
    written = _digits(value, _NUMBER)
    return int(written) if 0 < len(written) <= 4 else None
