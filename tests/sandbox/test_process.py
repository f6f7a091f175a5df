from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from .process import ROOT, Receiver, Simulator, wait_for
from .test_conekta import Api, control, reference_of
from .test_stp import configure, send, settled, shown


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandbox", *arguments]
    return subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, timeout=300, check=False)


def test_a_restart_keeps_state_and_finishes_what_was_not_delivered(
    own_simulator: Simulator, receiver: Receiver
) -> None:
    configure(own_simulator, receiver)
    api = Api(own_simulator, receiver)
    order = api.order()
    receiver.delay = 30.0
    deposit = send(own_simulator)
    wait_for(lambda: receiver.received)

    code, seconds = own_simulator.stop()  # in the middle of an attempt
    receiver.delay = 0.0
    own_simulator.start()
    view = settled(own_simulator, deposit)

    assert code == 0 and seconds < 25
    assert view["status"] == "confirmed" and len(set(receiver.bodies())) == 1
    assert api.get(f"orders/{order['id']}") == order
    assert api.get("webhook_keys")["data"] == [api.key]
    assert control(own_simulator, "pay", reference_of(order)).status_code == 202
    wait_for(lambda: receiver.bodies("order.paid"))
    assert "Traceback" not in own_simulator.log.read_text()


def test_two_simulators_do_not_share_a_folder(simulator: Simulator) -> None:
    second = run("--port", "1", "--data", str(simulator.folder / "data"))

    assert second.returncode == 1 and "another simulator is running" in second.stderr


@pytest.mark.parametrize("arguments", [(), ("--port", "9"), ("--port", "99999", "--data", "x"), ("--port", "x")])
def test_a_wrong_start_says_what_is_missing(arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)

    assert ended.returncode == 2 and "error:" in ended.stderr and "Traceback" not in ended.stderr


def test_a_taken_port_is_a_clear_error(simulator: Simulator, tmp_path: Path) -> None:
    ended = run("--port", str(simulator.port), "--data", str(tmp_path))

    assert ended.returncode == 1 and "cannot listen on" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("GET", "/nothing", b"", 404),
        ("GET", "/conekta/nothing", b"", 404),
        ("DELETE", "/_sim/stp/config", b"", 405),
        ("GET", "/_sim/conekta/pay", b"", 405),
        ("POST", "/_sim/stp/deposits", b"{", 400),
        ("POST", "/_sim/stp/deposits", b"[]", 400),
        ("POST", "/_sim/stp/deposits", b'{"amount": NaN}', 400),
        ("POST", "/_sim/stp/deposits", b'{"clabe": "\\ud800"}', 400),
        ("POST", "/_sim/stp/deposits", b"[" * 100_000, 400),
        ("POST", "/_sim/stp/deposits", b" " * (1024 * 1024 + 1), 413),
        ("POST", "/_sim/conekta/pay", b'{"reference": 93}', 422),
        ("GET", "/_sim/stp/deposits/99999999999999999999999", b"", 404),
        ("GET", "/conekta/barcodes/1.svg", b"", 404),
        ("PUT", "/_sim/stp/config", b'{"empresa": "E", "clabe_prefix": "646", "deposits_url": "nope"}', 422),
    ],
)
def test_nonsense_is_answered_in_json(
    simulator: Simulator, method: str, path: str, content: bytes, status: int
) -> None:
    answer = simulator.client.request(method, path, content=content)

    assert answer.status_code == status
    assert ("error" in answer.json()) != path.startswith("/conekta")
    assert "Traceback" not in simulator.log.read_text()


def test_bytes_that_are_not_http_are_survived(simulator: Simulator) -> None:
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=120) as raw:
        raw.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert b"bad_request" in raw.recv(4096)

    assert simulator.client.get("/_sim/health").json() == {"status": "ok"}


def test_people_can_send_and_pay_from_the_page(simulator: Simulator, receiver: Receiver) -> None:
    configure(simulator, receiver)
    api = Api(simulator, receiver)
    customer = {"name": "<script>Ana</script>", "email": "a@example.mx", "phone": "5555555555"}
    order = api.order(customer_info=customer)

    spei = {"clabe": "646180157000000004", "amount": "$1,250.50", "payer_name": "Niño & Cía"}
    sent = simulator.client.post("/spei", data=spei)
    paid = simulator.client.post("/pagar", data={"reference": reference_of(order)})
    wait_for(lambda: receiver.bodies("order.paid"))
    wrong = simulator.client.post("/spei", data={**spei, "amount": "1.005"})
    again = simulator.client.post("/pagar", data={"reference": reference_of(order)})
    foreign = simulator.client.post("/pagar", data={}, headers={"Origin": "https://elsewhere.example"})
    page = simulator.client.get("/").text

    assert (sent.status_code, paid.status_code) == (303, 303)
    assert (wrong.status_code, again.status_code, foreign.status_code) == (422, 409, 403)
    assert "1,250.50" in wrong.text
    assert "&lt;script&gt;Ana" in page and "<script>" not in page
    assert "Niño &amp; Cía" in page and "$1,250.50" in page
    assert simulator.client.post("/pagar", headers={"Origin": simulator.url}, data={}).status_code == 404


def test_a_receiver_that_is_away_is_tried_again(simulator: Simulator, receiver: Receiver) -> None:
    configure(simulator, receiver)
    receiver.close()

    view = settled(simulator, send(simulator))

    assert view["status"] == "unanswered"
    assert [d["status"] for d in shown(simulator, view)["deliveries"]] == [None, None, None]
