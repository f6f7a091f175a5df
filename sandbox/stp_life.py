"""The life of an order at the simulated STP: its steps, the notices of them, and money that comes back."""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
import time
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from . import stp_rules
from .banking_days import operating_date
from .delivery import Answer, Delivery, Request
from .storage import Storage
from .stp_rules import exact
from .stp_script import Script
from .world import World

KIND = "stp_order"
POLL_SECONDS = 0.05
BATCH = 500
NOTICE_GAP = 0.05
"""Seconds between two notices of one order, so that they leave in their order."""

IN_FLIGHT = ("C", "L", "A", "E")
WORDS = {"LQ": "LIQUIDACION", "D": "DEVOLUCION", "CN": "CANCELACION"}
FOR_EVER = 10.0**12


class Lives:
    """Steps that are due are carried out in the background, also those left by an earlier process."""

    def __init__(self, storage: Storage, delivery: Delivery, world: World, *, retry_delay: float) -> None:
        self._storage = storage
        self._delivery = delivery
        self._world = world
        self._retry_delay = retry_delay
        self.tries = 3
        delivery.register(KIND, self)

    def start(self) -> None:
        """Begin to carry out steps."""
        threading.Thread(target=self._loop, name="stp-orders", daemon=True).start()

    def store(
        self,
        db: sqlite3.Connection,
        company: sqlite3.Row,
        body: dict[str, Any],
        key: str,
        day: int,
        amount: int,
        script: Script,
        now: float,
    ) -> int:
        """Take an order in; return its number."""
        number = 10_000_000 + self._world.below(2_000_000_000)
        seconds = company["pace"] if script.seconds is None else script.seconds
        kept = {name: value for name, value in body.items() if name not in ("firma", "monto")}
        row = {
            "id": number,
            "empresa": company["empresa"],
            "tracking_key": key,
            "day": day,
            "amount": amount,
            "body": json.dumps(kept, default=str),
            "script": json.dumps(asdict(script)),
            "status": "",
            "counts": script.counts,
            "hidden_until": hidden_until(script, now),
            "captured_at": now,
            "seconds": seconds,
        }
        names = ", ".join(row)
        db.execute(f"INSERT INTO stp_order ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))  # noqa: S608
        self.plan(db, number, script, now, seconds, "")
        if script.phantom:
            self.phantom(db, company["empresa"], amount, day, "", counts=False)
        return number

    def plan(
        self, db: sqlite3.Connection, number: int, script: Script, now: float, seconds: float, status: str
    ) -> None:
        """The steps still to come, of an order whose state is ``status`` ("": in flight)."""
        steps: dict[str, list[tuple[float, str]]] = {
            "settle": [(seconds, "LQ")],
            "cancel": [(seconds, "CN")],
            "return": [(seconds, "LQ"), (seconds + script.return_after, "D")],
            "return_first": [(seconds, "D"), (seconds, "late LQ")],
            "none": [],
        }
        for after, state in steps[script.final]:
            if state != status:
                cause = script.cause if state == "D" else None
                row = (number, now + after, state, cause)
                db.execute("INSERT INTO stp_order_step (order_id, due_at, status, cause) VALUES (?, ?, ?, ?)", row)

    def state(self, row: sqlite3.Row) -> str:
        """STP's code for where an order is now."""
        if row["status"]:
            return str(row["status"])
        if row["seconds"] <= 0:
            return IN_FLIGHT[-1]
        gone = (self._world.now() - row["captured_at"]) / row["seconds"]
        return IN_FLIGHT[max(0, min(int(gone * len(IN_FLIGHT)), len(IN_FLIGHT) - 1))]

    def advance(self) -> int:
        """Carry out all steps that are due; return how many."""
        done = 0
        while True:
            with self._storage.transaction() as db:
                now = self._world.now()
                query = "SELECT * FROM stp_order_step WHERE due_at <= ? ORDER BY due_at, id LIMIT ?"
                due = db.execute(query, (now, BATCH)).fetchall()
                for step in due:
                    self._take(db, step)
                    db.execute("DELETE FROM stp_order_step WHERE id = ?", (step["id"],))
            done += len(due)
            if due:
                self._delivery.wake()
            if len(due) < BATCH:
                return done

    def enqueue(self, db: sqlite3.Connection, row: sqlite3.Row, word: str, cause: Any, *, after: float) -> None:
        """Send a notice ``after`` so many seconds; call ``Delivery.wake`` after the commit."""
        body = {
            "id": row["id"],
            "empresa": row["empresa"],
            "folioOrigen": json.loads(row["body"]).get("folioOrigen") or "",
            "estado": word,
            "causaDevolucion": "" if cause is None else cause,
            "tsLiquidacion": str(int((row["settled_at"] or self._world.now()) * 1000)),
        }
        query = "INSERT INTO stp_order_notice (order_id, body, status) VALUES (?, ?, 'sent') RETURNING id"
        target = db.execute(query, (row["id"], json.dumps(body))).fetchone()[0]
        self._delivery.enqueue(db, KIND, str(target), after=after)

    def phantom(
        self, db: sqlite3.Connection, empresa: str, amount: int, day: int, tracking_key: str, *, counts: bool
    ) -> int:
        """An order that was never registered appears; return its number."""
        first_17 = "072180" + f"{self._world.below(10**11):011d}"
        body = {
            "empresa": empresa,
            "institucionContraparte": "40072",
            "institucionOperante": "90646",
            "cuentaBeneficiario": first_17 + stp_rules.check_digit(first_17),
            "nombreBeneficiario": "DESCONOCIDO",
            "cuentaOrdenante": "646180110400000007",
            "conceptoPago": "ORDEN DESCONOCIDA",
            "referenciaNumerica": 1,
        }
        number, now = 10_000_000 + self._world.below(2_000_000_000), self._world.now()
        key = tracking_key or f"FANTASMA{self._world.hex(6).upper()}"
        db.execute("INSERT OR IGNORE INTO stp_company (empresa) VALUES (?)", (empresa,))
        db.execute(
            "INSERT INTO stp_order VALUES (?, ?, ?, ?, ?, ?, ?, 'LQ', NULL, ?, 0, ?, 0, ?)",
            (number, empresa, key, day, amount, json.dumps(body), json.dumps(asdict(Script())), counts, now, now),
        )
        return number

    def prepare(self, db: sqlite3.Connection, target: str, webhook: str) -> Request | None:
        """The notice, for the company's present address; None if it has none."""
        del webhook
        row = db.execute(
            "SELECT n.body, c.orders_url FROM stp_order_notice n JOIN stp_order o ON o.id = n.order_id "
            "JOIN stp_company c USING (empresa) WHERE n.id = ?",
            (target,),
        ).fetchone()
        return Request(row["orders_url"], row["body"].encode()) if row and row["orders_url"] else None

    def settle(self, db: sqlite3.Connection, target: str, answer: Answer) -> bool:
        """HTTP 200 ends it; anything else is tried again."""
        if answer.status == 200:
            db.execute("UPDATE stp_order_notice SET status = 'received' WHERE id = ?", (target,))
        return answer.status == 200

    def delay(self, tries_done: int) -> float:
        """As for deposits: constant."""
        del tries_done
        return self._retry_delay

    def give_up(self, db: sqlite3.Connection, target: str) -> None:
        """The state is not notified any more: it can only be asked about."""
        db.execute("UPDATE stp_order_notice SET status = 'unanswered' WHERE id = ?", (target,))

    def _take(self, db: sqlite3.Connection, step: sqlite3.Row) -> None:
        row = db.execute("SELECT * FROM stp_order WHERE id = ?", (step["order_id"],)).fetchone()
        script, state = Script(**json.loads(row["script"])), str(step["status"])
        if state == "late LQ":
            self._notices(db, row, script, "LQ", None, after=2 * NOTICE_GAP)
            return
        by_transfer = state == "D" and script.returned_by in ("transfer", "both")
        if by_transfer:
            self._bring_back(db, row, script, int(step["cause"]))
        if by_transfer and script.returned_by == "transfer":
            if not row["status"]:
                db.execute(
                    "UPDATE stp_order SET status = 'LQ', settled_at = ? WHERE id = ?", (step["due_at"], row["id"])
                )
            return  # the list goes on saying that it settled
        settled_at = step["due_at"] if state == "LQ" else row["settled_at"]
        change = "UPDATE stp_order SET status = ?, cause = ?, settled_at = ? WHERE id = ?"
        db.execute(change, (state, step["cause"], settled_at, row["id"]))
        row = db.execute("SELECT * FROM stp_order WHERE id = ?", (row["id"],)).fetchone()
        self._notices(db, row, script, state, step["cause"])

    def _notices(
        self, db: sqlite3.Connection, row: sqlite3.Row, script: Script, state: str, cause: Any, after: float = 0.0
    ) -> None:
        for place in range(script.times if script.notify else 0):
            self.enqueue(db, row, WORDS[state], cause, after=after + place * NOTICE_GAP)

    def _bring_back(self, db: sqlite3.Connection, row: sqlite3.Row, script: Script, cause: int) -> None:
        """The incoming transfer of the bank that sends the money back, notified as any other."""
        sent, now = json.loads(row["body"]), self._world.now()
        key = f"DEV{self._world.hex(8).upper()}"
        notice: dict[str, Any] = {
            "id": 10_000_000 + self._world.below(2_000_000_000),
            "fechaOperacion": int(f"{operating_date(self._world.moment()):%Y%m%d}"),
            "institucionOrdenante": int(sent["institucionContraparte"]),
            "institucionBeneficiaria": 90646,
            "claveRastreo": row["tracking_key"] if script.return_key == "same" else key,
            "monto": None,
            "nombreOrdenante": sent["nombreBeneficiario"],
            "tipoCuentaOrdenante": 40,
            "cuentaOrdenante": sent["cuentaBeneficiario"],
            "rfcCurpOrdenante": "ND",
            "nombreBeneficiario": sent.get("nombreOrdenante") or row["empresa"],
            "tipoCuentaBeneficiario": 40,
            "cuentaBeneficiario": sent["cuentaOrdenante"],
            "rfcCurpBeneficiario": "ND",
            "conceptoPago": "DEVOLUCION",
            "referenciaNumerica": sent["referenciaNumerica"],
            "empresa": row["empresa"],
            "tipoPago": script.return_payment_type,
            "tsLiquidacion": str(int(now * 1000)),
            "causaDevolucion": cause,
        }
        if script.return_key == "linked":
            notice["claveRastreoDevolucion"] = row["tracking_key"]
        written = exact({**notice, "monto": Decimal(row["amount"]).scaleb(-2)})
        query = (
            "SELECT clabe_prefix FROM stp_config WHERE empresa = ? "
            "ORDER BY substr(?, 1, length(clabe_prefix)) = clabe_prefix DESC"
        )
        prefix = (db.execute(query, (row["empresa"], sent["cuentaOrdenante"])).fetchone() or [""])[0]
        values = (notice["id"], prefix, sent["cuentaOrdenante"], row["amount"], notice["claveRastreo"], written, now)
        db.execute("INSERT INTO stp_deposit VALUES (?, ?, ?, ?, ?, ?, 'sent', NULL, ?)", values)
        db.execute("INSERT INTO stp_return VALUES (?, ?)", (notice["id"], row["id"]))
        for _ in range(script.times if script.notify else 0):
            self._delivery.enqueue(db, "stp", str(notice["id"]))

    def _loop(self) -> None:
        while True:
            try:
                self.advance()
            except Exception as error:  # the loop must survive any error
                print(f"stp orders: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            time.sleep(POLL_SECONDS)


def hidden_until(script: Script, now: float) -> float:
    """Until when an order is not shown."""
    return FOR_EVER if script.hidden < 0 else now + script.hidden if script.hidden else 0.0
