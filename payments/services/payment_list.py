"""Finding a merchant's payments: every filter, one statement a page, the same cost at any depth.

The statement's text is put together from the constants below and nothing else; what a caller gave are its parameters.
Each filter that can leave a few out of many has an index that yields them in the list's order or that finds them all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any

from django.db import OperationalError
from psycopg.errors import QueryCanceled
from psycopg.types.numeric import Int8

from core.db import custom_plans
from core.errors import SearchTooBroad
from core.search import LIKE, literal_prefix, spellings
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

    def given(self) -> dict[str, list[object]]:
        """The condition and parameters of every filter that narrows."""
        found: dict[str, list[object]] = {}
        for name in _NAMES:
            value = getattr(self, name)
            if value is None:
                continue
            if name == "q" and len(terms := spellings(value)) > 1:
                found["q_joined"] = [*terms]
            else:
                found[name] = [literal_prefix(value) if name == "external_id_prefix" else value]
        return found


_NAMES = tuple(field.name for field in fields(Filters))

CONDITIONS = {
    "status": "p.status = ?",
    "method": "p.method = ?",
    "created_from": "p.created_at >= ?",
    "created_before": "p.created_at < ?",
    "amount_from": "p.amount >= ?",
    "amount_to": "p.amount <= ?",
    "external_id": "p.external_id = ?",
    "external_id_prefix": "p.external_id LIKE ?",
    "q": f"{SEARCH_TEXT} {LIKE[1]}",
    "q_joined": f"{SEARCH_TEXT} {LIKE[2]}",
    "after": "(p.created_at, p.id) < (?, ?)",
}

_PREPARED = {"created_from", "created_before", "external_id"}
"""Filters whose index is the best way whatever their values are."""

MAX_LIMIT = 100
"""Payments on the longest page."""

FEW = 200
"""Payments with one prefix that are read and sorted rather than met on the way through the list."""

MAX_EXTERNAL_ID = 100
"""Characters of a merchant's own id, at most."""

SEPARATOR = ",\n"
"""Between two payments: no JSON by PostgreSQL holds a line's end, so the last one is easily taken off."""

_KINDS = ("bigint", "boolean", "text", "text")

_LAST = "\U0010ffff"
"""No character sorts behind it."""


@dataclass(frozen=True, slots=True)
class Page:
    """``data`` is the JSON of the payments with a comma between two; ``last`` the place of the last one if more follow.

    The place is ``created_at`` in microseconds since 1970, and the key.
    """

    data: str
    last: tuple[int, int] | None


def page(merchant: Merchant, *, livemode: bool, filters: Filters, after: Position | None, limit: int) -> Page:
    """Up to ``limit`` payments behind ``after``, newest first; at most ``MAX_LIMIT``.

    Raises ``SearchTooBroad`` if the filters leave so much to look through that the database stops.
    """
    given = filters.given()
    parameters: list[object] = [json.dumps(merchant.name, ensure_ascii=False), Int8(merchant.pk), livemode]
    wanted = Int8(limit + 1)  # one more, to know whether there are more
    if after is None and given.keys() == {"external_id_prefix"}:
        query, begins = statement_of_few(), str(filters.external_id_prefix)
        found = fetch(query, [*parameters, begins, begins + _LAST * MAX_EXTERNAL_ID, wanted])[0]
        if found[0] is not None:
            return _page(found, limit)
    parameters += [Int8(value) if isinstance(value, int) else value for values in given.values() for value in values]
    if after is not None:
        parameters += [after[0], Int8(after[1])]
    query = statement((*given, "after") if after is not None else tuple(given))
    if given.keys() <= _PREPARED:
        return _page(fetch(query, [*parameters, wanted])[0], limit)
    try:
        with custom_plans():
            return _page(fetch(query, [*parameters, wanted])[0], limit)
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise SearchTooBroad from error
        raise


def _page(found: tuple[Any, ...], limit: int) -> Page:
    data, count, moment, key = found
    if count <= limit:
        return Page(data or "", None)
    return Page(data[: data.rindex(SEPARATOR)], (moment, key))


@cache
def statement(conditions: tuple[str, ...]) -> str:
    """The statement of a page with these of ``CONDITIONS``.

    Parameters: the merchant's name as JSON, its key, the mode, those of the conditions, how many rows.
    """
    where = " AND ".join(["p.merchant_id = ? AND p.livemode = ?", *(CONDITIONS[name] for name in conditions)])
    pieces = where.split("?")
    numbered = pieces[0] + "".join(f"${number}{piece}" for number, piece in enumerate(pieces[1:], start=2))
    return _statement(f"payments_payment p, {payment_list.SOURCE} WHERE {numbered}", len(pieces) + 1)


@cache
def statement_of_few() -> str:
    """The first page of the payments with a prefix, if they are not more than ``FEW``; else an empty one.

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
    return _statement(source, 6)


def _statement(source: str, wanted: int) -> str:
    """One row: the JSON of the rows of ``source``, how many they are, and the place of the last but one.

    Parameter ``wanted`` says how many there may be, the one beyond the page included. One text comes from PostgreSQL in
    one go; the rows would come a few at a time, each time waking us up.

    Not knowing how many rows are wanted, PostgreSQL takes a tenth of all for granted, finds a prepared plan too dear,
    and plans each page anew, for half as much again as the page costs. It does know the literal of the inner LIMIT.
    """
    last = f"[${wanted} - 1]"
    return (
        f"SELECT string_agg(body, '{SEPARATOR}'), count(*), "  # noqa: S608 - constants only
        f"(extract(epoch FROM (array_agg(created_at)){last}) * 1000000)::bigint, (array_agg(id)){last} "
        f"FROM (SELECT * FROM (SELECT p.created_at, p.id, {payment_list.row()} AS body FROM {source} "
        f"ORDER BY p.created_at DESC NULLS LAST, p.id DESC LIMIT {MAX_LIMIT + 1}) page LIMIT ${wanted}) page"
    )
