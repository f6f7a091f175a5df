"""Simulator of Conekta's cash payments: orders, webhook keys, webhooks, events (API 2.3.0), and the till.

Unlike the real Conekta, it allows webhook URLs on localhost.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from . import conekta_order, signing
from . import conekta_records as records
from .conekta_order import charge_of, hex_id, short_id
from .conekta_records import KIND
from .delivery import Answer, Delivery, Request, check_url, without_credentials
from .errors import Refused
from .storage import Storage
from .world import World

# 18 attempts, each delay 1.7 times the previous one: starting at 15 s, 48 hours in all (Conekta API 2.3.0, webhooks).
FIRST_RETRY_DELAY, GROWTH = 15.0, 1.7
MAX_WEBHOOKS = 10
# charge.paid and order.paid are sent up to a second apart, charge first (Conekta API 2.3.0, webhooks).
GAP = 0.25
EVENT_TYPES = frozenset(
    {
        "webhook_ping",
        "order.created",
        "order.paid",
        "order.expired",
        "order.canceled",
        "order.charged_back",
        "order.fraudulent",
        "order.under_fraud_review",
        "order.partially_refunded",
        "order.pending_payment",
        "order.pre_authorized",
        "order.refunded",
        "order.updated",
        "order.voided",
        "order.declined",
        "charge.created",
        "charge.paid",
        "charge.under_fraud_review",
        "charge.fraudulent",
        "charge.refunded",
        "charge.preauthorized",
        "charge.declined",
        "charge.canceled",
        "charge.reversed",
        "charge.pending_confirmation",
    }
)
ERROR_TYPES = {401: "authentication_error", 404: "resource_not_found_error", 500: "api_error"}


@dataclass(frozen=True)
class Account:
    """The account of an API key: the scope of everything that it may access."""

    id: int
    livemode: bool


def error_body(error: Refused, world: World) -> dict[str, Any]:
    """An error in Conekta's format (API 2.3.0)."""
    detail = {"code": error.code, "message": error.message, "debug_message": error.message, "param": error.param}
    kind = ERROR_TYPES.get(error.status, "parameter_validation_error")
    return {"details": [detail], "log_id": hex_id(world), "object": "error", "type": kind}


class Conekta:
    """The simulated provider, also the ``Channel`` of its webhooks."""

    def __init__(self, storage: Storage, delivery: Delivery, world: World, *, retry_delay: float | None = None) -> None:
        self._storage = storage
        self._delivery = delivery
        self._world = world
        self._first_delay = FIRST_RETRY_DELAY if retry_delay is None else retry_delay
        self.tries = 18
        delivery.register(KIND, self)

    # --- the API, as the integrator's key sees it ---

    def account(self, authorization: str) -> Account:
        """The account of ``Bearer key`` or ``Basic base64(key:)``; an unknown key opens its own, empty account."""
        scheme, _, value = authorization.partition(" ")
        key = value.strip() if scheme.lower() == "bearer" else ""
        if scheme.lower() == "basic":
            try:
                key = base64.b64decode(value.strip(), validate=True).decode().partition(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                key = ""
        if not key:
            raise Refused(401, "conekta.errors.authentication.missing_key", "an API key is required")
        livemode = key.startswith("key_live")
        # The simulator does not need the key itself, so it stores only its hash.
        digest = hashlib.sha256(key.encode()).hexdigest()
        known = "SELECT id FROM conekta_account WHERE key_hash = ?"
        with self._storage.reading() as db:
            row = db.execute(known, (digest,)).fetchone()
        if row is None:
            with self._storage.transaction() as db:
                new = "INSERT OR IGNORE INTO conekta_account (key_hash, livemode) VALUES (?, ?)"
                db.execute(new, (digest, livemode))
                row = db.execute(known, (digest,)).fetchone()
        return Account(int(row["id"]), livemode)

    def create_order(self, account: Account, body: dict[str, Any], base_url: str) -> dict[str, Any]:
        """``POST /orders``, cash only."""
        while True:
            order = conekta_order.build(self._world, body, livemode=account.livemode, base_url=base_url)
            method = charge_of(order)["payment_method"]
            row = (order["id"], account.id, method["reference"], method["expires_at"], json.dumps(order))
            insert = "INSERT INTO conekta_order (id, account_id, reference, status, expires_at, doc)"
            try:
                with self._storage.transaction() as db:
                    db.execute(insert + " VALUES (?, ?, ?, 'pending_payment', ?, ?)", row)
            except sqlite3.IntegrityError:  # the reference exists already: draw another one
                continue
            return order

    def order(self, account: Account, order_id: str) -> dict[str, Any]:
        """``GET /orders/{id}``."""
        with self._storage.reading() as db:
            return records.document(records.owned(db, "conekta_order", account.id, order_id))

    def orders(self, account: Account, query: dict[str, str], url: str) -> dict[str, Any]:
        """``GET /orders``: ``search`` matches an order id, a reference or a metadata value exactly."""
        where, values = "", []
        if term := query.get("search", ""):
            where = (
                " AND (id = ? OR reference = ? OR EXISTS "
                "(SELECT 1 FROM json_each(doc, '$.metadata') WHERE CAST(value AS TEXT) = ?))"
            )
            values = [term, term, term]
        with self._storage.reading() as db:
            rows, page = records.page(db, "conekta_order", account.id, query, url, where, values)
        return {**page, "data": [records.document(row) for row in rows]}

    def cancel_order(self, account: Account, order_id: str) -> dict[str, Any]:
        """``POST /orders/{id}/cancel``: pending ones only; emits order.canceled."""
        with self._storage.transaction() as db:
            row = records.owned(db, "conekta_order", account.id, order_id)
            if row["status"] != "pending_payment":
                message = f"the order is {row['status']}, only a pending one can be canceled"
                raise Refused(422, "conekta.errors.parameter_validation.order.not_pending", message, param="id")
            order, _ = self._close(db, row, "canceled")
        self._delivery.wake()
        return order

    def create_webhook_key(self, account: Account, body: dict[str, Any]) -> dict[str, Any]:
        """``POST /webhook_keys``: a new RSA key pair; the newest active one signs."""
        active = body.get("active", True)
        if not isinstance(active, bool):
            code = "conekta.errors.parameter_validation.active.invalid"
            raise Refused(422, code, "active must be true or false", param="active")
        private, public = signing.new_key_pair()
        key = {
            "id": hex_id(self._world),
            "object": "webhook_key",
            "active": active,
            "livemode": account.livemode,
            "public_key": public,
            "created_at": int(self._world.now()),
        }
        insert = "INSERT INTO conekta_webhook_key (account_id, active, private_key, doc) VALUES (?, ?, ?, ?)"
        with self._storage.transaction() as db:
            db.execute(insert, (account.id, active, private, json.dumps(key)))
        return key

    def create_webhook(self, account: Account, body: dict[str, Any]) -> dict[str, Any]:
        """``POST /webhooks``; an existing URL keeps its id and gets the new list of events."""
        url = check_url(body.get("url"), "url")
        events = body.get("subscribed_events", sorted(EVENT_TYPES))
        if not isinstance(events, list) or not events or not all(e in EVENT_TYPES for e in map(str, events)):
            code = "conekta.errors.parameter_validation.subscribed_events.invalid"
            raise Refused(422, code, "subscribed_events must list known event types", param="subscribed_events")
        with self._storage.transaction() as db:
            known = "SELECT id FROM conekta_webhook WHERE account_id = ?"
            same = db.execute(known + " AND url = ?", (account.id, url)).fetchone()
            if same is None and len(db.execute(known, (account.id,)).fetchall()) >= MAX_WEBHOOKS:
                code = "conekta.errors.parameter_validation.webhooks.too_many"
                raise Refused(422, code, f"an account has at most {MAX_WEBHOOKS} webhooks", param="url")
            webhook = {
                "id": same["id"] if same else hex_id(self._world),
                "object": "webhook",
                "url": url,
                "status": "listening",
                "subscribed_events": events,
                "active": True,
                "livemode": account.livemode,
            }
            upsert = "INSERT INTO conekta_webhook (id, account_id, url, doc) VALUES (?, ?, ?, ?)"
            upsert += " ON CONFLICT (id) DO UPDATE SET doc = excluded.doc"
            db.execute(upsert, (webhook["id"], account.id, url, json.dumps(webhook)))
        return webhook

    def update_webhook(self, account: Account, webhook_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """``PUT /webhooks/{id}``: change the webhook's URL."""
        url = check_url(body.get("url"), "url")
        with self._storage.transaction() as db:
            webhook = {**records.document(records.owned(db, "conekta_webhook", account.id, webhook_id)), "url": url}
            db.execute(
                "UPDATE conekta_webhook SET url = ?, doc = ? WHERE id = ?", (url, json.dumps(webhook), webhook_id)
            )
        return webhook

    def listing(self, table: str, account: Account, query: dict[str, str], url: str) -> dict[str, Any]:
        """``GET /webhook_keys``, ``GET /webhooks``, ``GET /events``."""
        with self._storage.reading() as db:
            rows, page = records.page(db, table, account.id, query, url)
            data = [records.event_view(db, row) if table == "conekta_event" else records.document(row) for row in rows]
        return {**page, "data": data}

    def event(self, account: Account, event_id: str) -> dict[str, Any]:
        """``GET /events/{id}``."""
        with self._storage.reading() as db:
            return records.event_view(db, records.owned(db, "conekta_event", account.id, event_id))

    def resend(self, account: Account, event_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """``POST /events/{id}/resend``: send the same bytes to these webhooks and wait for their responses."""
        wanted = body.get("webhooks_ids")
        with self._storage.reading() as db:
            records.owned(db, "conekta_event", account.id, event_id)
            rows = db.execute("SELECT id, url FROM conekta_webhook WHERE account_id = ?", (account.id,)).fetchall()
        urls = {str(row["id"]): without_credentials(row["url"])[0] for row in rows}
        if not isinstance(wanted, list) or not wanted or not all(isinstance(w, str) and w in urls for w in wanted):
            code = "conekta.errors.parameter_validation.webhooks_ids.invalid"
            raise Refused(422, code, "webhooks_ids must list webhooks of this account", param="webhooks_ids")
        deliveries = []
        for webhook_id in wanted:
            attempt = self._delivery.send_now(KIND, event_id, webhook_id)
            if attempt is not None:
                deliveries.append({**attempt, "url": urls[webhook_id]})
        return {"id": event_id, "object": "event_resend", "deliveries": deliveries}

    # --- control API: the till, expiry ---

    def pay(
        self,
        reference: str,
        *,
        late: bool = False,
        amount: int | None = None,
        paid_at: int | None = None,
        times: int = 1,
    ) -> dict[str, Any]:
        """A payment at the till.

        ``late`` accepts an expired or canceled reference, as stores sometimes do; ``amount`` (centavos) and ``paid_at``
        (Unix seconds) default to the order's amount and now; each event is sent ``times`` times, concurrently.
        """
        with self._storage.transaction() as db:
            row = records.by_reference(db, reference)
            expired = row["status"] == "expired" or row["expires_at"] <= self._world.now()
            if row["status"] not in ("pending_payment", "expired", *(("canceled",) if late else ())):
                raise Refused(409, "not_pending", f"the order is {row['status']}")
            if expired and not late:
                raise Refused(409, "expired", "the reference has expired")
            order, charge = records.change(db, self._world, row, "paid", amount=amount, paid_at=paid_at)
            was = {"status": row["status"], "paid_at": None}
            events = [
                self._emit(db, row, "charge.paid", charge, was, times=times),
                self._emit(db, row, "order.paid", order, {"payment_status": row["status"]}, after=GAP, times=times),
            ]
        self._delivery.wake()
        return {"order_id": row["id"], "events": events}

    def expire(self, reference: str) -> dict[str, Any]:
        """Expire a reference now."""
        with self._storage.transaction() as db:
            row = records.by_reference(db, reference)
            if row["status"] != "pending_payment":
                raise Refused(409, "not_pending", f"the order is {row['status']}")
            _, event_id = self._close(db, row, "expired")
        self._delivery.wake()
        return {"order_id": row["id"], "events": [event_id]}

    def expire_due(self) -> None:
        """Expire all pending orders that are due; called every second."""
        query = "SELECT * FROM conekta_order WHERE status = 'pending_payment' AND expires_at <= ? LIMIT 500"
        with self._storage.transaction() as db:
            rows = db.execute(query, (self._world.now(),)).fetchall()
            for row in rows:
                self._close(db, row, "expired")
        if rows:
            self._delivery.wake()

    def show(self, reference: str) -> dict[str, Any]:
        """One order with its events and their deliveries."""
        with self._storage.reading() as db:
            return records.history(db, records.by_reference(db, reference))

    def recent(self, limit: int) -> list[dict[str, Any]]:
        """Recent orders, newest first, for the HTML page."""
        with self._storage.reading() as db:
            rows = db.execute("SELECT * FROM conekta_order ORDER BY seq DESC LIMIT ?", (limit,)).fetchall()
            return [records.history(db, row) for row in rows]

    # --- delivery.Channel ---

    def prepare(self, db: sqlite3.Connection, target: str, webhook: str) -> Request | None:
        """The stored body, unchanged, signed with the newest active key; without a key there is no DIGEST."""
        query = "SELECT e.body, w.url, e.account_id FROM conekta_event e, conekta_webhook w WHERE e.id = ? AND w.id = ?"
        row = db.execute(query, (target, webhook)).fetchone()
        if row is None:
            return None
        query = "SELECT private_key FROM conekta_webhook_key WHERE account_id = ? AND active ORDER BY seq DESC"
        key = db.execute(query, (row["account_id"],)).fetchone()
        body = row["body"].encode()
        return Request(row["url"], body, {"DIGEST": signing.digest(key["private_key"], body)} if key else {})

    def settle(self, db: sqlite3.Connection, target: str, answer: Answer) -> bool:
        """True for any 2xx."""
        del db, target
        return answer.status is not None and 200 <= answer.status < 300

    def delay(self, tries_done: int) -> float:
        """Exponential backoff."""
        return float(self._first_delay * GROWTH ** (tries_done - 1))

    def give_up(self, db: sqlite3.Connection, target: str) -> None:
        """Do nothing: the event stays available in ``GET /events`` and can be resent."""

    def _close(self, db: sqlite3.Connection, row: sqlite3.Row, status: str) -> tuple[dict[str, Any], str]:
        order, _ = records.change(db, self._world, row, status)
        return order, self._emit(db, row, f"order.{status}", order, {"payment_status": row["status"]})

    def _emit(
        self,
        db: sqlite3.Connection,
        row: sqlite3.Row,
        kind: str,
        content: dict[str, Any],
        previous: dict[str, Any],
        *,
        after: float = 0.0,
        times: int = 1,
    ) -> str:
        """Store the event with its final bytes and enqueue it for each currently subscribed webhook."""
        query = "SELECT id, url, doc FROM conekta_webhook WHERE account_id = ? ORDER BY seq"
        hooks = db.execute(query, (row["account_id"],)).fetchall()
        hooks = [hook for hook in hooks if kind in json.loads(hook["doc"])["subscribed_events"]]
        log = {"failed_attempts": 0, "last_http_response_status": 0, "object": "webhook_log", "last_attempted_at": 0}
        event = {
            "data": {"object": content, "previous_attributes": previous},
            "livemode": content["livemode"],
            "webhook_status": "pending",
            "webhook_logs": [
                {"id": short_id(self._world, "webhl"), "url": without_credentials(h["url"])[0], **log} for h in hooks
            ],
            "id": hex_id(self._world),
            "object": "event",
            "type": kind,
            "created_at": int(self._world.now()),
        }
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        insert = "INSERT INTO conekta_event (id, account_id, order_id, type, body) VALUES (?, ?, ?, ?, ?)"
        db.execute(insert, (event["id"], row["account_id"], row["id"], kind, body))
        for hook in hooks * times:
            self._delivery.enqueue(db, KIND, str(event["id"]), hook["id"], after=after)
        return str(event["id"])
