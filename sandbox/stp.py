"""Simulator of STP: its incoming side. A bank customer sends SPEI to a CLABE, and STP notifies the account's holder.

Source of the wire format (the abono notice sendAbono and its answers, CLABEs, the operating day): publications of STP's
integrators.
"""

from __future__ import annotations

import json
import re
import sqlite3
from datetime import datetime
from decimal import Decimal
from typing import Any

from .banking_days import operating_date
from .delivery import Answer, Attempt, Delivery, Request, attempts, check_url
from .errors import Refused
from .storage import Storage
from .stp_account import Accounts
from .stp_company import Companies
from .stp_life import Lives
from .stp_orders import Orders
from .stp_rules import check_digit, exact, is_clabe
from .world import World

KIND = "stp"
STP_INSTITUTION = 90646
MAX_AMOUNT = 10**14
RETRY_DELAY = 30.0
CONCILIATION_PAGE = 1000
LISTED = """claveRastreo conceptoPago cuentaBeneficiario cuentaOrdenante empresa fechaOperacion monto nombreBeneficiario
    nombreOrdenante rfcCurpBeneficiario rfcCurpOrdenante referenciaNumerica tipoCuentaBeneficiario tipoCuentaOrdenante
    tipoPago""".split()
PAYER_BANKS = ("002", "012", "014", "021", "072", "638", "722")
PAYER_NAMES = ("JUAN PEREZ LOPEZ", "MARIA GUADALUPE HERNANDEZ", "JOSE LUIS RAMIREZ CRUZ", "ANA SOFIA TORRES MEDINA")
DEPOSIT_FIELDS = frozenset(
    {
        "clabe",
        "amount",
        "payer_name",
        "payer_clabe",
        "payer_institution",
        "concept",
        "reference_number",
        "tracking_key",
        "operating_date",
        "settled_at",
        "times",
    }
)


def institution_of(clabe: str) -> int:
    """SPEI code of the bank with the first three digits: its class of participant, then these digits."""
    bank = int(clabe[:3])
    if bank == 1:
        return 2001
    if bank in (6, 9, 19, 135, 166, 168):
        return 37000 + bank
    return (90000 if bank >= 600 else 40000) + bank


def pesos(centavos: int) -> str:
    """``125050`` -> ``1250.50``, without floats."""
    return f"{Decimal(centavos).scaleb(-2):.2f}"


def encode(notice: dict[str, Any], amount: int) -> str:
    """The notice as JSON text; ``monto`` is a number with exactly two decimals, which a float cannot guarantee."""
    members = (f'"{key}":{pesos(amount) if key == "monto" else json.dumps(value)}' for key, value in notice.items())
    return "{" + ",".join(members) + "}"


class Stp:
    """The simulated institution: configured participants, transfers and their notices."""

    def __init__(self, storage: Storage, delivery: Delivery, world: World, *, retry_delay: float | None = None) -> None:
        self._storage = storage
        self._delivery = delivery
        self._world = world
        self._retry_delay = RETRY_DELAY if retry_delay is None else retry_delay
        self.tries = 3
        self.companies = Companies(storage, world)
        self.accounts = Accounts(storage, self.companies)
        self.lives = Lives(storage, delivery, world, retry_delay=self._retry_delay)
        self.orders = Orders(storage, delivery, world, self.companies, self.lives)
        delivery.register(KIND, self)

    def configure(self, body: dict[str, Any]) -> dict[str, Any]:
        """Set the notification URL of a CLABE prefix, and what is given of the company's settings.

        The response does not contain the credentials. Only test accounts may be simulated.
        """
        if body.get("livemode") is True:
            raise Refused(422, "live_account", "only accounts of the test mode are simulated", param="livemode")
        empresa = _text(body, "empresa", 1, 60)
        prefix = _text(body, "clabe_prefix", 3, 17)
        if re.fullmatch(r"[0-9]+", prefix) is None:
            raise Refused(422, "invalid_field", "clabe_prefix must be digits", param="clabe_prefix")
        url = check_url(body.get("deposits_url"), "deposits_url")
        with self._storage.transaction() as db:
            db.execute("INSERT OR REPLACE INTO stp_config VALUES (?, ?, ?)", (prefix, empresa, url))
            if body.get("public_key") is not None:
                key = _text(body, "public_key", 1, 4000)
                db.execute("INSERT OR REPLACE INTO stp_key VALUES (?, ?)", (empresa, key))
            self.companies.configure(db, empresa, body)
        return {"empresa": empresa, "clabe_prefix": prefix}

    def send(self, body: dict[str, Any]) -> dict[str, Any]:
        """A transfer of a bank customer. Stored at once; its notice is sent ``times`` times, concurrently."""
        unknown = sorted(set(body) - DEPOSIT_FIELDS)
        if unknown:
            raise Refused(422, "unknown_field", f"unknown field {unknown[0]}", param=unknown[0])
        clabe = _text(body, "clabe", 1, 40)
        amount = _integer(body, "amount", 1, MAX_AMOUNT)
        times = _integer(body, "times", 0, 20, default=1)
        now = self._world.moment()
        with self._storage.transaction() as db:
            config = self._participant(db, clabe)
            notice = _notice(self._world, body, clabe, str(config["empresa"]), now)
            deposit_id = int(notice["id"])
            row = (deposit_id, config["clabe_prefix"], clabe, amount, notice["claveRastreo"], encode(notice, amount))
            db.execute("INSERT INTO stp_deposit VALUES (?, ?, ?, ?, ?, ?, 'sent', NULL, ?)", (*row, self._world.now()))
            for _ in range(times):
                self._delivery.enqueue(db, KIND, str(deposit_id))
        self._delivery.wake()
        return {"id": deposit_id, "tracking_key": notice["claveRastreo"], "status": "sent", "deliveries": []}

    def conciliation(self, body: dict[str, Any]) -> tuple[int, str]:
        """``POST /efws/API/V2/conciliacion``: the orders of a day, sent or received. (HTTP status, JSON text)."""
        company, kind, day = body.get("empresa"), body.get("tipoOrden"), body.get("fechaOperacion")
        page = body.get("page", 0)
        if fault := self.companies.efws_fault(body, [company, kind, day]):
            return fault
        if kind not in ("E", "R") or type(page) is not int or page < 0:
            return 400, exact({"estado": 2, "mensaje": "Solicitud invalida"})
        if kind == "E":
            return self.orders.listed(str(company), day, page)
        with self._storage.reading() as db:
            rows = db.execute(
                "SELECT notice, amount, status FROM stp_deposit WHERE json_extract(notice, '$.empresa') = ? "
                "AND json_extract(notice, '$.fechaOperacion') = ? ORDER BY created_at",
                (company, self.companies.day(day)),
            ).fetchall()
        if not rows:
            return 400, exact({"estado": 6, "mensaje": "No se encontraron datos relacionados"})
        part = rows[page * CONCILIATION_PAGE : (page + 1) * CONCILIATION_PAGE]
        records = [_listed(json.loads(row["notice"]), row["amount"], row["status"]) for row in part]
        told = {"estado": 0, "mensaje": "Datos consultados correctamente", "datos": records, "total": len(rows)}
        return 200, exact(told)

    def show(self, deposit_id: str) -> dict[str, Any]:
        """One transfer with its notice (``body`` is the exact text sent) and its deliveries."""
        with self._storage.reading() as db:
            return self._view(db, self._row(db, deposit_id))

    def recent(self, limit: int) -> list[dict[str, Any]]:
        """Recent transfers, newest first, for the HTML page."""
        with self._storage.reading() as db:
            rows = db.execute("SELECT * FROM stp_deposit ORDER BY created_at DESC LIMIT ?", (limit,)).fetchall()
            return [self._view(db, row) for row in rows]

    def resend(self, deposit_id: str) -> dict[str, Any]:
        """Resend the same notice and wait for the response."""
        with self._storage.reading() as db:
            target = str(self._row(db, deposit_id)["id"])
        attempt: Attempt | None = self._delivery.send_now(KIND, target)
        return {"delivery": attempt}

    def prepare(self, db: sqlite3.Connection, target: str, webhook: str) -> Request | None:
        """The notice, for the currently configured URL: the back office may have moved since the transfer."""
        del webhook
        query = "SELECT notice, deposits_url FROM stp_deposit JOIN stp_config USING (clabe_prefix) WHERE id = ?"
        row = db.execute(query, (target,)).fetchone()
        return Request(row["deposits_url"], row["notice"].encode()) if row else None

    def settle(self, db: sqlite3.Connection, target: str, answer: Answer) -> bool:
        """``confirmar`` and ``devolver`` settle the transfer (the first one counts); anything else is retried."""
        status, cause = _verdict(answer)
        if status is None:
            return False
        change = "UPDATE stp_deposit SET status = ?, cause = ? WHERE id = ? AND status IN ('sent', 'unanswered')"
        db.execute(change, (status, cause, target))
        return True

    def delay(self, tries_done: int) -> float:
        """Constant (assumed: 3 attempts, 30 s apart)."""
        del tries_done
        return self._retry_delay

    def give_up(self, db: sqlite3.Connection, target: str) -> None:
        """Mark the transfer as unanswered: the money stays at STP and only a resend can settle it."""
        db.execute("UPDATE stp_deposit SET status = 'unanswered' WHERE id = ? AND status = 'sent'", (target,))

    @staticmethod
    def _participant(db: sqlite3.Connection, clabe: str) -> sqlite3.Row:
        if not is_clabe(clabe):
            raise Refused(422, "invalid_clabe", "a CLABE has 18 digits and a valid check digit", param="clabe")
        query = "SELECT * FROM stp_config WHERE substr(?, 1, length(clabe_prefix)) = clabe_prefix"
        rows: list[sqlite3.Row] = db.execute(query + " ORDER BY length(clabe_prefix) DESC", (clabe,)).fetchall()
        if not rows:
            raise Refused(422, "unknown_account", "no participant has this account", param="clabe")
        return rows[0]

    @staticmethod
    def _row(db: sqlite3.Connection, deposit_id: str) -> sqlite3.Row:
        row: sqlite3.Row | None = None
        if re.fullmatch(r"[0-9]{1,18}", deposit_id):
            row = db.execute("SELECT * FROM stp_deposit WHERE id = ?", (int(deposit_id),)).fetchone()
        if row is None:
            raise Refused(404, "not_found", "no such transfer")
        return row

    @staticmethod
    def _view(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
        names = ("id", "clabe", "amount", "tracking_key", "status", "cause")
        return {
            **{name: row[name] for name in names},
            "notice": json.loads(row["notice"]),
            "body": row["notice"],
            "deliveries": attempts(db, KIND, str(row["id"])),
        }


def _notice(world: World, body: dict[str, Any], clabe: str, empresa: str, now: datetime) -> dict[str, Any]:
    """The abono notice with STP's keys, order and JSON types; unspecified values are random."""
    payer = _text(body, "payer_clabe", 0, 20, default=_invented_clabe(world))
    institution = institution_of(payer if is_clabe(payer) else world.choice(PAYER_BANKS))
    day = operating_date(now).strftime("%Y%m%d")
    chosen_day = _text(body, "operating_date", 8, 8, default=day)
    try:
        datetime.strptime(chosen_day, "%Y%m%d")  # noqa: DTZ007 - only its form is checked
    except ValueError:
        raise Refused(422, "invalid_field", "operating_date must be YYYYMMDD", param="operating_date") from None
    return {
        # Random, so that a new data folder does not repeat ids that the back office has already seen.
        "id": 10_000_000 + world.below(2_000_000_000),
        "fechaOperacion": int(chosen_day),
        "institucionOrdenante": _integer(body, "payer_institution", 1, 99999, default=institution),
        "institucionBeneficiaria": STP_INSTITUTION,
        "claveRastreo": _text(body, "tracking_key", 1, 30, default=_invented_tracking_key(world, now)),
        "monto": None,
        "nombreOrdenante": _text(body, "payer_name", 0, 120, default=world.choice(PAYER_NAMES)),
        # 40 CLABE, 3 debit card, 10 mobile phone; SPEI uses 0 for anything else.
        "tipoCuentaOrdenante": {18: 40, 16: 3, 10: 10}.get(len(payer), 0),
        "cuentaOrdenante": payer,
        "rfcCurpOrdenante": "ND",
        "nombreBeneficiario": empresa,
        "tipoCuentaBeneficiario": 40,
        "cuentaBeneficiario": clabe,
        "nombreBeneficiario2": "",
        "tipoCuentaBeneficiario2": 40,
        "cuentaBeneficiario2": "",
        "rfcCurpBeneficiario": "ND",
        "conceptoPago": _text(body, "concept", 0, 120, default="PAGO"),
        "referenciaNumerica": _integer(body, "reference_number", 0, 9_999_999, default=1 + world.below(9_999_999)),
        "empresa": empresa,
        "tipoPago": 1,
        # Milliseconds; a test may set another settlement time.
        "tsLiquidacion": str(_integer(body, "settled_at", 0, 10**14, default=int(now.timestamp() * 1000))),
        "folioCodi": "",
    }


def _listed(notice: dict[str, Any], amount: int, status: str) -> dict[str, Any]:
    """A received order as in the conciliation list: the notice's fields under the list's names."""
    return {
        "idEF": notice["id"],
        **{name: notice[name] for name in LISTED},
        "monto": Decimal(amount).scaleb(-2),
        "estado": "D" if status == "returned" else "LQ",
        "institucionContraparte": notice["institucionOrdenante"],
        "institucionOperante": STP_INSTITUTION,
        "medioEntrega": 3,
        "tsCaptura": int(notice["tsLiquidacion"]),
        "tsLiquidacion": int(notice["tsLiquidacion"]),
        "causaDevolucion": notice.get("causaDevolucion"),
        "claveRastreoDevolucion": notice.get("claveRastreoDevolucion"),
        "urlCEP": None,
    }


def _verdict(answer: Answer) -> tuple[str | None, int | None]:
    """(status, cause) of an answer that STP understands; (None, None) for any other."""
    try:
        content = json.loads(answer.body)
    except ValueError:
        return None, None
    if not isinstance(content, dict):
        return None, None
    if answer.status == 200 and content.get("mensaje") == "confirmar":
        return "confirmed", None
    cause = content.get("id")
    if answer.status == 400 and content.get("mensaje") == "devolver" and isinstance(cause, int):
        return "returned", cause
    return None, None


def _invented_clabe(world: World) -> str:
    first_17 = world.choice(PAYER_BANKS) + "180" + f"{world.below(10**11):011d}"
    return first_17 + check_digit(first_17)


def _invented_tracking_key(world: World, now: datetime) -> str:
    """A tracking key in one of two formats that banks use; one has slashes and dashes."""
    tail = world.hex(5).upper()
    return world.choice((f"058-{now:%d/%m/%Y}/{now:%H}-{tail}", f"MBAN01{now:%Y%m%d%H%M}{tail}"))


def _text(body: dict[str, Any], name: str, shortest: int, longest: int, *, default: str | None = None) -> str:
    value = default if body.get(name) is None else body[name]
    if not isinstance(value, str) or not shortest <= len(value) <= longest:
        raise Refused(422, "invalid_field", f"{name} must be text of {shortest} to {longest} characters", param=name)
    return value


def _integer(body: dict[str, Any], name: str, least: int, most: int, *, default: int | None = None) -> int:
    value = default if body.get(name) is None else body[name]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refused(422, "invalid_field", f"{name} must be an integer from {least} to {most}", param=name)
    return value
