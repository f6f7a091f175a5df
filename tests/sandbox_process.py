"""Conekta and STP as a real process that tests of our side talk to over HTTP (name it in ``pytest_plugins``)."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from payments.models import ProviderAccount
from tests.payments.providers.stp_orders import key_pair
from tests.provider_messages import ConektaSender, StpSender
from tests.sandbox.process import Simulator


@dataclass
class AtConekta:
    """Our account as the simulated Conekta sees it."""

    simulator: Simulator
    account: ProviderAccount
    api_key: str

    def orders(self, payment_id: str = "") -> list[dict[str, Any]]:
        """The account's orders (of one payment)."""
        answer = self.simulator.client.get(
            "/conekta/orders",
            params={"search": payment_id, "limit": "50"} if payment_id else {"limit": "50"},
            headers={"Authorization": f"Bearer {self.api_key}"},
        )
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    def move(self, base_url: str) -> None:
        """From now on our side reaches Conekta at another address."""
        self.account.base_url = base_url
        self.account.save(update_fields=["base_url"])

    def move_back(self) -> None:
        """From now on our side reaches the simulator again."""
        self.move(f"{self.simulator.url}/conekta")


@pytest.fixture(scope="session")
def conekta_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    running = Simulator(tmp_path_factory.mktemp("conekta"))
    running.start()
    yield running
    running.stop()
    running.client.close()


@pytest.fixture
def at_conekta(conekta_process: Simulator, conekta: ConektaSender) -> AtConekta:
    """The test account of fixture ``conekta`` with a key of its own at the running simulator."""
    api_key = f"key_{secrets.token_hex(12)}"
    conekta.account.credentials = {"api_key": api_key}
    conekta.account.base_url = f"{conekta_process.url}/conekta"
    conekta.account.save(update_fields=["credentials", "base_url"])
    return AtConekta(conekta_process, conekta.account, api_key)


@dataclass
class AtStp:
    """Our account as the simulated STP sees it; this process holds its signing key."""

    simulator: Simulator
    account: ProviderAccount

    def configure(self, **settings: Any) -> None:
        """Change settings of the company: ``orders_url``, ``deposits_url``, ``opening_balance``, ``pace`` …"""
        self._put("config", {"deposits_url": "http://127.0.0.1:9/lost", **self._company, **settings})

    def script(self, tracking_key: str, **script: Any) -> None:
        """How the order with this key will go (``sandbox.stp_script.Script``)."""
        self._put(f"scripts/{tracking_key}", script)

    def change(self, tracking_key: str, **script: Any) -> dict[str, Any]:
        """How an order that was taken goes on from now."""
        return self._put(f"orders/{tracking_key}", script)

    def orders(self) -> dict[str, dict[str, Any]]:
        """The company's orders by tracking key, phantoms too."""
        return {order["tracking_key"]: order for order in self.order_list()}

    def order_list(self) -> list[dict[str, Any]]:
        """Every order of the company, newest first: two with one tracking key are two."""
        answer = self.simulator.client.get("/_sim/stp/orders", params={"empresa": self.account.name, "limit": "100000"})
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    def notify(self, tracking_key: str, *states: str, cause: int | None = None) -> None:
        """Send these notices of an order, in this order, true or not."""
        path = f"/_sim/stp/orders/{tracking_key}/notices"
        self.simulator.client.post(path, json={"states": states, "cause": cause}).raise_for_status()

    def balance(self) -> int:
        """Centavos on the account at STP."""
        answer = self.simulator.client.get("/_sim/stp/balance", params={"empresa": self.account.name})
        return int(answer.json()["balance"])

    @property
    def _company(self) -> dict[str, Any]:
        return {"empresa": self.account.name, "clabe_prefix": self.account.clabe_prefix, "public_key": key_pair()[1]}

    def _put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.simulator.client.put(f"/_sim/stp/{path}", json=body)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told


@pytest.fixture
def at_stp(conekta_process: Simulator, stp: StpSender, tmp_path: Path, settings: Any) -> AtStp:
    """The test account of fixture ``stp`` as a company of its own at the running simulator, with its key here."""
    stp.account.base_url = f"{conekta_process.url}/stp"
    stp.account.name = f"EMPRESA_{secrets.token_hex(4)}"
    stp.account.save(update_fields=["base_url", "name"])
    (tmp_path / f"{stp.account.public_id}.pem").write_bytes(key_pair()[0])
    settings.STP_SIGNING_KEYS, settings.STP_SIGNING_PASSWORD = tmp_path, ""
    at = AtStp(conekta_process, stp.account)
    at.configure(pace=0.1)
    return at


@pytest.fixture
def black_hole() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    held: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                held.append(listening.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/conekta"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(60)
    for connection in held:
        connection.close()
