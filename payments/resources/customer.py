"""JSON representation of customers."""

from __future__ import annotations

from typing import Any

from payments.models import Clabe, Payment


def customer(record: Payment | Clabe) -> dict[str, Any] | None:
    """The customer as the merchant described it; None without any data."""
    if not (record.customer_name or record.customer_email or record.customer_phone):
        return None
    return {
        "name": record.customer_name or None,
        "email": record.customer_email or None,
        "phone": record.customer_phone or None,
    }
