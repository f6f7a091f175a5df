"""CLABEs that companies register at the simulated STP (``cuentaModule``)."""

from __future__ import annotations

import json
from typing import Any

from . import stp_rules
from .storage import Storage
from .stp_company import Companies


class Accounts:
    """Registered accounts, by company and CLABE."""

    def __init__(self, storage: Storage, companies: Companies) -> None:
        self._storage = storage
        self._companies = companies

    def change(self, kind: str, body: dict[str, Any], *, removing: bool) -> dict[str, Any]:
        """``cuentaModule``: an account is registered (always "in review") or removed."""
        company, account = str(body.get("empresa")), str(body.get("cuenta"))
        with self._storage.transaction() as db:
            if not self._companies.is_signed(db, body, stp_rules.signed_text([company, account, body.get("rfcCurp")])):
                return {"descripcion": "Firma invalida", "id": 0}
            if removing:
                gone = "DELETE FROM stp_account WHERE empresa = ? AND clabe = ?"
                if not db.execute(gone, (company, account)).rowcount:
                    return {"descripcion": stp_rules.TEXTS[6], "id": 6}
                return {"descripcion": "", "id": 0}
            if fault := stp_rules.check_account(body, company=kind == "moral"):
                return fault
            kept = {name: value for name, value in body.items() if name != "firma"}
            new = "INSERT OR IGNORE INTO stp_account VALUES (?, ?, ?)"
            if not db.execute(new, (company, account, json.dumps(kept))).rowcount:
                return {"descripcion": "Cuenta Duplicada", "id": 3}
        return {"descripcion": "Cuenta en revisión.", "id": 0}

    def registered(self, empresa: str) -> dict[str, Any]:
        """The accounts of a company as they were registered."""
        with self._storage.reading() as db:
            rows = db.execute("SELECT body FROM stp_account WHERE empresa = ? ORDER BY clabe", (empresa,)).fetchall()
        return {"data": [json.loads(row["body"]) for row in rows]}
