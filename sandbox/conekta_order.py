"""Conekta's cash orders: validation of requests and the order's JSON (Conekta API 2.3.0)."""

from __future__ import annotations

import string
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from .errors import Refused
from .world import World

# Conekta does not publish limits for vouchers; other OXXO processors state 10.00 to 10,000.00 pesos.
MIN_AMOUNT, MAX_AMOUNT = 1_000, 1_000_000
DEFAULT_LIFE = 30 * 86_400
LONGEST_LIFE = 366 * 86_400
CASH_TYPES = ("cash", "oxxo_cash")
# Lines that change the total: refused, because the simulator only adds up line_items.
UNSUPPORTED = ("tax_lines", "shipping_lines", "discount_lines", "checkout")
BASE58 = string.digits[1:] + "".join(c for c in string.ascii_letters if c not in "lIO")


def hex_id(world: World) -> str:
    """An id of 24 hex digits that starts with the time, as for charges, events, webhooks and webhook keys."""
    return f"{int(world.now()):08x}{world.hex(8)}"


def short_id(world: World, prefix: str) -> str:
    """An id like ``ord_2xayxSvfWzQ2TLz7r``: a prefix and 17 letters and digits."""
    return prefix + "_" + "".join(world.choice(BASE58) for _ in range(17))


def new_reference(world: World) -> str:
    """A reference of 14 digits, in the format of the OXXO network; text, not a number."""
    return f"93{world.below(10**12):012d}"


def fee(amount: int) -> int:
    """Conekta's fee: 2.6 % + 3.00, at least 5.40, plus 16 % IVA; each part rounded half up to the centavo."""
    commission = max(540, _half_up(Decimal(amount) * Decimal("0.026")) + 300)
    return commission + _half_up(Decimal(commission) * Decimal("0.16"))


def charge_of(order: dict[str, Any]) -> dict[str, Any]:
    """The only charge of a cash order, by reference: changing it changes the order."""
    charge: dict[str, Any] = order["charges"]["data"][0]
    return charge


def build(world: World, body: dict[str, Any], *, livemode: bool, base_url: str) -> dict[str, Any]:
    """Validate ``POST /orders`` and return a pending order; the caller stores it under a unique reference."""
    now = int(world.now())
    for name in UNSUPPORTED:
        if body.get(name):
            raise _invalid(name, "not_supported", "this simulator supports line_items only")
    currency = body.get("currency")
    if currency != "MXN":
        raise _invalid("currency", "invalid", "the currency of cash orders must be MXN")
    customer = _customer(body.get("customer_info"))
    lines = _line_items(body.get("line_items"))
    total = sum(int(line["unit_price"]) * int(line["quantity"]) for line in lines)
    request = _charge(body.get("charges"), total)
    expires_at = _expiry(request["payment_method"].get("expires_at"), now)
    metadata = _metadata(body.get("metadata"))
    order_id, reference = short_id(world, "ord"), new_reference(world)
    charge = {
        "id": hex_id(world),
        "object": "charge",
        "livemode": livemode,
        "created_at": now,
        "currency": currency,
        "amount": total,
        "fee": fee(total),
        "status": "pending_payment",
        "description": "Payment from order",
        "order_id": order_id,
        "customer_id": "",
        "paid_at": None,
        "reference_id": request.get("reference_id"),
        "refunds": None,
        "failure_code": None,
        "failure_message": None,
        "payment_method": {
            "object": "cash_payment",
            "type": "oxxo",
            "service_name": "OxxoPay",
            "store_name": "OXXO",
            "reference": reference,
            "barcode_url": f"{base_url}/conekta/barcodes/{reference}.svg",
            "expires_at": expires_at,
            "auth_code": None,
            "cashier_id": None,
            "store": None,
        },
    }
    return {
        "id": order_id,
        "object": "order",
        "livemode": livemode,
        "amount": total,
        "amount_refunded": 0,
        "currency": currency,
        "payment_status": "pending_payment",
        "is_refundable": False,
        "customer_info": customer,
        "line_items": {
            "object": "list",
            "has_more": False,
            "total": len(lines),
            "data": _numbered(world, lines, order_id),
        },
        "charges": {"object": "list", "has_more": False, "total": 1, "data": [charge]},
        "metadata": metadata,
        "created_at": now,
        "updated_at": now,
    }


def mark(world: World, order: dict[str, Any], status: str) -> None:
    """Set order and charge to ``status``; ``paid`` also sets the data that the till reports."""
    now, charge = int(world.now()), charge_of(order)
    order["payment_status"] = charge["status"] = status
    order["updated_at"] = now
    if status == "paid":
        charge["paid_at"] = now
        charge["payment_method"] |= {
            "auth_code": 100_000 + world.below(900_000),
            "cashier_id": f"OINM{world.below(10**5):05d}",
            "store": f"10MEX{world.below(10**5):05d}",
        }


def is_count(value: object, least: int) -> bool:
    """True for an integer (not a boolean) of at least ``least`` that fits into SQLite."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 10**15


def _customer(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _invalid("customer_info", "missing", "customer_info is required")
    for name in ("name", "email", "phone"):
        text = value.get(name)
        if not isinstance(text, str) or not text.strip():
            raise _invalid(f"customer_info.{name}", "missing", f"customer_info.{name} is required")
    if "@" not in value["email"]:
        raise _invalid("customer_info.email", "invalid", "customer_info.email is not an e-mail address")
    given = {name: value[name] for name in ("name", "email", "phone")}
    return {"object": "customer_info", "customer_id": "", "corporate": False, **given}


def _line_items(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        raise _invalid("line_items", "missing", "line_items is required")
    for line in value:
        if not isinstance(line, dict) or not isinstance(line.get("name"), str) or not line["name"].strip():
            raise _invalid("line_items.name", "missing", "each line item needs a name")
        if not is_count(line.get("unit_price"), 0):
            raise _invalid("line_items.unit_price", "invalid", "unit_price must be integer centavos")
        if not is_count(line.get("quantity"), 1):
            raise _invalid("line_items.quantity", "invalid", "quantity must be an integer of at least 1")
    return value


def _numbered(world: World, lines: list[dict[str, Any]], order_id: str) -> list[dict[str, Any]]:
    return [
        {
            **{name: line[name] for name in ("name", "unit_price", "quantity")},
            "id": short_id(world, "line_item"),
            "object": "line_item",
            "parent_id": order_id,
        }
        for line in lines
    ]


def _charge(value: object, total: int) -> dict[str, Any]:
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        raise _invalid("charges", "invalid", "a cash order has exactly one charge")
    charge: dict[str, Any] = value[0]
    method = charge.get("payment_method")
    if not isinstance(method, dict) or method.get("type") not in CASH_TYPES:
        raise _invalid("charges.payment_method.type", "invalid", "this simulator supports payment method cash only")
    if not is_count(charge.get("amount", total), 1):
        raise _invalid("charges.amount", "invalid", "amount must be integer centavos")
    if charge.get("amount", total) != total:
        raise _invalid("charges.amount", "mismatch", f"the line items add up to {total}, not to the charge's amount")
    if not MIN_AMOUNT <= total <= MAX_AMOUNT:
        raise _invalid("charges.amount", "out_of_range", f"amount must be from {MIN_AMOUNT} to {MAX_AMOUNT} centavos")
    if not isinstance(charge.get("reference_id"), str | None):
        raise _invalid("charges.reference_id", "invalid", "reference_id must be text")
    return charge


def _expiry(value: object, now: int) -> int:
    if value is None:
        return now + DEFAULT_LIFE
    if not isinstance(value, int) or isinstance(value, bool) or value <= now:
        raise _invalid("charges.payment_method.expires_at", "expired", "expires_at must be unix seconds in the future")
    if value > now + LONGEST_LIFE:  # usually milliseconds instead of seconds
        raise _invalid("charges.payment_method.expires_at", "too_far", "expires_at must be within a year, in seconds")
    return value


def _metadata(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > 100:
        raise _invalid("metadata", "invalid", "metadata must be an object of at most 100 keys")
    for item in value.values():
        if not isinstance(item, str | int | float | None) or (isinstance(item, str) and len(item) > 249):
            raise _invalid("metadata", "invalid", "metadata values must be scalars, texts at most 249 characters")
    return value


def _invalid(param: str, reason: str, message: str) -> Refused:
    return Refused(422, f"conekta.errors.parameter_validation.{param}.{reason}", message, param=param)


def _half_up(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))
