"""An integrator of STP who signs orders and questions by rules of its own, for the simulator's tests."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.banking_days import operating_date

from .process import Receiver, Simulator, wait_for

ORDERING = "646180110400000007"
BENEFICIARY = "072691004495711499"
PREFIX = "6461801104"
PLACES = (
    "institucionContraparte empresa fechaOperacion folioOrigen claveRastreo institucionOperante monto tipoPago "
    "tipoCuentaOrdenante nombreOrdenante cuentaOrdenante rfcCurpOrdenante tipoCuentaBeneficiario nombreBeneficiario "
    "cuentaBeneficiario rfcCurpBeneficiario emailBeneficiario - - - - conceptoPago - - - - - referenciaNumerica - "
    "topologia usuario medioEntrega prioridad iva"
).split()
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = (
    KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
)


def today() -> date:
    return operating_date(datetime.now(UTC))


def sign(text: str) -> str:
    return base64.b64encode(KEY.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()


@dataclass
class Company:
    """An integrator: it signs, registers and asks."""

    simulator: Simulator
    name: str = field(default_factory=lambda: f"EMPRESA_{secrets.token_hex(4)}")
    deposits_url: str = "http://127.0.0.1:9/lost"

    def configure(self, **settings: Any) -> httpx2.Response:
        self.deposits_url = settings.pop("deposits_url", self.deposits_url)
        told = {"deposits_url": self.deposits_url, "pace": 0.1, **settings}
        config = {"empresa": self.name, "clabe_prefix": PREFIX, "public_key": PUBLIC, **told}
        return self.simulator.client.put("/_sim/stp/config", json=config)

    def order(self, **fields: Any) -> dict[str, Any]:
        body = {
            "institucionContraparte": "40072",
            "empresa": self.name,
            "fechaOperacion": f"{today():%Y%m%d}",
            "folioOrigen": "po_1",
            "claveRastreo": f"K{secrets.token_hex(8)}",
            "institucionOperante": "90646",
            "monto": "100.00",
            "tipoPago": 1,
            "tipoCuentaOrdenante": 40,
            "nombreOrdenante": "Comercio",
            "cuentaOrdenante": ORDERING,
            "rfcCurpOrdenante": "ND",
            "tipoCuentaBeneficiario": 40,
            "nombreBeneficiario": "Ricardo Sanchez",
            "cuentaBeneficiario": BENEFICIARY,
            "rfcCurpBeneficiario": "ND",
            "conceptoPago": "Pago",
            "referenciaNumerica": 1,
            **fields,
        }
        return {name: value for name, value in body.items() if value is not None}

    def register(self, **fields: Any) -> dict[str, Any]:
        body = self.order(**fields)
        text = "|".join(str(body.get(place, "")) for place in PLACES)
        body["firma"] = fields.get("firma") or sign(f"||{text}||")
        answer = self.simulator.client.put("/stp/speiws/rest/ordenPago/registra", json=body)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()["resultado"]
        return {**result, "key": body["claveRastreo"]}

    def script(self, **script: Any) -> str:
        key = f"K{secrets.token_hex(8)}"
        assert self.simulator.client.put(f"/_sim/stp/scripts/{key}", json=script).status_code == 200
        return key

    def find(self, key: str, day: str = "") -> dict[str, Any]:
        body = {"empresa": self.name, "claveRastreo": key, "tipoOrden": "E"} | ({"fechaOperacion": day} if day else {})
        body["firma"] = sign(f"||{self.name}|{key}|E|{day}||")
        answer = self.simulator.client.post("/stp/efws/API/consultaOrden", json=body)
        return {"status": answer.status_code, **json.loads(answer.text, parse_float=Decimal)}

    def listed(self, kind: str = "E") -> dict[str, dict[str, Any]]:
        body = {"empresa": self.name, "tipoOrden": kind, "page": 0, "firma": sign(f"||{self.name}|{kind}|||")}
        answer = self.simulator.client.post("/stp/efws/API/V2/conciliacion", json=body)
        assert answer.status_code in (200, 400)
        found = json.loads(answer.text, parse_float=Decimal)
        return {record["claveRastreo"]: record for record in found.get("datos", [])}

    def balance(self) -> tuple[int, int]:
        told = self.simulator.client.get("/_sim/stp/balance", params={"empresa": self.name}).json()
        assert told["spendable"] == told["balance"] - told["pending"]
        return told["balance"], told["pending"]

    def shown(self, key: str) -> dict[str, Any]:
        view: dict[str, Any] = self.simulator.client.get(f"/_sim/stp/orders/{key}").json()
        return view

    def until(self, key: str, status: str) -> dict[str, Any]:
        view: dict[str, Any] = wait_for(lambda: (seen := self.shown(key))["status"] == status and seen)
        return view


def states(receiver: Receiver) -> list[str]:
    return [json.loads(body)["estado"] for path, _, body in receiver.received if path.endswith("/orders")]
