from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from sandbox.stp import check_digit, encode, institution_of, is_clabe, operating_date, pesos

from .process import Receiver, Simulator, wait_for

CLABE = "646180157000000004"
SECRET = "s3cr@t:with/odd chars"
NOTICE_TYPES = {
    "id": int,
    "fechaOperacion": int,
    "institucionOrdenante": int,
    "institucionBeneficiaria": int,
    "claveRastreo": str,
    "monto": Decimal,
    "nombreOrdenante": str,
    "tipoCuentaOrdenante": int,
    "cuentaOrdenante": str,
    "rfcCurpOrdenante": str,
    "nombreBeneficiario": str,
    "tipoCuentaBeneficiario": int,
    "cuentaBeneficiario": str,
    "nombreBeneficiario2": str,
    "tipoCuentaBeneficiario2": int,
    "cuentaBeneficiario2": str,
    "rfcCurpBeneficiario": str,
    "conceptoPago": str,
    "referenciaNumerica": int,
    "empresa": str,
    "tipoPago": int,
    "tsLiquidacion": str,
    "folioCodi": str,
}


def configure(simulator: Simulator, receiver: Receiver, prefix: str = "6461801570") -> None:
    url = f"http://stp:s3cr%40t%3Awith%2Fodd%20chars@{receiver.address}/webhooks/stp/deposits"
    body = {"empresa": "EMPRESA_DEMO", "deposits_url": url, "clabe_prefix": prefix}
    answer = simulator.client.put("/_sim/stp/config", json=body)
    assert answer.status_code == 200
    assert "s3cr" not in answer.text


def send(simulator: Simulator, **fields: Any) -> dict[str, Any]:
    answer = simulator.client.post("/_sim/stp/deposits", json={"clabe": CLABE, "amount": 125050, **fields})
    assert answer.status_code == 202, answer.text
    deposit: dict[str, Any] = answer.json()
    return deposit


def shown(simulator: Simulator, deposit: dict[str, Any]) -> dict[str, Any]:
    view: dict[str, Any] = simulator.client.get(f"/_sim/stp/deposits/{deposit['id']}").json()
    return view


def settled(simulator: Simulator, deposit: dict[str, Any]) -> dict[str, Any]:
    def done() -> dict[str, Any] | None:
        view = shown(simulator, deposit)
        return view if view["status"] != "sent" else None

    view: dict[str, Any] = wait_for(done)
    return view


def test_a_deposit_is_notified_with_the_recorded_keys_and_types(simulator: Simulator, receiver: Receiver) -> None:
    configure(simulator, receiver)

    deposit = send(simulator, payer_name="ÁNGELA MUÑOZ", concept="Renta", reference_number=42)
    view = settled(simulator, deposit)

    assert deposit["status"] == "sent" and deposit["deliveries"] == []
    path, headers, body = receiver.received[0]
    notice = json.loads(body, parse_float=Decimal)
    assert path == "/webhooks/stp/deposits"
    assert headers["content-type"] == "application/json"
    assert {key: type(value) for key, value in notice.items()} == NOTICE_TYPES
    assert list(notice) == list(NOTICE_TYPES)
    assert notice["id"] == deposit["id"] and notice["claveRastreo"] == deposit["tracking_key"]
    assert notice["nombreOrdenante"] == "ÁNGELA MUÑOZ" and notice["referenciaNumerica"] == 42
    assert notice["institucionBeneficiaria"] == 90646 and notice["cuentaBeneficiario"] == CLABE
    assert is_clabe(notice["cuentaOrdenante"])
    assert view["status"] == "confirmed" and view["cause"] is None
    assert [(d["status"], d["body"]) for d in view["deliveries"]] == [(200, '{"mensaje": "confirmar"}')]
    assert view["body"].encode() == body


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (1, b"0.01"),
        (110, b"1.10"),
        (125050, b"1250.50"),
        (2**53 + 1, b"90071992547409.93"),
        (10**14, b"1000000000000.00"),
    ],
)
def test_monto_is_a_json_number_with_exact_centavos(
    simulator: Simulator, receiver: Receiver, amount: int, text: bytes
) -> None:
    configure(simulator, receiver)
    if amount > 10**14:
        assert encode({"monto": None}, amount) == '{"monto":' + text.decode() + "}"
        return

    settled(simulator, send(simulator, amount=amount))

    assert b'"monto":' + text + b"," in receiver.bodies()[0]


def test_credentials_travel_in_the_header_and_stay_out_of_the_log(simulator: Simulator, receiver: Receiver) -> None:
    configure(simulator, receiver)

    settled(simulator, send(simulator))

    scheme, _, pair = receiver.received[0][1]["authorization"].partition(" ")
    assert (scheme, base64.b64decode(pair).decode()) == ("Basic", f"stp:{SECRET}")
    log = simulator.log.read_text()
    assert "POST /_sim/stp/deposits 202" in log
    assert "s3cr" not in log and pair not in log and receiver.address not in log


def test_a_refusal_returns_the_money_with_its_cause(simulator: Simulator, receiver: Receiver) -> None:
    configure(simulator, receiver)
    receiver.answers = [(400, {"mensaje": "devolver", "id": 2})]

    view = settled(simulator, send(simulator))

    assert (view["status"], view["cause"], len(view["deliveries"])) == ("returned", 2, 1)


def test_a_503_is_tried_again_with_the_same_bytes(simulator: Simulator, receiver: Receiver) -> None:
    configure(simulator, receiver)
    receiver.answers = [(503, {}), (200, {"mensaje": "recibido"})]

    view = settled(simulator, send(simulator))

    assert [d["status"] for d in view["deliveries"]] == [503, 200, 200]
    assert view["status"] == "confirmed"
    assert len(set(receiver.bodies())) == 1


def test_after_three_tries_it_stays_unanswered_until_a_resend(simulator: Simulator, receiver: Receiver) -> None:
    configure(simulator, receiver)
    receiver.answers = [(500, {})] * 3
    view = settled(simulator, send(simulator))
    assert (view["status"], len(view["deliveries"])) == ("unanswered", 3)

    answer = simulator.client.post(f"/_sim/stp/deposits/{view['id']}/resend").json()

    assert (answer["delivery"]["status"], answer["delivery"]["body"]) == (200, '{"mensaje": "confirmar"}')
    assert shown(simulator, view)["status"] == "confirmed"
    assert len(receiver.bodies()) == 4 and len(set(receiver.bodies())) == 1


def test_times_sends_equal_copies_in_parallel(simulator: Simulator, receiver: Receiver) -> None:
    configure(simulator, receiver)
    receiver.delay = 0.4

    deposit = send(simulator, times=5)
    wait_for(lambda: len(receiver.received) == 5, seconds=0.39)  # all are there before the first is answered
    wait_for(lambda: len(shown(simulator, deposit)["deliveries"]) == 5)

    assert len(receiver.received) == 5 and len(set(receiver.bodies())) == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"clabe": "646180157000000005"}, "invalid_clabe"),
        ({"clabe": "64618015700000000"}, "invalid_clabe"),
        ({"clabe": "646180999900000003"}, "unknown_account"),
        ({"amount": 0}, "invalid_field"),
        ({"amount": 12.5}, "invalid_field"),
        ({"amount": True}, "invalid_field"),
        ({"amount": "100"}, "invalid_field"),
        ({"times": 21}, "invalid_field"),
        ({"operating_date": "20261340"}, "invalid_field"),
        ({"tracking_key": "X" * 31}, "invalid_field"),
        ({"ammount": 1}, "unknown_field"),
    ],
)
def test_what_no_bank_would_send_is_refused(
    simulator: Simulator, receiver: Receiver, fields: dict[str, Any], code: str
) -> None:
    configure(simulator, receiver)

    answer = simulator.client.post("/_sim/stp/deposits", json={"clabe": CLABE, "amount": 100, **fields})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
    assert receiver.received == []


def test_given_values_are_used_as_they_are(simulator: Simulator, receiver: Receiver) -> None:
    configure(simulator, receiver)

    settled(
        simulator,
        send(
            simulator,
            payer_clabe="012180015025335996",
            tracking_key="058-25/08/2026/25 300",
            operating_date="20260102",
            payer_institution=846,
        ),
    )

    notice = json.loads(receiver.bodies()[0])
    assert notice["claveRastreo"] == "058-25/08/2026/25 300"
    assert (notice["fechaOperacion"], notice["institucionOrdenante"]) == (20260102, 846)
    assert (notice["cuentaOrdenante"], notice["tipoCuentaOrdenante"]) == ("012180015025335996", 40)


def test_the_longest_prefix_decides_who_is_notified(simulator: Simulator, receiver: Receiver) -> None:
    other = Receiver()
    configure(simulator, receiver, "6461801570")
    configure(simulator, other, "64618015701")
    account = "64618015701000000"

    settled(simulator, send(simulator, clabe=account + check_digit(account)))

    assert (len(receiver.received), len(other.received)) == (0, 1)
    other.close()


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-11-23T17:59:59-06:00", date(2026, 11, 23)),
        ("2026-11-23T18:00:00-06:00", date(2026, 11, 24)),
        ("2026-11-27T18:00:00-06:00", date(2026, 11, 30)),
        ("2026-11-28T09:00:00-06:00", date(2026, 11, 30)),
        ("2026-07-01T23:30:00+00:00", date(2026, 7, 1)),
    ],
)
def test_the_operating_day_ends_at_18_in_mexico_city(moment: str, day: date) -> None:
    assert operating_date(datetime.fromisoformat(moment).astimezone(UTC)) == day


def test_numbers_of_the_network() -> None:
    assert check_digit("64618015700000000") == "4"
    assert [institution_of(bank) for bank in ("001", "012", "019", "646")] == [2001, 40012, 37019, 90646]
    assert pesos(5) == "0.05"
