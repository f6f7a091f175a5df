"""Finding a merchant's payments: every filter, one statement a page, the same cost at any depth.

The statement's text is put together from the constants below and nothing else; what a caller gave are its parameters.
Each filter that can leave a few out of many has an index that yields them in the list's order or that finds them all.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache

from django.db import connection

from core.db import planned_anew
from core.search import literal_prefix
from merchants.models import Merchant
from payments.resources import payment_list

Position = tuple[datetime, int]
"""``created_at`` and key of a payment: its place in the list, newest first."""

SEARCH_TEXT = (
    "public.search_text(p.clabe, p.voucher_reference, p.order_id, p.external_id, p.customer_name, p.customer_email, "
    "p.tracking_key, p.payer_name)"
)
"""Where ``q`` is looked for: as in the index ``payment_search``. The reference number is a part of the CLABE."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; None does not narrow. Amounts in centavos, ``created_before`` itself excluded."""

    status: str | None = None
    method: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    amount_from: int | None = None
    amount_to: int | None = None
    external_id: str | None = None
    external_id_prefix: str | None = None
    q: str | None = None

    def given(self) -> dict[str, object]:
        """Name and parameter of every filter that narrows."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.external_id_prefix is not None:
            found["external_id_prefix"] = literal_prefix(self.external_id_prefix)
        return {name: value for name, value in found.items() if value is not None}


CONDITIONS = {
    "status": "p.status = %s",
    "method": "p.method = %s",
    "created_from": "p.created_at >= %s",
    "created_before": "p.created_at < %s",
    "amount_from": "p.amount >= %s",
    "amount_to": "p.amount <= %s",
    "external_id": "p.external_id = %s",
    "external_id_prefix": "p.external_id LIKE %s",
    "q": f"{SEARCH_TEXT} LIKE public.search_pattern(%s)",
    "after": "(p.created_at, p.id) < (%s, %s)",
}

_BY_POSITION = {"created_from", "created_before"}
"""Filters that are served by the list's own index whatever their values are."""


def page(
    merchant: Merchant, *, livemode: bool, filters: Filters, after: Position | None, limit: int
) -> list[tuple[datetime, int, str]]:
    """Up to ``limit`` payments behind ``after``, newest first: the place of each, and its JSON as text."""
    given = filters.given()
    parameters: list[object] = [json.dumps(merchant.name, ensure_ascii=False), merchant.pk, livemode, *given.values()]
    if after is not None:
        parameters += after
    query = statement((*given, "after") if after is not None else tuple(given))
    with nullcontext() if given.keys() <= _BY_POSITION else planned_anew(), connection.cursor() as cursor:
        cursor.execute(query, [*parameters, limit])
        return cursor.fetchall()


@cache
def statement(conditions: tuple[str, ...]) -> str:
    """The statement of a page with these of ``CONDITIONS``; parameters: the merchant's name, key and mode first."""
    where = " AND ".join(["p.merchant_id = %s AND p.livemode = %s", *(CONDITIONS[name] for name in conditions)])
    return (
        f"SELECT p.created_at, p.id, {payment_list.row()} "  # noqa: S608 - constants only
        f"FROM payments_payment p, {payment_list.SOURCE} WHERE {where} "
        "ORDER BY p.created_at DESC, p.id DESC LIMIT %s"
    )
