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
from typing import Any

from psycopg.types.numeric import Int8

from core.db import planned_anew
from core.search import literal_prefix
from core.writes import fetch
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
    "status": "p.status = ?",
    "method": "p.method = ?",
    "created_from": "p.created_at >= ?",
    "created_before": "p.created_at < ?",
    "amount_from": "p.amount >= ?",
    "amount_to": "p.amount <= ?",
    "external_id": "p.external_id = ?",
    "external_id_prefix": "p.external_id LIKE ?",
    "q": f"{SEARCH_TEXT} LIKE public.search_pattern(?)",
    "after": "(p.created_at, p.id) < (?, ?)",
}

_BY_POSITION = {"created_from", "created_before"}
"""Filters that are served by the list's own index whatever their values are."""


def page(
    merchant: Merchant, *, livemode: bool, filters: Filters, after: Position | None, limit: int
) -> list[tuple[Any, ...]]:
    """Up to ``limit`` payments behind ``after``, newest first.

    Of each its ``created_at`` in microseconds since 1970 (cheaper to read than a moment), its key, its JSON as text.
    """
    given = filters.given()
    parameters: list[object] = [json.dumps(merchant.name, ensure_ascii=False), Int8(merchant.pk), livemode]
    parameters += [Int8(value) if isinstance(value, int) else value for value in given.values()]
    if after is not None:
        parameters += [after[0], Int8(after[1])]
    query = statement((*given, "after") if after is not None else tuple(given))
    with nullcontext() if given.keys() <= _BY_POSITION else planned_anew():
        return fetch(query, [*parameters, limit])


@cache
def statement(conditions: tuple[str, ...]) -> str:
    """The statement of a page with these of ``CONDITIONS``.

    Parameters: the merchant's name as JSON, its key, the mode, those of the conditions, how many rows.
    """
    where = " AND ".join(["p.merchant_id = ? AND p.livemode = ?", *(CONDITIONS[name] for name in conditions)])
    pieces = f"{where} ORDER BY p.created_at DESC NULLS LAST, p.id DESC LIMIT ?".split("?")
    numbered = pieces[0] + "".join(f"${number}{piece}" for number, piece in enumerate(pieces[1:], start=2))
    return (
        f"SELECT (extract(epoch FROM p.created_at) * 1000000)::bigint, p.id, {payment_list.row()} "  # noqa: S608 - constants only
        f"FROM payments_payment p, {payment_list.SOURCE} WHERE {numbered}"
    )
