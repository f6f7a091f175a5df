"""Conekta as a real process that tests of our side talk to over HTTP (pytest plugin: name it in ``pytest_plugins``)."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from payments.models import ProviderAccount
from tests.provider_messages import ConektaSender
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
