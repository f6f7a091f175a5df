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

_PREPARED = {"created_from", "created_before", "external_id"}
"""Filters whose index is the best way whatever their values are."""

MOST = 101
"""Rows of the longest page, and the one that says whether there are more."""

FEW = 200
"""Payments with one prefix that are read and sorted rather than met on the way through the list."""

MAX_EXTERNAL_ID = 100
"""Characters of a merchant's own id, at most."""

_KINDS = ("bigint", "boolean", "text", "text")

_LAST = "\U0010ffff"
"""No character sorts behind it."""


def page(
    merchant: Merchant, *, livemode: bool, filters: Filters, after: Position | None, limit: int
) -> list[tuple[Any, ...]]:
    """Up to ``limit`` payments behind ``after``, newest first; at most ``MOST``.

    Of each its ``created_at`` in microseconds since 1970 (cheaper to read than a moment), its key, its JSON as text.
    """
    given = filters.given()
    parameters: list[object] = [json.dumps(merchant.name, ensure_ascii=False), Int8(merchant.pk), livemode]
    if after is None and given.keys() == {"external_id_prefix"}:
        query, begins = statement_of_few(), str(filters.external_id_prefix)
        found = fetch(query, [*parameters, begins, begins + _LAST * MAX_EXTERNAL_ID, Int8(limit)])
        if found:
            return found
    parameters += [Int8(value) if isinstance(value, int) else value for value in given.values()]
    if after is not None:
        parameters += [after[0], Int8(after[1])]
    query = statement((*given, "after") if after is not None else tuple(given))
    with nullcontext() if given.keys() <= _PREPARED else planned_anew():
        return fetch(query, [*parameters, Int8(limit)])


@cache
def statement(conditions: tuple[str, ...]) -> str:
    """The statement of a page with these of ``CONDITIONS``.

    Parameters: the merchant's name as JSON, its key, the mode, those of the conditions, how many rows.
    """
    where = " AND ".join(["p.merchant_id = ? AND p.livemode = ?", *(CONDITIONS[name] for name in conditions)])
    pieces = where.split("?")
    numbered = pieces[0] + "".join(f"${number}{piece}" for number, piece in enumerate(pieces[1:], start=2))
    return _page(f"payments_payment p, {payment_list.SOURCE} WHERE {numbered}", len(pieces) + 1)


@cache
def statement_of_few() -> str:
    """The first page of the payments with a prefix, if they are not more than ``FEW``; else nothing.

    One plan for every prefix: a range of the index of external ids, counted up to the limit, read, and sorted. LIKE
    would have to be planned for each, which costs more than the page; so would this, if PostgreSQL saw the values.
    Parameters: the merchant's name as JSON, its key, the mode, the prefix, the end of the range, how many rows.
    """
    merchant, mode, begin, end = (f"(SELECT ${number}::{kind})" for number, kind in enumerate(_KINDS, start=2))
    having_it = (
        f"payments_payment p WHERE p.merchant_id = {merchant} AND p.livemode = {mode} "
        f"AND p.external_id ~>=~ {begin} AND p.external_id ~<~ {end}"
    )
    # In the index's own order, so that no more of it is read than is counted.
    counted = f"SELECT FROM {having_it} ORDER BY p.external_id USING ~<~ LIMIT {FEW + 1}"
    few = f"(SELECT count(*) FROM ({counted}) counted) <= {FEW}"  # noqa: S608
    source = having_it.replace("WHERE", f", {payment_list.SOURCE} WHERE {few} AND")
    return _page(source, 6)


def _page(source: str, limit: int) -> str:
    """A page from ``source``; the number of rows is parameter ``limit``.

    Not knowing how many rows are wanted, PostgreSQL takes a tenth of all for granted, finds a prepared plan too dear,
    and plans each page anew, for half as much again as the page costs. It does know the literal of the inner LIMIT.
    """
    return (
        f"SELECT * FROM (SELECT (extract(epoch FROM p.created_at) * 1000000)::bigint, p.id, {payment_list.row()} "  # noqa: S608 - constants only
        f"FROM {source} ORDER BY p.created_at DESC NULLS LAST, p.id DESC LIMIT {MOST}) page LIMIT ${limit}"
    )
