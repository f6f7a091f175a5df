"""Simulator of STP's sending half: orders are registered, listed and asked about; a test decides what becomes of them.

An order goes C → L → A → E → LQ within the company's pace, on the simulators' clock; what becomes of it is its script
(``sandbox.stp_script``).
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from . import stp_rules, stp_script
from .banking_days import operating_date
from .delivery import Delivery, attempts
from .errors import Refused
from .storage import Storage
from .stp_company import Companies
from .stp_life import KIND, NOTICE_GAP, Lives, hidden_until
from .stp_rules import exact
from .stp_script import Script
from .world import World

PAGE = 1000


class Orders:
    """The sent orders of all companies."""

    def __init__(self, storage: Storage, delivery: Delivery, world: World, companies: Companies, lives: Lives) -> None:
        self._storage = storage
        self._delivery = delivery
        self._world = world
        self._companies = companies
        self._lives = lives

    def register(self, body: dict[str, Any]) -> str:
        """``PUT /speiws/rest/ordenPago/registra``: JSON text. Raises ``ConnectionAbortedError`` to give no answer."""
        now = self._world.now()
        with self._storage.transaction() as db:
            answer, script = self._registered(db, body, now)
        self._delivery.wake()
        if script.answer_after:
            time.sleep(script.answer_after)
        if script.answer in ("lose", "drop"):
            raise ConnectionAbortedError
        return exact(answer)

    def question(self, body: dict[str, Any]) -> tuple[int, str]:
        """``POST /efws/API/consultaOrden`` about one sent order: (HTTP status, JSON text)."""
        company, key, kind = body.get("empresa"), body.get("claveRastreo"), body.get("tipoOrden")
        day = body.get("fechaOperacion")
        if fault := self._companies.efws_fault(body, [company, key, kind, day]):
            return fault
        if kind != "E":
            return 400, exact({"estado": 2, "mensaje": "Solicitud invalida"})
        with self._storage.reading() as db:
            query = "SELECT * FROM stp_order WHERE empresa = ? AND tracking_key = ? AND day = ? AND hidden_until <= ?"
            row = db.execute(query, (company, key, self._companies.day(day), self._world.now())).fetchone()
            record = None if row is None else self._record(db, row)
        if record is None:
            return 400, exact({"estado": 6, "mensaje": "No se encontraron datos relacionados"})
        return 200, exact({"estado": 0, "mensaje": "Datos consultados correctamente", "respuesta": record})

    def listed(self, company: str, day: Any, page: int) -> tuple[int, str]:
        """The sent orders of a day, as ``POST /efws/API/V2/conciliacion`` lists them; the caller checked who asks."""
        with self._storage.reading() as db:
            chosen = (company, self._companies.day(day), self._world.now())
            where = "WHERE empresa = ? AND day = ? AND hidden_until <= ?"
            total = db.execute(f"SELECT count(*) FROM stp_order {where}", chosen).fetchone()[0]  # noqa: S608
            query = f"SELECT * FROM stp_order {where} ORDER BY captured_at, id LIMIT ? OFFSET ?"  # noqa: S608
            rows = db.execute(query, (*chosen, PAGE, page * PAGE)).fetchall()
            records = [self._record(db, row) for row in rows]
        if not total:
            return 400, exact({"estado": 6, "mensaje": "No se encontraron datos relacionados"})
        told = {"estado": 0, "mensaje": "Datos consultados correctamente", "datos": records, "total": total}
        return 200, exact(told)

    def write_script(self, tracking_key: str, body: dict[str, Any]) -> dict[str, Any]:
        """How the order with this key will go, once it comes."""
        script = stp_script.read(body)
        with self._storage.transaction() as db:
            db.execute("INSERT OR REPLACE INTO stp_script VALUES (?, ?)", (tracking_key, json.dumps(asdict(script))))
        return asdict(script)

    def finish(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change how an order that is here goes on from now; one that is still to come gets the script (200 too)."""
        script = stp_script.read(body)
        try:
            self.show(name)
        except Refused:
            return {"tracking_key": name, "status": None, "script": self.write_script(name, body)}
        with self._storage.transaction() as db:
            row = self._row(db, name)
            db.execute("DELETE FROM stp_order_step WHERE order_id = ?", (row["id"],))
            hidden = hidden_until(script, self._world.now()) if "hidden" in body else row["hidden_until"]
            db.execute(
                "UPDATE stp_order SET script = ?, hidden_until = ? WHERE id = ?",
                (json.dumps(asdict(script)), hidden, row["id"]),
            )
            self._lives.plan(db, int(row["id"]), script, self._world.now(), script.seconds or 0.0, str(row["status"]))
        self._lives.advance()
        return self.show(str(row["id"]))

    def notify(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send any notices of an order, in this order: ``{"states": ["LIQUIDACION", …], "cause"?}``.

        They change nothing here: they may repeat, come late, be misspelt or be forged.
        """
        states, cause = body.get("states"), body.get("cause")
        if not isinstance(states, list) or not all(isinstance(state, str) for state in states):
            raise Refused(422, "invalid_field", "states must be a list of texts", param="states")
        with self._storage.transaction() as db:
            row = self._row(db, name)
            for place, state in enumerate(states):
                self._lives.enqueue(db, row, state, cause, after=place * NOTICE_GAP)
        self._delivery.wake()
        return self.show(str(row["id"]))

    def add_phantom(self, body: dict[str, Any]) -> dict[str, Any]:
        """An order in the day's list that was never registered; it moves no money unless ``counts`` is true."""
        empresa, amount = str(body.get("empresa")), body.get("amount", 1000)
        if type(amount) is not int or amount <= 0:
            raise Refused(422, "invalid_field", "amount must be centavos above 0", param="amount")
        day = self._companies.day(body.get("operating_date"))
        with self._storage.transaction() as db:
            counts = body.get("counts") is True
            phantom = self._lives.phantom(db, empresa, amount, day, str(body.get("tracking_key") or ""), counts=counts)
        return self.show(str(phantom))

    def show(self, name: str) -> dict[str, Any]:
        """One order by its number or tracking key, with its notices and their deliveries."""
        with self._storage.reading() as db:
            return self._view(db, self._row(db, name))

    def search(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Orders of a company, newest first: ``empresa``, ``tracking_key``, ``limit`` (default 1,000)."""
        with self._storage.reading() as db:
            rows = db.execute(
                "SELECT * FROM stp_order WHERE (?1 = '' OR empresa = ?1) AND (?2 = '' OR tracking_key = ?2) "
                "ORDER BY captured_at DESC, id DESC LIMIT ?3",
                (query.get("empresa", ""), query.get("tracking_key", ""), int(query.get("limit", "1000") or 0)),
            ).fetchall()
            return {"data": [self._view(db, row) for row in rows]}

    def _registered(self, db: sqlite3.Connection, body: dict[str, Any], now: float) -> tuple[Any, Script]:
        empresa = str(body.get("empresa"))
        plain = Script()
        if not self._companies.is_signed(db, body, stp_rules.order_text(body)):
            return stp_rules.refusal(0, body), plain
        company = self._companies.row(db, empresa)
        if company["read_only"]:
            return stp_rules.refusal(-30, body), plain
        today = operating_date(self._world.moment())
        closed = frozenset(json.loads(company["closed"]))
        if fault := stp_rules.check_order(body, today=today, closed=closed):
            return fault, plain
        key, day, amount = str(body["claveRastreo"]), int(f"{today:%Y%m%d}"), stp_rules.centavos(body["monto"]) or 0
        used = "SELECT 1 FROM stp_order WHERE empresa = ? AND tracking_key = ? AND day = ?"
        if db.execute(used, (empresa, key, day)).fetchone():
            return stp_rules.refusal(-1, {**body, "fechaOperacion": day}), plain
        script = self._script(db, key, amount, company)
        if script.answer == "drop":
            return None, script
        if isinstance(script.answer, dict):
            return script.answer, script
        if isinstance(script.answer, int):
            return stp_rules.refusal(script.answer, body), script
        number = self._lives.store(db, company, body, key, day, amount, script, now)
        if script.answer == "already_used":
            return stp_rules.refusal(-1, {**body, "fechaOperacion": day}), script
        return {"resultado": {"id": number}}, script

    def _script(self, db: sqlite3.Connection, key: str, amount: int, company: sqlite3.Row) -> Script:
        row = db.execute("SELECT script FROM stp_script WHERE tracking_key = ?", (key,)).fetchone()
        if row is not None:
            script = Script(**json.loads(row["script"]))
            rest = json.dumps(asdict(script.next()))
            db.execute("UPDATE stp_script SET script = ? WHERE tracking_key = ?", (rest, key))
            return script
        drawn = stp_script.by_chance(self._world, json.loads(company["chances"]))
        return drawn or stp_script.by_centavos(amount, company["pace"])

    def _record(self, db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
        """An order as efws answers it."""
        body, script, state = json.loads(row["body"]), Script(**json.loads(row["script"])), self._lives.state(row)
        back = db.execute(
            "SELECT tracking_key FROM stp_return JOIN stp_deposit ON deposit_id = id WHERE order_id = ?", (row["id"],)
        ).fetchone()
        settled = None if row["settled_at"] is None else int(row["settled_at"] * 1000)
        day = f"{row['day']}"
        return {
            "idEF": row["id"],
            **body,
            "institucionContraparte": int(body["institucionContraparte"]),
            "institucionOperante": 90646,
            "fechaOperacion": row["day"],
            "monto": Decimal(row["amount"]).scaleb(-2),
            "estado": state,
            "causaDevolucion": row["cause"],
            "claveRastreoDevolucion": back["tracking_key"] if back and state == "D" else None,
            "nombreCep": (script.receipt_name or body["nombreBeneficiario"]) if state == "LQ" else None,
            "rfcCep": None,
            "sello": None,
            "tsCaptura": int(row["captured_at"] * 1000),
            "tsLiquidacion": settled,
            "urlCEP": f"https://www.banxico.org.mx/cep/go?i=90646&s={day}&d={row['id']}" if settled else None,
            "claveRastreo": row["tracking_key"],
        }

    @staticmethod
    def _row(db: sqlite3.Connection, name: str) -> sqlite3.Row:
        query = "SELECT * FROM stp_order WHERE tracking_key = ?1 OR id = ?2 ORDER BY tracking_key = ?1 DESC, day DESC"
        number = int(name) if name.isdecimal() and len(name) < 19 else -1
        row: sqlite3.Row | None = db.execute(query, (name, number)).fetchone()
        if row is None:
            raise Refused(404, "not_found", "no such order")
        return row

    def _view(self, db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
        notices = db.execute("SELECT * FROM stp_order_notice WHERE order_id = ? ORDER BY id", (row["id"],)).fetchall()
        names = ("id", "empresa", "tracking_key", "amount", "cause")
        back = db.execute("SELECT deposit_id FROM stp_return WHERE order_id = ?", (row["id"],)).fetchall()
        return {
            **{name: row[name] for name in names},
            "operating_date": str(row["day"]),
            "status": self._lives.state(row),
            "is_final": bool(row["status"]),
            "counts": bool(row["counts"]),
            "captured_at": datetime.fromtimestamp(row["captured_at"], UTC).isoformat(timespec="milliseconds"),
            "order": json.loads(row["body"]),
            "returns": [deposit["deposit_id"] for deposit in back],
            "notices": [
                {
                    "body": json.loads(notice["body"]),
                    "status": notice["status"],
                    "deliveries": attempts(db, KIND, str(notice["id"])),
                }
                for notice in notices
            ],
        }
