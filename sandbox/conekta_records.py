"""Database access of the Conekta simulator; every read by a client is limited to its account."""

from __future__ import annotations

import json
import sqlite3
from typing import Any
from urllib.parse import urlencode

from . import conekta_order
from .delivery import attempts
from .errors import Refused
from .world import World

KIND = "conekta"


def document(row: sqlite3.Row) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(row["doc"])
    return document


def owned(db: sqlite3.Connection, table: str, account_id: int, object_id: str) -> sqlite3.Row:
    query = f"SELECT * FROM {table} WHERE id = ? AND account_id = ?"
    row: sqlite3.Row | None = db.execute(query, (object_id, account_id)).fetchone()
    if row is None:
        raise Refused(404, "conekta.errors.resource_not_found.entity", "the resource was not found", param="id")
    return row


def by_reference(db: sqlite3.Connection, reference: str) -> sqlite3.Row:
    row: sqlite3.Row | None = db.execute("SELECT * FROM conekta_order WHERE reference = ?", (reference,)).fetchone()
    if row is None:
        raise Refused(404, "not_found", "no such reference")
    return row


def change(
    db: sqlite3.Connection,
    world: World,
    row: sqlite3.Row,
    status: str,
    *,
    amount: int | None = None,
    paid_at: int | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    order = document(row)
    conekta_order.mark(world, order, status)
    charge = conekta_order.charge_of(order)
    if amount is not None:
        order["amount"] = charge["amount"] = amount
    if paid_at is not None:
        charge["paid_at"] = paid_at
    db.execute("UPDATE conekta_order SET status = ?, doc = ? WHERE id = ?", (status, json.dumps(order), row["id"]))
    return order, charge


def event_view(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """The event as it was sent, with ``webhook_status`` updated from its deliveries."""
    event: dict[str, Any] = json.loads(row["body"])
    statuses = [attempt["status"] or 0 for attempt in attempts(db, KIND, row["id"])]
    if statuses:
        event["webhook_status"] = "successful" if any(200 <= s < 300 for s in statuses) else "failing"
    return event


def history(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    query = "SELECT id, type, body FROM conekta_event WHERE order_id = ? ORDER BY seq"
    events = [
        {
            "id": event["id"],
            "type": event["type"],
            "created_at": json.loads(event["body"])["created_at"],
            "deliveries": attempts(db, KIND, event["id"]),
        }
        for event in db.execute(query, (row["id"],)).fetchall()
    ]
    return {"order": document(row), "events": events}


def page(
    db: sqlite3.Connection,
    table: str,
    account_id: int,
    query: dict[str, str],
    url: str,
    where: str = "",
    values: list[str] | None = None,
) -> tuple[list[sqlite3.Row], dict[str, Any]]:
    """One page of rows, newest first, and its metadata.

    ``limit`` is 1 to 250, default 20; ``next`` is the cursor from ``next_page_url``.
    """
    limit, cursor = query.get("limit", "20"), query.get("next", "")
    if not (limit.isdecimal() and limit.isascii() and len(limit) < 4 and 1 <= int(limit) <= 250):
        code = "conekta.errors.parameter_validation.limit.invalid"
        raise Refused(422, code, "limit must be from 1 to 250", param="limit")
    if cursor and not (cursor.isdecimal() and cursor.isascii() and len(cursor) < 18):
        raise Refused(422, "conekta.errors.parameter_validation.next.invalid", "unknown cursor", param="next")
    select = f"FROM {table} WHERE account_id = ?{where}"
    bound: list[Any] = [account_id, *(values or [])]
    total = db.execute(f"SELECT count(*) {select}", bound).fetchone()[0]
    if cursor:
        select, bound = select + " AND seq < ?", [*bound, int(cursor)]
    rows = db.execute(f"SELECT * {select} ORDER BY seq DESC LIMIT ?", [*bound, int(limit) + 1]).fetchall()
    more = len(rows) > int(limit)
    rows = rows[: int(limit)]
    following = f"{url}?limit={limit}&next={rows[-1]['seq']}" if more else None
    if following and query.get("search"):
        following += "&" + urlencode({"search": query["search"]})
    page = {"object": "list", "has_more": more, "total": total}
    return rows, {**page, "next_page_url": following, "previous_page_url": None}
