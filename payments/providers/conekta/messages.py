"""Conekta's messages: cash orders and events.

Wire format: Conekta API 2.3.0, ``POST /orders`` with a charge of type ``cash``, the order in its response, and the
events order.paid, charge.paid, order.expired, order.canceled, charge.expired, webhook_ping and those about money that
was refunded, charged back or reversed. Amounts are integer centavos, times are unix seconds, references are text
(OXXO's have 14 digits, those of other stores 20).
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from core.money import CURRENCY, MAX_AMOUNT
from payments.providers.base import CashOrder, MoneyReceived, MoneyTakenBack, Notice, OrderClosed, Uninteresting
from payments.providers.errors import UnreadableNotice
from payments.providers.reading import read_object

MAX_KEY_LENGTH: Final = 64
"""Maximum length of an id; Conekta's own have at most 32 characters."""

MAX_REFERENCE_LENGTH: Final = 32
MAX_STORE_NAME_LENGTH: Final = 100
MAX_URL_LENGTH: Final = 500
MAX_DESCRIPTION_LENGTH: Final = 250

_PAID_EVENTS: Final = {"order.paid", "charge.paid"}
_CLOSED_EVENTS: Final = {"order.expired": "expired", "charge.expired": "expired", "order.canceled": "cancelled"}
_TAKEN_BACK_EVENTS: Final = {
    "order.refunded",
    "order.partially_refunded",
    "order.charged_back",
    "charge.refunded",
    "charge.reversed",
    "charge.chargeback.created",
    "charge.chargeback.lost",
}
_PAID_STATUSES: Final = {"paid", "partially_refunded", "refunded", "charged_back"}
"""States of an order or a charge whose money arrived, even if it was refunded later."""

PENDING_STATUS: Final = "pending_payment"
"""State of an order and of a charge that can still be paid."""

_FIRST_SECOND, _LAST_SECOND = 946_684_800, 4_102_444_800  # 2000 and 2100


def order_request(
    *,
    payment_id: str,
    amount: int,
    description: str,
    customer_name: str,
    customer_email: str,
    customer_phone: str,
    expires_at: datetime,
) -> dict[str, Any]:
    """Body of ``POST /orders`` for one cash charge of ``amount`` centavos, payable until ``expires_at`` (aware).

    Our ``payment_id`` is in the order's metadata, the line item's metadata and the charge's ``reference_id``, so that
    every later message about them identifies the payment. Raises ``ValueError`` for invalid arguments.
    """
    if not payment_id or len(payment_id) > MAX_KEY_LENGTH:
        raise ValueError(f"a payment id has 1 to {MAX_KEY_LENGTH} characters")
    if type(amount) is not int or not 0 < amount <= MAX_AMOUNT:
        raise ValueError("an amount is a positive integer of centavos")
    if expires_at.utcoffset() is None:
        raise ValueError("expires_at needs its time zone")
    name = _clean(description, MAX_DESCRIPTION_LENGTH) or payment_id
    customer = {"name": customer_name, "email": customer_email, "phone": customer_phone}
    return {
        "currency": CURRENCY,
        "customer_info": {field: value for field, value in customer.items() if value},
        "line_items": [{"name": name, "unit_price": amount, "quantity": 1, "metadata": {"payment_id": payment_id}}],
        "charges": [
            {
                "amount": amount,
                "reference_id": payment_id,
                "payment_method": {"type": "cash", "expires_at": int(expires_at.timestamp())},
            }
        ],
        "metadata": {"payment_id": payment_id},
    }


def parse_order(data: Mapping[str, Any]) -> CashOrder:
    """Parse an order. Of several charges, the paid one is used, else a pending one, else the last.

    ``status`` is Conekta's ``payment_status``. Raises ``UnreadableNotice`` naming the field.
    """
    charges = _charges(data, "order")
    paid = [charge for charge in charges if _is_paid(charge)]
    pending = [charge for charge in charges if charge.get("status") == PENDING_STATUS]
    charge = (paid or pending or charges or [{}])[-1]
    method = _mapping(charge.get("payment_method"))
    return CashOrder(
        order_id=_key(data, "id", "order"),
        charge_id=_key(charge, "id", "order.charges") if charge else "",
        status=(status := _key(data, "payment_status", "order")),
        amount=_amount(data, "order"),
        currency=_currency(data, "order"),
        reference=_optional_key(method.get("reference"), MAX_REFERENCE_LENGTH),
        barcode_url=_url(method.get("barcode_url")),
        store_name=_store_name(method),
        expires_at=_moment(method.get("expires_at")),
        paid_at=_moment(charge.get("paid_at")),
        payment_id=payment_id_of(data),
        livemode=_flag(data, "livemode", "order"),
        is_payable=status == PENDING_STATUS,
        has_money=status in _PAID_STATUSES,
    )


def payment_id_of(order: Mapping[str, Any]) -> str:
    """Our own payment id in an order's metadata, or ""."""
    return _optional_key(_mapping(order.get("metadata")).get("payment_id"))


def parse_event(raw: bytes, *, received_at: datetime) -> Notice:
    """Parse one event of a Conekta webhook; ``received_at`` (aware) replaces a missing time of payment.

    One payment causes ``charge.paid`` and ``order.paid``: two events, one deposit, whose ``deposit_key`` is the
    charge's id in both. The amount is that of the charge, which was paid. In a charge, our payment id is in its
    metadata or in its ``reference_id``. Raises ``UnreadableNotice`` naming the field.
    """
    if received_at.utcoffset() is None:
        raise ValueError("received_at needs its time zone")
    body = read_object(raw)
    event_type = _key(body, "type", "")
    if event_type in _TAKEN_BACK_EVENTS:
        return _money_taken_back(body, event_type, _identity(body, raw))
    if event_type not in _PAID_EVENTS and event_type not in _CLOSED_EVENTS:
        event_id = _identity(body, raw)
        reason = "ping" if event_type == "webhook_ping" else "this type of event changes nothing"
        return Uninteresting(event_id=event_id, event_type=event_type, reason=reason)
    subject = _mapping(_mapping(body.get("data")).get("object"))
    if not subject:
        raise UnreadableNotice("This field must be an object.", field="data.object")
    if event_type in _CLOSED_EVENTS:
        return _order_closed(body, event_type, subject)
    return _money_received(body, event_type, subject, received_at)


def concerns_us(event: Mapping[str, Any]) -> bool:
    """True for types of events that affect money or a state."""
    return event.get("type") in (_PAID_EVENTS | _CLOSED_EVENTS.keys() | _TAKEN_BACK_EVENTS)


def identify(raw: bytes) -> tuple[str, str]:
    """Id and type of an event whose content cannot be read; "" for those that cannot be read either."""
    try:
        body = read_object(raw)
    except UnreadableNotice:
        return "", ""
    return _optional_key(body.get("id")), _optional_key(body.get("type"))


def _said_mode(body: Mapping[str, Any]) -> bool | None:
    mode = body.get("livemode")
    return mode if isinstance(mode, bool) else None


def _order_closed(body: Mapping[str, Any], event_type: str, subject: Mapping[str, Any]) -> OrderClosed:
    about_charge = event_type.startswith("charge.")
    return OrderClosed(
        event_id=_key(body, "id", ""),
        event_type=event_type,
        reason=_CLOSED_EVENTS[event_type],
        order_id=_key(subject, "order_id" if about_charge else "id", "data.object"),
        payment_id=_charge_payment_id(subject) if about_charge else payment_id_of(subject),
        livemode=_said_mode(body),
    )


def _identity(body: Mapping[str, Any], raw: bytes) -> str:
    return _optional_key(body.get("id")) or f"sha256:{hashlib.sha256(raw).hexdigest()[:40]}"


def _money_taken_back(body: Mapping[str, Any], event_type: str, event_id: str) -> MoneyTakenBack:
    """Parse leniently, because staff must see the event even if it is damaged."""
    subject = _mapping(_mapping(body.get("data")).get("object"))
    of_order = event_type.startswith("order.")
    return MoneyTakenBack(
        event_id=event_id,
        event_type=event_type,
        order_id=_optional_key(subject.get("id" if of_order else "order_id")),
        payment_id=payment_id_of(subject) if of_order else _charge_payment_id(subject),
        livemode=_said_mode(body),
    )


def _money_received(
    body: Mapping[str, Any], event_type: str, subject: Mapping[str, Any], received_at: datetime
) -> MoneyReceived:
    if event_type == "charge.paid":
        charge, where = subject, "data.object"
        order_id = _key(subject, "order_id", where)
        payment_id = _charge_payment_id(charge)
        if not _is_paid(charge):
            raise UnreadableNotice("A paid charge must say so.", field=f"{where}.status")
    else:
        charge, where = _paid_charge(subject), "data.object.charges"
        order_id = _key(subject, "id", "data.object")
        payment_id = payment_id_of(subject) or _charge_payment_id(charge)
        if charge.get("order_id") not in (None, order_id):
            raise UnreadableNotice("The charge belongs to another order.", field=f"{where}.order_id")
    method = _mapping(charge.get("payment_method"))
    paid_at = _moment(charge.get("paid_at")) or _moment(body.get("created_at"))
    return MoneyReceived(
        event_id=_key(body, "id", ""),
        event_type=event_type,
        deposit_key=_key(charge, "id", where),
        amount=_amount(charge, where),
        currency=_currency(charge if charge.get("currency") is not None else subject, where),
        paid_at=paid_at or received_at.astimezone(UTC),
        order_id=order_id,
        payment_id=payment_id,
        reference_number=_optional_key(method.get("reference"), MAX_REFERENCE_LENGTH),
        livemode=_said_mode(body),
    )


def _paid_charge(order: Mapping[str, Any]) -> Mapping[str, Any]:
    """The only paid charge of an order. Two would be two deposits, which one notice cannot represent."""
    paid = [charge for charge in _charges(order, "data.object") if _is_paid(charge)]
    if len(paid) != 1:
        raise UnreadableNotice(
            f"A paid order must hold exactly one paid charge, not {len(paid)}.", field="data.object.charges"
        )
    return paid[0]


def _charges(order: Mapping[str, Any], where: str) -> list[Mapping[str, Any]]:
    """The charges of an order: a list object (``{"object": "list", "data": […]}``), a bare list, or none at all."""
    charges = order.get("charges")
    if isinstance(charges, Mapping):
        charges = charges.get("data")
    if charges is None:
        return []
    if not isinstance(charges, list) or not all(isinstance(charge, Mapping) and charge for charge in charges):
        raise UnreadableNotice("This field must be a list of charges.", field=f"{where}.charges")
    return charges


def _is_paid(charge: Mapping[str, Any]) -> bool:
    status = charge.get("status")
    return isinstance(status, str) and status in _PAID_STATUSES


def _charge_payment_id(charge: Mapping[str, Any]) -> str:
    return payment_id_of(charge) or _optional_key(charge.get("reference_id"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _key(source: Mapping[str, Any], name: str, where: str) -> str:
    """A required id."""
    key = _optional_key(source.get(name))
    if not key:
        raise UnreadableNotice(
            f"This field must be text of 1 to {MAX_KEY_LENGTH} characters.", field=_path(where, name)
        )
    return key


def _optional_key(value: Any, length: int = MAX_KEY_LENGTH) -> str:
    """An id, or "" if it is missing or invalid."""
    if not isinstance(value, str) or not 0 < len(value) <= length or value != value.strip():
        return ""
    return "" if any(unicodedata.category(character) in ("Cc", "Cs") for character in value) else value


def _amount(source: Mapping[str, Any], where: str) -> int:
    value = source.get("amount")
    if type(value) is not int or not 0 < value <= MAX_AMOUNT:
        raise UnreadableNotice("An amount is a positive integer of centavos.", field=_path(where, "amount"))
    return value


def _currency(source: Mapping[str, Any], where: str) -> str:
    value = source.get("currency")
    if not isinstance(value, str) or len(value) != 3 or not (value.isascii() and value.isalpha()):
        raise UnreadableNotice("A currency is three letters.", field=_path(where, "currency"))
    return value.upper()


def _flag(source: Mapping[str, Any], name: str, where: str) -> bool:
    value = source.get(name)
    if type(value) is not bool:
        raise UnreadableNotice("This field must be true or false.", field=_path(where, name))
    return value


def _moment(value: Any) -> datetime | None:
    """The time of unix seconds between 2000 and 2100; None for anything else."""
    if type(value) is not int or not _FIRST_SECOND <= value < _LAST_SECOND:
        return None
    return datetime.fromtimestamp(value, UTC)


def _url(value: Any) -> str:
    """A URL that may be shown as an image, or ""."""
    if not isinstance(value, str) or len(value) > MAX_URL_LENGTH or not value.startswith(("https://", "http://")):
        return ""
    return value if value.isascii() and value.isprintable() and not set(value) & set(" \"'<>\\`") else ""


def _store_name(method: Mapping[str, Any]) -> str:
    """``OXXO``, or the names of all stores of a network, which Conekta also sends as JSON within a string."""
    name = method.get("store_name")
    names = method.get("store_names")
    if isinstance(name, str) and name.lstrip().startswith("["):
        names, name = names or _list_in_text(name), None
    if isinstance(name, str) and name.strip():
        return _clean(name, MAX_STORE_NAME_LENGTH)
    if isinstance(names, list):
        return _clean(", ".join(name for name in names if isinstance(name, str)), MAX_STORE_NAME_LENGTH)
    service = method.get("service_name")
    return _clean(service, MAX_STORE_NAME_LENGTH) if isinstance(service, str) else ""


def _list_in_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _clean(text: str, length: int) -> str:
    """Text without control characters, with collapsed spaces, truncated to ``length``."""
    visible = "".join(" " if unicodedata.category(character) in ("Cc", "Cs") else character for character in text)
    return " ".join(visible.split())[:length].rstrip()
