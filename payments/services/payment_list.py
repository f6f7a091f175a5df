"""The list of a merchant's payments with filters: one statement per page, with the same cost at any depth.

The SQL consists of the constants below only; values of the caller are parameters. Each selective filter has an index
that yields rows in the order of the list or finds all of them.
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

from core.errors import SearchTooBroad
from core.search import LIKE, literal_prefix, spellings
from core.writes import fetch
from merchants.models import Merchant
from payments.resources import payment_list

Position = tuple[datetime, int]
"""``created_at`` and key of a payment: its position in the list, newest first."""

SEARCH_TEXT = (
    "public.search_text(p.clabe, p.voucher_reference, p.order_id, p.external_id, p.customer_name, p.customer_email, "
    "p.tracking_key, p.payer_name)"
)
"""The searched text, equal to that of the index ``payment_search``. The reference number is part of the CLABE."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters of a list; None: no filter. Amounts in centavos; ``created_before`` is exclusive."""

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
        """Names and parameters of the given filters."""
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
"""Filters for which a generic (prepared) plan is optimal."""

MAX_LIMIT = 100
"""Maximum page size."""

FEW = 200
"""Up to this number of payments with one prefix are read and sorted instead of scanning the list."""

MAX_EXTERNAL_ID = 100
"""Maximum length of an external id."""

SEPARATOR = ",\n"
"""Separator of payments: JSON of PostgreSQL contains no line break, so that the last payment can be cut off."""

_KINDS = ("bigint", "boolean", "text", "text")

_LAST = "\U0010ffff"
"""The last character in sort order."""


@dataclass(frozen=True, slots=True)
class Page:
    """``data`` is the comma-separated JSON of the payments; ``last`` the position of the last one if more follow.

    The position is ``created_at`` in microseconds since 1970, and the key.
    """

    data: str
    last: tuple[int, int] | None


def page(merchant: Merchant, *, livemode: bool, filters: Filters, after: Position | None, limit: int) -> Page:
    """Up to ``limit`` payments after the position ``after``, newest first; at most ``MAX_LIMIT``.

    Raises ``SearchTooBroad`` if the search exceeds the statement timeout.
    """
    given = filters.given()
    parameters: list[object] = [json.dumps(merchant.name, ensure_ascii=False), Int8(merchant.pk), livemode]
    wanted = Int8(limit + 1)  # one more, to know whether another page follows
    if after is None and given.keys() == {"external_id_prefix"}:
        query, begins = statement_of_few(), str(filters.external_id_prefix)
        found = fetch(query, [*parameters, begins, begins + _LAST * MAX_EXTERNAL_ID, wanted])[0]
        if found[0] is not None:
            return _page(found, limit)
    parameters += [Int8(value) if isinstance(value, int) else value for values in given.values() for value in values]
    if after is not None:
        parameters += [after[0], Int8(after[1])]
    query = statement((*given, "after") if after is not None else tuple(given))
    is_prepared = given.keys() <= _PREPARED
    try:
        return _page(fetch(query, [*parameters, wanted], prepare=is_prepared)[0], limit)
    except OperationalError as error:
        if not is_prepared and isinstance(error.__cause__, QueryCanceled):
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

    Parameters: the merchant's name as JSON, its key, the mode, those of the conditions, the number of rows.
    """
    where = " AND ".join(["p.merchant_id = ? AND p.livemode = ?", *(CONDITIONS[name] for name in conditions)])
    pieces = where.split("?")
    numbered = pieces[0] + "".join(f"${number}{piece}" for number, piece in enumerate(pieces[1:], start=2))
    return _statement(f"payments_payment p, {payment_list.SOURCE} WHERE {numbered}", len(pieces) + 1)


@cache
def statement_of_few() -> str:
    """The first page of the payments with a prefix, if there are at most ``FEW``; else no row.

    The plan is the same for every prefix: a range of the index of external ids, counted up to the limit, read and
    sorted. LIKE would need a custom plan per prefix, which costs more than the page; subqueries hide the values from
    the planner. Parameters: the merchant's name as JSON, its key, the mode, the prefix, the end of the range, the
    number of rows.
    """
    merchant, mode, begin, end = (f"(SELECT ${number}::{kind})" for number, kind in enumerate(_KINDS, start=2))
    having_it = (
        f"payments_payment p WHERE p.merchant_id = {merchant} AND p.livemode = {mode} "
        f"AND p.external_id ~>=~ {begin} AND p.external_id ~<~ {end}"
    )
    # In the order of the index, so that the scan stops at the limit.
    counted = f"SELECT FROM {having_it} ORDER BY p.external_id USING ~<~ LIMIT {FEW + 1}"
    few = f"(SELECT count(*) FROM ({counted}) counted) <= {FEW}"  # noqa: S608
    source = having_it.replace("WHERE", f", {payment_list.SOURCE} WHERE {few} AND")
    return _statement(source, 6)


def _statement(source: str, wanted: int) -> str:
    """One row: the JSON of the rows of ``source``, their number, and the position of the last but one.

    Parameter ``wanted`` is the maximum number of rows, including one after the page. A single text arrives in one
    piece, while rows would arrive in several, each of which wakes up the process.

    For a LIMIT that is a parameter, PostgreSQL assumes a tenth of all rows, rejects the generic plan as too expensive
    and plans each page anew, at half of the page's cost. The literal inner LIMIT avoids that.
    """
    last = f"[${wanted} - 1]"
    return (
        f"SELECT string_agg(body, '{SEPARATOR}'), count(*), "  # noqa: S608 - constants only
        f"(extract(epoch FROM (array_agg(created_at)){last}) * 1000000)::bigint, (array_agg(id)){last} "
        f"FROM (SELECT * FROM (SELECT p.created_at, p.id, {payment_list.row()} AS body FROM {source} "
        f"ORDER BY p.created_at DESC NULLS LAST, p.id DESC LIMIT {MAX_LIMIT + 1}) page LIMIT ${wanted}) page"
    )
