"""The simulated STP's sending half: balance, returns, notices, and what a test may tell it to do."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from sandbox.banking_days import holidays, operating_date
from sandbox.stp_script import by_chance, read_chances
from sandbox.world import World

from .process import Receiver, Simulator, wait_for
from .stp_company import ORDERING, Company, sign, states


def test_the_balance_is_kept_to_the_centavo(notified: Company, receiver: Receiver) -> None:
    client = notified.simulator.client
    notified.configure(opening_balance=1_000_000)
    receiver.default = (200, {"mensaje": "confirmar"})
    client.post("/_sim/stp/deposits", json={"clabe": ORDERING, "amount": 3})
    key = notified.script(seconds=0.6)
    notified.register(claveRastreo=key, monto="0.11")
    assert notified.balance() == (1_000_003, 11)

    notified.until(key, "LQ")
    assert notified.balance() == (999_992, 0)
    cancelled, invisible = notified.register(monto="1.05")["key"], notified.register(monto="1.06")["key"]
    notified.until(cancelled, "CN")
    assert notified.balance() == (999_992, 0)
    assert notified.find(invisible)["estado"] == 6

    back = client.put(f"/_sim/stp/orders/{key}", json={"final": "return", "return_after": 0})
    assert back.json()["status"] == "D"
    assert notified.balance() == (1_000_003, 0)

    receiver.default = (400, {"mensaje": "devolver", "id": 1})
    client.post("/_sim/stp/deposits", json={"clabe": ORDERING, "amount": 7})
    wait_for(lambda: notified.balance() == (1_000_003, 0))


def test_the_balance_is_asked_for_with_a_signature(company: Company) -> None:
    company.configure(opening_balance=125_050)
    company.register(claveRastreo=company.script(final="none"), monto="0.50")
    body = {"empresa": company.name, "cuentaOrdenante": ORDERING}
    good = {**body, "firma": sign(f"||{company.name}|{ORDERING}|||")}

    answer = company.simulator.client.post("/stp/efws/API/consultaSaldoCuenta", json=good)
    refused = company.simulator.client.post("/stp/efws/API/consultaSaldoCuenta", json={**body, "firma": "AAAA"})

    assert (answer.status_code, refused.status_code, refused.json()["estado"]) == (200, 400, 2)
    assert '"saldo":1250.50,"cargosPendientes":0.50' in answer.text


@pytest.mark.parametrize(
    ("key_of", "by", "in_order"), [("linked", "both", "D"), ("same", "transfer", "LQ"), ("none", "transfer", "LQ")]
)
def test_a_return_may_come_as_a_transfer(
    notified: Company, receiver: Receiver, key_of: str, by: str, in_order: str
) -> None:
    receiver.default = (200, {"mensaje": "confirmar"})
    key = notified.script(final="return", return_after=0.1, returned_by=by, return_key=key_of, cause=3)

    notified.register(claveRastreo=key)
    wait_for(lambda: notified.shown(key)["returns"])
    wait_for(lambda: len(receiver.received) == (3 if by == "both" else 2))

    (transfer,) = notified.listed("R").values()
    assert (transfer["monto"], transfer["tipoPago"], transfer["cuentaBeneficiario"]) == (
        Decimal("100.00"),
        16,
        ORDERING,
    )
    assert (transfer["claveRastreo"] == key) == (key_of == "same")
    assert transfer["claveRastreoDevolucion"] == (key if key_of == "linked" else None)
    assert notified.listed()[key]["estado"] == in_order
    assert sorted(states(receiver)) == (["DEVOLUCION", "LIQUIDACION"] if by == "both" else ["LIQUIDACION"])
    assert notified.balance() == (0, 0)


def test_a_return_comes_two_days_later_on_the_simulators_clock(own_simulator: Simulator) -> None:
    company = Company(own_simulator)
    company.configure()
    key = company.script(final="return")
    company.register(claveRastreo=key)
    company.until(key, "LQ")
    time.sleep(0.3)
    assert company.shown(key)["status"] == "LQ"

    own_simulator.client.put("/_sim/clock", json={"shift": 2 * 86_400})

    assert company.until(key, "D")["cause"] == 1


def test_notices_may_repeat_come_in_another_order_or_be_forged(notified: Company, receiver: Receiver) -> None:
    key = notified.script(final="return_first", times=2)
    notified.register(claveRastreo=key)
    wait_for(lambda: len(receiver.received) == 4)
    assert states(receiver) == ["DEVOLUCION", "DEVOLUCION", "LIQUIDACION", "LIQUIDACION"]

    told = {"states": ["Success", "Éxito", "ALGO"], "cause": 9}
    assert notified.simulator.client.post(f"/_sim/stp/orders/{key}/notices", json=told).status_code == 202

    wait_for(lambda: len(receiver.received) == 7)
    assert states(receiver)[4:] == ["Success", "Éxito", "ALGO"]
    assert notified.shown(key)["status"] == "D"


def test_an_order_may_go_on_in_silence_and_a_notice_is_repeated_until_it_is_taken(
    notified: Company, receiver: Receiver
) -> None:
    silent = notified.script(notify=False)
    notified.register(claveRastreo=silent)
    notified.until(silent, "LQ")
    receiver.answers = [(500, {}), (503, {})]

    loud = notified.register()["key"]

    wait_for(lambda: notified.shown(loud)["notices"] and notified.shown(loud)["notices"][0]["status"] == "received")
    assert [delivery["status"] for delivery in notified.shown(loud)["notices"][0]["deliveries"]] == [500, 503, 200]
    assert notified.shown(silent)["notices"] == []


def test_an_answer_may_be_lost_after_or_before_the_order_is_taken(company: Company) -> None:
    lost, dropped = company.script(answer="lose"), company.script(answer="drop")
    for key in (lost, dropped):
        with pytest.raises(httpx2.HTTPError):
            company.register(claveRastreo=key)

    assert set(company.listed()) == {lost}
    assert company.register(claveRastreo=lost)["id"] == -1
    assert company.register(claveRastreo=dropped)["id"] >= 1000


def test_a_notice_may_overtake_the_answer(notified: Company, receiver: Receiver) -> None:
    key = notified.script(seconds=0, answer_after=1.0)

    sent = notified.register(claveRastreo=key)

    assert states(receiver) == ["LIQUIDACION"]
    assert json.loads(receiver.received[0][2])["id"] == sent["id"]


def test_an_order_may_be_hidden_for_a_while_and_phantoms_appear(company: Company) -> None:
    key = company.script(hidden=1.0, final="none")
    company.register(claveRastreo=key)
    assert (company.find(key)["estado"], company.listed()) == (6, {})

    made = company.simulator.client.post("/_sim/stp/phantoms", json={"empresa": company.name, "amount": 5})

    phantom = made.json()["tracking_key"]
    assert set(company.listed()) == {phantom}
    assert company.balance() == (0, 10_000)
    wait_for(lambda: set(company.listed()) == {phantom, key})


def test_questions_are_limited_by_the_hour_and_must_be_signed(company: Company) -> None:
    company.configure(efws_per_hour=3)
    key = company.register()["key"]

    found = [company.find(key)["estado"] for _ in range(5)]

    assert found == [0, 0, 0, 3, 3]
    forged = {"empresa": company.name, "claveRastreo": key, "tipoOrden": "E", "firma": "AAAA"}
    assert company.simulator.client.post("/stp/efws/API/consultaOrden", json=forged).json()["estado"] == 2
    company.configure(efws_per_hour=0)
    assert company.find(key, "20990101")["estado"] == 8
    assert company.find(key, "20200102")["status"] == 400


def test_stp_may_be_read_only_and_banks_closed(company: Company) -> None:
    company.configure(read_only=True)
    assert company.register()["id"] == -30
    company.configure(read_only=False, closed=[40072])
    assert company.register()["id"] == -9
    company.configure(closed=[])
    assert company.register()["id"] >= 1000


@pytest.mark.parametrize(
    ("preset", "status", "kind"), [("forbidden", 403, "html"), ("soap_fault", 500, "xml"), ("rate_limit", 400, "json")]
)
def test_what_stands_before_stp_may_answer_instead(company: Company, preset: str, status: int, kind: str) -> None:
    client = company.simulator.client
    client.post("/_sim/faults", json={"preset": preset, "path": "/stp/.*"}).raise_for_status()

    answer = client.put("/stp/speiws/rest/ordenPago/registra", json={})

    assert (answer.status_code, kind in answer.headers["content-type"]) == (status, True)
    assert company.register()["id"] >= 1000


def test_chance_is_seeded() -> None:
    chances = read_chances({"lose": 0.2, "silence": 0.2, "return": 0.1})

    worlds = [World(seed) for seed in (1, 1, 2)]
    drawn = [[by_chance(world, chances) for _ in range(200)] for world in worlds]

    assert drawn[0] == drawn[1] != drawn[2]
    share = sum(script is not None for script in drawn[0]) / len(drawn[0])
    assert 0.35 < share < 0.65


def test_accounts_are_registered_reviewed_and_removed(company: Company) -> None:
    client, account = company.simulator.client, "646180157000000004"
    moral = {"empresa": company.name, "cuenta": account, "rfcCurp": "MAB9307148T4", "nombre": "MATERIALES", "pais": 187}
    moral |= {"fechaConstitucion": "19930714", "firma": sign(f"||{company.name}|{account}|MAB9307148T4||")}

    def put(kind: str, body: dict[str, Any]) -> tuple[int, str]:
        answer = client.put(f"/stp/speiws/rest/cuentaModule/{kind}", json=body).json()
        return answer["id"], answer["descripcion"]

    assert put("moral", {**moral, "firma": "AAAA"})[0] == 0
    assert put("moral", {**moral, "nombre": ""})[0] == 5
    assert put("moral", {**moral, "nombre": "Peña"})[0] == 1
    assert put("moral", moral) == (0, "Cuenta en revisión.")
    assert put("moral", moral) == (3, "Cuenta Duplicada")
    listed = client.get("/_sim/stp/accounts", params={"empresa": company.name}).json()["data"]
    assert [(found["cuenta"], "firma" in found) for found in listed] == [(account, False)]
    for answer in ((0, ""), (6, "Cuenta no asociada")):
        gone = client.request("DELETE", "/stp/speiws/rest/cuentaModule/moral", json=moral).json()
        assert (gone["id"], gone["descripcion"]) == answer


def test_only_test_accounts_are_simulated_and_bad_commands_name_their_field(company: Company) -> None:
    client = company.simulator.client
    assert company.configure(livemode=True).json()["error"]["code"] == "live_account"
    for settings in ({"pace": -1}, {"opening_balance": 1.5}, {"efws_per_hour": True}, {"closed": ["x"]}):
        assert company.configure(**settings).json()["error"]["param"] == next(iter(settings))
    for chances in ({"fly": 0.1}, {"lose": 0.6, "drop": 0.6}, [], {"lose": True}):
        assert company.configure(chances=chances).json()["error"]["param"] == "chances"
    scripts = [{"answer": "no"}, {"answer": 77}, {"answer": []}, {"final": "fly"}, {"times": 0}, {"cause": "x"}]
    for script in [*scripts, {"hidden": -2}, {"notify": 1}, {"returned_by": "post"}, {"seconds": True}, {"nope": 1}]:
        answer = client.put("/_sim/stp/scripts/K1", json=script)
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, next(iter(script)))
    assert client.get("/_sim/stp/orders/none").status_code == 404
    assert client.post("/_sim/faults", json={"preset": "flood", "path": "/stp/.*"}).status_code == 422


def test_one_command_decides_about_an_order_that_is_here_or_still_to_come(company: Company) -> None:
    client, here, to_come = company.simulator.client, company.script(final="none"), "K" + "0" * 20
    company.register(claveRastreo=here)

    answers = [client.put(f"/_sim/stp/orders/{key}", json={"answer": -9, "final": "cancel"}) for key in (here, to_come)]

    assert [answer.json()["status"] for answer in answers] == ["CN", None]
    assert company.register(claveRastreo=to_come)["id"] == -9


def test_the_page_shows_sent_orders_and_escapes_them(notified: Company, receiver: Receiver) -> None:
    key = notified.register(nombreBeneficiario="<script>Ana", monto="1250.50")["key"]
    notified.until(key, "LQ")
    wait_for(lambda: receiver.received)

    page = notified.simulator.client.get("/").text

    assert key in page and "liquidada" in page and "$1,250.50" in page
    assert "&lt;script&gt;Ana" in page and "<script>" not in page


def test_orders_outlive_the_process(own_simulator: Simulator) -> None:
    company = Company(own_simulator)
    company.configure()
    key = company.script(seconds=1.0)
    company.register(claveRastreo=key)

    own_simulator.stop()
    own_simulator.start()

    company.until(key, "LQ")


def test_a_bank_holiday_is_no_operating_day() -> None:
    noon = datetime(2026, 12, 25, 18, 0, tzinfo=UTC)

    assert operating_date(noon) == date(2026, 12, 28)
    assert {date(2026, 4, 2), date(2026, 4, 3), date(2026, 2, 2), date(2026, 3, 16), date(2026, 11, 16)} <= holidays(
        2026
    )
    assert date(2030, 10, 1) in holidays(2030)
    assert len(holidays(2026)) == 11
