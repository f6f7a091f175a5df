"""The simulated STP's sending half: what it accepts and refuses, and how an order lives."""

from __future__ import annotations

import base64
import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from sandbox.stp_rules import TEXTS

from .process import Receiver, Simulator, wait_for
from .stp_company import BENEFICIARY, ORDERING, PLACES, Company, sign, states, today


def test_an_order_goes_through_its_life_and_is_notified_once(notified: Company, receiver: Receiver) -> None:
    sent = notified.register(fechaOperacion=None)
    seen = [notified.find(sent["key"])["respuesta"]["estado"]]

    notified.until(sent["key"], "LQ")
    wait_for(lambda: receiver.received)

    assert sent["id"] >= 10_000_000 and seen[0] in ("C", "L", "A", "E")
    path, headers, raw = receiver.received[0]
    notice = json.loads(raw)
    assert path == "/webhooks/stp/orders"
    assert headers["authorization"] == "Basic " + base64.b64encode(b"stp:s3cret").decode()
    assert set(notice) == {"id", "empresa", "folioOrigen", "estado", "causaDevolucion", "tsLiquidacion"}
    assert (notice["id"], notice["folioOrigen"], notice["estado"]) == (sent["id"], "po_1", "LIQUIDACION")
    assert abs(int(notice["tsLiquidacion"]) / 1000 - time.time()) < 60
    record = notified.find(sent["key"])["respuesta"]
    assert (record["estado"], record["monto"], record["fechaOperacion"]) == (
        "LQ",
        Decimal("100.00"),
        int(f"{today():%Y%m%d}"),
    )
    assert (record["idEF"], record["nombreCep"], record["cuentaBeneficiario"]) == (
        sent["id"],
        "Ricardo Sanchez",
        BENEFICIARY,
    )
    time.sleep(0.3)
    assert states(receiver) == ["LIQUIDACION"]
    assert notified.shown(sent["key"])["notices"][0]["status"] == "received"


def test_the_states_before_settlement_come_in_their_order(company: Company) -> None:
    key = company.script(seconds=0.8)
    company.register(claveRastreo=key)
    seen: list[str] = []

    def settled() -> bool:
        state = company.find(key)["respuesta"]["estado"]
        if not seen or seen[-1] != state:
            seen.append(state)
        return state == "LQ"

    wait_for(settled)

    assert seen == [state for state in ("C", "L", "A", "E", "LQ") if state in seen]
    assert seen[-1] == "LQ"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"firma": "AAAA"}, 0),
        ({"conceptoPago": None}, 0),
        ({"nombreBeneficiario": ""}, 0),
        ({"monto": None}, 0),
        ({"claveRastreo": "A" * 31}, -26),
        ({"claveRastreo": "ABC-123"}, -34),
        ({"institucionContraparte": None}, -5),
        ({"institucionOperante": "90647"}, -6),
        ({"institucionContraparte": "12345"}, -9),
        ({"institucionContraparte": "40012"}, -22),
        ({"tipoCuentaBeneficiario": 3}, -11),
        ({"tipoPago": 4}, -13),
        ({"cuentaBeneficiario": "0726910044957114"}, -23),
        ({"cuentaBeneficiario": "072691004495711490"}, -21),
        ({"monto": "0.00"}, -20),
        ({"monto": "-1.00"}, -20),
        ({"cuentaOrdenante": None}, -200),
        ({"cuentaBeneficiario": ORDERING, "institucionContraparte": "90646"}, -24),
        ({"cuentaOrdenante": "012180015025335996"}, -7),
        ({"fechaOperacion": "20200102"}, -16),
        ({"nombreBeneficiario": "x" * 41}, 2),
    ],
)
def test_an_order_is_refused_as_stp_refuses_it_and_not_kept(
    company: Company, fields: dict[str, Any], code: int
) -> None:
    if fields.get("cuentaBeneficiario") == "072180000000000019":
        fields = {**fields, "cuentaBeneficiario": "072691004495711499", "cuentaOrdenante": "012180015025335996"}

    answer = company.register(**fields)

    assert answer["id"] == code and answer["descripcionError"]
    assert company.listed() == {}
    assert company.balance() == (0, 0)


def test_a_value_that_was_not_signed_as_sent_is_refused(company: Company) -> None:
    body = company.order()
    signed = "|".join(str(body.get(place, "")) for place in PLACES)
    for changed in ("monto", "cuentaBeneficiario", "claveRastreo", "conceptoPago", "prioridad"):
        sent = {**body, changed: "1.01", "firma": sign(f"||{signed}||")}
        answer = company.simulator.client.put("/stp/speiws/rest/ordenPago/registra", json=sent).json()
        assert answer["resultado"]["id"] == 0, changed
    number = {**body, "monto": 100.0, "firma": sign(f"||{signed}||")}
    accepted = company.simulator.client.put("/stp/speiws/rest/ordenPago/registra", json=number).json()
    assert accepted["resultado"]["id"] >= 1000


def test_a_tracking_key_is_used_once_a_day_by_each_company(company: Company, simulator: Simulator) -> None:
    other = Company(simulator)
    other.configure()
    key = company.register()["key"]

    assert company.register(claveRastreo=key, monto="5.00")["id"] == -1
    assert other.register(claveRastreo=key)["id"] >= 1000
    assert len(company.listed()) == len(other.listed()) == 1


def test_of_equal_orders_at_once_one_is_taken(company: Company) -> None:
    for _ in range(5):
        key = f"K{secrets.token_hex(8)}"
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _, key=key: company.register(claveRastreo=key)["id"], range(8)))

        assert sorted(answers)[:7] == [-1] * 7 and max(answers) >= 1000
    assert len(company.listed()) == 5


@pytest.mark.parametrize("code", sorted(TEXTS))
def test_every_code_of_the_catalogue_can_be_had(company: Company, code: int) -> None:
    key = company.script(answer=code)

    refused = company.register(claveRastreo=key)

    assert refused["id"] == code and refused["descripcionError"]
    assert company.find(key)["estado"] == 6
    assert company.register(claveRastreo=key)["id"] >= 1000  # the next request is answered as usual


@pytest.mark.parametrize(
    ("centavos", "answer", "states_seen"),
    [
        ("00", "accepted", ["LIQUIDACION"]),
        ("01", -1, ["LIQUIDACION"]),
        ("02", -200, []),
        ("03", -30, []),
        ("04", "accepted", ["LIQUIDACION", "DEVOLUCION"]),
        ("05", "accepted", ["CANCELACION"]),
        ("06", "accepted", []),
        ("07", "accepted", ["LIQUIDACION"]),
        ("09", "accepted", ["LIQUIDACION"]),
        ("10", "lost", ["LIQUIDACION"]),
    ],
)
def test_the_centavos_of_an_amount_decide(
    notified: Company, receiver: Receiver, centavos: str, answer: Any, states_seen: list[str]
) -> None:
    key = f"K{secrets.token_hex(8)}"
    try:
        number = notified.register(claveRastreo=key, monto=f"7.{centavos}")["id"]
    except httpx2.HTTPError:
        number = None

    assert {-1: -1, -200: -200, -30: -30, None: "lost"}.get(number, "accepted") == answer
    wait_for(lambda: len(states(receiver)) >= len(states_seen))
    time.sleep(0.4)
    assert states(receiver) == states_seen
    listed = notified.listed()
    assert (key in listed) == bool(states_seen)
    assert len(listed) == (2 if centavos == "09" else bool(states_seen))
    if centavos == "07":
        assert listed[key]["nombreCep"] not in (None, "Ricardo Sanchez")
