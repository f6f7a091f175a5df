"""Deposits reported by STP: the abono notice and its responses.

Wire format: STP, abono notice ("sendAbono"), JSON dialect with camelCase keys, or with the older spellings of
``payments.providers.stp.keys``. Real notices are messy (the text
``"null"``, account type 0, tracking keys with spaces and slashes, institutions that no catalogue knows), so only the
fields that identify and book the money are required to be valid; all others are cleaned and may be missing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from core.money import CURRENCY, pesos_to_centavos
from payments.providers.base import MoneyReceived, Payer
from payments.providers.errors import UnreadableNotice
from payments.providers.reading import read_object
from payments.providers.stp.keys import present_keys

DEPOSIT = "stp.deposit"
RETURN = "stp.return"

RETURN_PAYMENT_TYPES: Final = frozenset({0, 16, 17, 18, 23, 24})
"""STP tipoPago: our own money comes back (devolución, extemporánea, retorno, …); not a payment."""

CONFIRM: Final[dict[str, str]] = {"mensaje": "confirmar"}
"""Answer that keeps the money, with HTTP 200."""

UNKNOWN_ACCOUNT: Final = 1
"""STP causa de devolución 1: there is no such account."""

BLOCKED: Final = 2
"""STP causa de devolución 2: the account is blocked."""

MISSING_INFORMATION: Final = 14
"""STP causa de devolución 14: mandatory information is missing."""

REPEATED_TRACKING_KEY: Final = 30
"""STP causa de devolución 30: the tracking key was used before."""

MAX_TRACKING_KEY_LENGTH: Final = 40
"""Longest tracking key that is read; SPEI's own limit is 30."""

MAX_ACCOUNT_LENGTH: Final = 20
"""SPEI's limit for an account; numbers and codes of the payer are cut here."""

MAX_TEXT_LENGTH: Final = 120
"""Names and concepts are cut here; SPEI's own limit is 40."""

_AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,10})?")
_DAY = re.compile(r"[0-9]{8}")
_EPOCH_MS = re.compile(r"[0-9]{1,15}")
_SMALL_NUMBER = re.compile(r"-?[0-9]{1,5}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR, _LAST_YEAR = 2000, 2100
_UNKNOWN_TAX_ID = "ND"
_NO_CHARACTERS = ("Cc", "Cs")
"""Unicode categories: control characters (NUL too), halves of surrogate pairs."""


def parse_deposit(raw: bytes, *, received_at: datetime) -> MoneyReceived:
    """Read one abono notice. ``event_type`` is ``stp.return`` for money of our own that came back.

    ``event_id`` and ``deposit_key`` are the business key ``fechaOperacion:institucionOrdenante:claveRastreo`` (a
    tracking key is unique per issuing institution and day), at most 55 characters. ``paid_at`` is ``tsLiquidacion`` if
    it is a credible moment, else ``received_at`` (aware). A return may come without ``cuentaBeneficiario``; it names
    its payout by ``claveRastreoDevolucion``, or has its tracking key.
    Raises ``UnreadableNotice`` naming the field, for any other body.
    """
    if received_at.utcoffset() is None:
        raise ValueError("received_at needs its time zone")
    return _deposit(present_keys(read_object(raw)), received_at)


def parse_conciliation(raw: bytes, *, received_at: datetime) -> MoneyReceived:
    """Read one received order as STP lists it: the same deposit, under the same business key.

    A listed order names the payer's bank ``institucionContraparte``. Raises ``UnreadableNotice`` naming the field.
    """
    if received_at.utcoffset() is None:
        raise ValueError("received_at needs its time zone")
    body = present_keys(read_object(raw))
    return _deposit({**body, "institucionOrdenante": body.get("institucionContraparte")}, received_at)


def _deposit(body: Mapping[str, Any], received_at: datetime) -> MoneyReceived:
    is_return = _payment_type(body) in RETURN_PAYMENT_TYPES
    day = _operating_date(body)
    institution = _institution(body)
    tracking_key = _key(body, "claveRastreo", length=MAX_TRACKING_KEY_LENGTH)
    key = f"{day:%Y%m%d}:{institution}:{tracking_key}"
    return MoneyReceived(
        event_id=key,
        event_type=RETURN if is_return else DEPOSIT,
        deposit_key=key,
        amount=_amount(body),
        currency=CURRENCY,
        paid_at=settled_at(body) or received_at.astimezone(UTC),
        operating_date=day,
        clabe=_key(body, "cuentaBeneficiario", required=not is_return),
        tracking_key=tracking_key,
        concept=_text(body, "conceptoPago"),
        reference_number=_text(body, "referenciaNumerica", length=MAX_ACCOUNT_LENGTH),
        return_of=_returned_key(body) or tracking_key if is_return else "",
        payer=Payer(
            name=_text(body, "nombreOrdenante"),
            account=_text(body, "cuentaOrdenante", length=MAX_ACCOUNT_LENGTH),
            institution_code=institution,
            tax_id=_tax_id(body),
        ),
    )


def refuse(cause: int) -> dict[str, str | int]:
    """Answer that sends the money back to its payer, for one of STP's causas de devolución (positive)."""
    if type(cause) is not int or cause <= 0:
        raise ValueError("a refusal names one of STP's causes, a positive number")
    return {"mensaje": "devolver", "id": cause}


def _value(body: Mapping[str, Any], name: str) -> Any:
    """The value of ``name``; None if it is absent, blank or the text "null"."""
    value = body.get(name)
    if isinstance(value, str) and value.strip().casefold() in ("", "null"):
        return None
    return value


def _key(body: Mapping[str, Any], name: str, *, length: int = MAX_ACCOUNT_LENGTH, required: bool = True) -> str:
    """An identifier: stripped, otherwise unchanged; refused when damaged."""
    value = _value(body, name)
    if value is None and not required:
        return ""
    if value is None:
        raise UnreadableNotice("This field is required.", field=name)
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str):
        raise UnreadableNotice("This field must be text.", field=name)
    value = value.strip()
    if not value.isprintable() and any(unicodedata.category(character) in _NO_CHARACTERS for character in value):
        raise UnreadableNotice("This field holds control characters.", field=name)
    if not value or len(value) > length:
        raise UnreadableNotice(f"This field must have 1 to {length} characters.", field=name)
    return value


def _text(body: Mapping[str, Any], name: str, *, length: int = MAX_TEXT_LENGTH) -> str:
    """Text for people: control characters removed, spaces collapsed, cut; "" if it is not text."""
    value = _value(body, name)
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str):
        return ""
    if not value.isprintable():
        value = "".join(" " if unicodedata.category(character) in _NO_CHARACTERS else character for character in value)
    cleaned = " ".join(value.split())[:length].rstrip()
    return "" if cleaned.casefold() == "null" else cleaned


def _tax_id(body: Mapping[str, Any]) -> str:
    tax_id = _text(body, "rfcCurpOrdenante", length=MAX_ACCOUNT_LENGTH)
    return "" if tax_id.upper() == _UNKNOWN_TAX_ID else tax_id


def _returned_key(body: Mapping[str, Any]) -> str:
    """claveRastreoDevolucion; "" if it is absent or damaged: then people find the payout."""
    return _text(body, "claveRastreoDevolucion", length=MAX_TRACKING_KEY_LENGTH)


def _amount(body: Mapping[str, Any]) -> int:
    """monto, pesos with up to two significant decimals, as centavos > 0."""
    value = _value(body, "monto")
    if value is None:
        raise UnreadableNotice("This field is required.", field="monto")
    written = f"{value:f}" if isinstance(value, Decimal) else str(value) if type(value) is int else value
    if not isinstance(written, str) or not _AMOUNT.fullmatch(written.strip()):
        raise UnreadableNotice("This is not an amount in pesos.", field="monto")
    try:
        amount = pesos_to_centavos(Decimal(written.strip()))
    except ValueError:
        raise UnreadableNotice("This is not a whole number of centavos.", field="monto") from None
    if amount <= 0:
        raise UnreadableNotice("The amount must be greater than zero.", field="monto")
    return amount


def _operating_date(body: Mapping[str, Any]) -> date:
    """fechaOperacion, ``YYYYMMDD`` as number or text."""
    written = _key(body, "fechaOperacion")
    try:
        day = date(int(written[:4]), int(written[4:6]), int(written[6:])) if _DAY.fullmatch(written) else None
    except ValueError:
        day = None
    if day is None or not _FIRST_YEAR <= day.year < _LAST_YEAR:
        raise UnreadableNotice("This is not a date (YYYYMMDD).", field="fechaOperacion")
    return day


def _institution(body: Mapping[str, Any]) -> str:
    """institucionOrdenante, a number of up to five digits, which need not be in the catalogue."""
    written = _key(body, "institucionOrdenante").lstrip("0")
    if not _SMALL_NUMBER.fullmatch(written) or int(written) <= 0:
        raise UnreadableNotice("This is not the number of an institution.", field="institucionOrdenante")
    return written


def _payment_type(body: Mapping[str, Any]) -> int | None:
    """tipoPago; None if absent. A damaged one is refused, because it decides whose money this is."""
    if _value(body, "tipoPago") is None:
        return None
    written = _key(body, "tipoPago")
    if not _SMALL_NUMBER.fullmatch(written):
        raise UnreadableNotice("This is not a type of payment.", field="tipoPago")
    return int(written)


def settled_at(body: Mapping[str, Any]) -> datetime | None:
    """tsLiquidacion, milliseconds since 1970; None if absent or not between 2000 and 2100."""
    value = _value(body, "tsLiquidacion")
    written = str(value) if type(value) is int else value
    if not isinstance(written, str) or not _EPOCH_MS.fullmatch(written.strip()):
        return None
    try:
        moment = _EPOCH + timedelta(milliseconds=int(written))
    except OverflowError:
        return None
    return moment if _FIRST_YEAR <= moment.year < _LAST_YEAR else None
