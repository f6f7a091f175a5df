"""A company (empresa) at the simulated STP: its settings, who may ask for it, and what lies on its account."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from . import signing, stp_rules, stp_script
from .banking_days import operating_date
from .delivery import check_url
from .errors import Refused
from .storage import Storage
from .stp_rules import exact
from .world import World


class Companies:
    """The companies by their names. A request is authenticated by its signature alone, with a public key."""

    def __init__(self, storage: Storage, world: World) -> None:
        self._storage = storage
        self._world = world

    def configure(self, db: sqlite3.Connection, empresa: str, body: dict[str, Any]) -> None:
        """Set what is given: ``orders_url, opening_balance, pace, efws_per_hour, read_only, closed, chances``."""
        db.execute("INSERT OR IGNORE INTO stp_company (empresa) VALUES (?)", (empresa,))
        for name, value in _settings(body).items():
            db.execute(f"UPDATE stp_company SET {name} = ? WHERE empresa = ?", (value, empresa))  # noqa: S608 - known names

    @staticmethod
    def row(db: sqlite3.Connection, empresa: str) -> sqlite3.Row:
        """The settings of a company, which may have none of its own."""
        db.execute("INSERT OR IGNORE INTO stp_company (empresa) VALUES (?)", (empresa,))
        found: sqlite3.Row = db.execute("SELECT * FROM stp_company WHERE empresa = ?", (empresa,)).fetchone()
        return found

    @staticmethod
    def is_signed(db: sqlite3.Connection, body: Mapping[str, Any], text: bytes) -> bool:
        """True if the company named in ``body`` signed ``text``."""
        row = db.execute("SELECT public_key FROM stp_key WHERE empresa = ?", (body.get("empresa"),)).fetchone()
        return row is not None and signing.is_signed(row["public_key"], str(body.get("firma", "")), text)

    def day(self, written: Any) -> int:
        """An operating date as STP writes it: 20261123; without one the present day."""
        text = str(written or "")
        return int(text) if text.isdecimal() else int(f"{operating_date(self._world.moment()):%Y%m%d}")

    def efws_fault(self, body: Mapping[str, Any], signed: list[Any]) -> tuple[int, str] | None:
        """What efws answers to a question that is not signed, or is one too many in this hour; None if it may go on."""
        with self._storage.transaction() as db:
            if not self.is_signed(db, body, stp_rules.signed_text(signed)):
                return 400, exact({"estado": 2, "mensaje": "Firma invalida Firma Invalida"})
            company = str(body.get("empresa"))
            row = db.execute("SELECT efws_per_hour FROM stp_company WHERE empresa = ?", (company,)).fetchone()
            asked = db.execute(
                "INSERT INTO stp_question VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET asked = asked + 1 RETURNING asked",
                (company, int(self._world.now() // 3600)),
            ).fetchone()[0]
        if row is not None and row["efws_per_hour"] and asked > row["efws_per_hour"]:
            return 400, exact({"estado": 3, "mensaje": "Se excedio el limite de consultas"})
        day = body.get("fechaOperacion")
        if day and str(day) > f"{operating_date(self._world.moment()):%Y%m%d}":
            return 400, exact({"estado": 8, "mensaje": "La fecha de operacion es futura"})
        return None

    def balance(self, empresa: str) -> dict[str, int]:
        """What lies at STP for a company, in centavos: ``balance``, ``pending`` for orders in flight, ``spendable``.

        Opening balance + incoming transfers that were kept − settled orders. An order that came back weighs nothing;
        if a transfer brought the money, that transfer's amount counts instead.
        """
        query = """
            SELECT
                coalesce((SELECT opening_balance FROM stp_company WHERE empresa = :empresa), 0)
                + coalesce((SELECT sum(amount) FROM stp_deposit
                            WHERE json_extract(notice, '$.empresa') = :empresa AND status <> 'returned'), 0)
                - coalesce((SELECT sum(amount) FROM stp_order o WHERE empresa = :empresa AND counts AND (status = 'LQ'
                            OR EXISTS (SELECT 1 FROM stp_return r WHERE r.order_id = o.id))), 0),
                coalesce((SELECT sum(amount) FROM stp_order
                          WHERE empresa = :empresa AND counts AND status = ''), 0)"""
        with self._storage.reading() as db:
            balance, pending = db.execute(query, {"empresa": empresa}).fetchone()
        return {"balance": balance, "pending": pending, "spendable": balance - pending}

    def account_balance(self, body: dict[str, Any]) -> tuple[int, str]:
        """``POST /efws/API/consultaSaldoCuenta``: (HTTP status, JSON text)."""
        company, account = body.get("empresa"), body.get("cuentaOrdenante")
        if fault := self.efws_fault(body, [company, account, body.get("fecha")]):
            return fault
        figures = self.balance(str(company))
        told = {
            "cuentaOrdenante": account,
            "saldo": Decimal(figures["balance"]).scaleb(-2),
            "cargosPendientes": Decimal(figures["pending"]).scaleb(-2),
        }
        return 200, exact({"estado": 0, "mensaje": "Datos consultados correctamente", "respuesta": told})


def _settings(body: dict[str, Any]) -> dict[str, Any]:
    """The columns of ``stp_company`` that a configuration sets."""
    told: dict[str, Any] = {}
    if "orders_url" in body:
        told["orders_url"] = check_url(body["orders_url"], "orders_url")
    for name, least, most in (("opening_balance", -(10**15), 10**15), ("pace", 0, 86_400), ("efws_per_hour", 0, 10**6)):
        value = body.get(name)
        if value is None:
            continue
        is_number = isinstance(value, int) or (name == "pace" and isinstance(value, float))
        if isinstance(value, bool) or not is_number or not least <= value <= most:
            raise Refused(422, "invalid_field", f"{name} must be a number from {least} to {most}", param=name)
        told[name] = value
    if "read_only" in body:
        told["read_only"] = body["read_only"] is True
    if "closed" in body:
        banks = body["closed"]
        if not isinstance(banks, list) or not all(type(bank) is int for bank in banks):
            raise Refused(422, "invalid_field", "closed must be a list of institutions, such as 40072", param="closed")
        told["closed"] = json.dumps(banks)
    if "chances" in body:
        told["chances"] = json.dumps(stp_script.read_chances(body["chances"]))
    return told
