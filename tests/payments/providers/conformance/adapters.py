"""Adapters that pay out, each at a simulated provider that a test can tell what to do."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Protocol
from unittest import mock

from core import clock
from core.mx.banking_days import banking_holidays, operating_date
from payments.models import ProviderAccount
from payments.providers.calls import Call, Record
from payments.providers.payout import OrderStatus, OutgoingOrder, PayoutClient
from payments.providers.stp import client as stp_client
from payments.providers.stp.client import StpClient
from tests.payments.providers.stp_orders import ORDER, key_pair
from tests.ports import hold_port
from tests.sandbox.process import Simulator

OPENING = 10_000_000
"""Centavos on the ordering account before the first order."""


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Return as soon as ``condition`` holds; AssertionError if it does not."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class Calls:
    """Every request that a client makes, in its order; before each one ``refuse`` may forbid it."""

    def __init__(self) -> None:
        self.made: list[Call] = []
        self.open = 0
        self.refuse: Exception | None = None

    @property
    def record(self) -> Record:
        """For an adapter's ``Access.record``."""
        return self._recorded

    def _recorded(self, call: Call) -> AbstractContextManager[None]:
        @contextmanager
        def recording() -> Any:
            if self.refuse is not None:
                raise self.refuse
            self.made.append(call)
            self.open += 1
            try:
                yield
            finally:
                self.open -= 1

        return recording()


class Adapter(Protocol):
    """One provider: its client, and the controls of its simulator, so that every adapter is asked the same questions.

    The controls take an order's tracking key. An order without instructions is accepted and stays in flight.
    """

    name: str
    """In the registry."""
    calls: Calls
    client: PayoutClient
    unreachable: PayoutClient
    """One whose provider does not listen."""
    account: str
    """The ordering account."""

    def order(self, **changes: Any) -> OutgoingOrder:
        """A good order of today with a tracking key of its own."""
        ...

    def today(self) -> date:
        """The present operating date."""
        ...

    def answer(self, status: int, body: str) -> None:
        """The next request is answered with this."""
        ...

    # before an order is sent

    def refuse(self, tracking_key: str) -> None:
        """The order will be refused for its destination."""
        ...

    def turn_away(self, tracking_key: str) -> None:
        """The next attempt to send the order has no effect, and the provider says so."""
        ...

    def garble(self, tracking_key: str) -> None:
        """The order will not be taken, and the answer says nothing about it."""
        ...

    def lose_answer(self, tracking_key: str) -> None:
        """The order will be taken and the answer lost."""
        ...

    def lose_request(self, tracking_key: str) -> None:
        """The connection will be lost before the order is taken."""
        ...

    def answer_late(self, tracking_key: str) -> AbstractContextManager[None]:
        """Within the block the client gives up before the order, which is taken, is answered."""
        ...

    def call_used(self, tracking_key: str) -> None:
        """The order will be taken, and answered as if its tracking key had been used before."""
        ...

    def overtake(self, tracking_key: str) -> None:
        """The order will settle, and its notice arrive, before it is answered."""
        ...

    def hide(self, tracking_key: str) -> None:
        """The order will be taken and not shown."""
        ...

    # after it was taken

    def settle(self, tracking_key: str, *, notices: int = 1) -> None:
        """The order settles now and is notified so many times."""
        ...

    def cancel(self, tracking_key: str) -> None:
        """The order is cancelled now, with a notice."""
        ...

    def send_back(self, tracking_key: str, cause: int, *, notices: int = 1) -> None:
        """The order settles now and then comes back, each notified so many times."""
        ...

    def send_back_early(self, tracking_key: str) -> None:
        """The order comes back; this is notified before its settlement."""
        ...

    def notify(self, tracking_key: str, *states: OrderStatus) -> None:
        """Send these notices about the order, true or not; UNKNOWN has a spelling that is not in the catalogue."""
        ...

    def add_phantom(self) -> str:
        """An order that is not ours appears; its tracking key."""
        ...

    # what the provider knows

    def taken(self) -> dict[str, list[int]]:
        """The amounts of all orders by tracking key, phantoms too."""
        ...

    def is_quiet(self) -> bool:
        """True if every notice was delivered to the site of ``open_account``."""
        ...

    def figures(self) -> tuple[int, int]:
        """(balance, pending) at the provider, in centavos."""
        ...

    def open_account(self, site: str, keys: Path, settings: Any) -> ProviderAccount:
        """A test account of ours that is this company; its notices go to ``site``, its signing key into ``keys``."""
        ...


class StpAdapter:
    """STP's client at the simulated STP, with a company of its own."""

    name = "stp"
    words: ClassVar = {
        OrderStatus.SETTLED: "LIQUIDACION",
        OrderStatus.RETURNED: "DEVOLUCION",
        OrderStatus.CANCELLED: "CANCELACION",
        OrderStatus.UNKNOWN: "CCR",
    }

    def __init__(self, simulator: Simulator) -> None:
        private, public = key_pair()
        self._simulator, self._http = simulator, simulator.client
        self._company = f"EMPRESA_{secrets.token_hex(4)}"
        self._is_notified = False
        self.calls = Calls()
        self.account = ORDER.ordering_clabe
        self.client: PayoutClient = StpClient(self._company, private, f"{simulator.url}/stp", record=self.calls.record)
        self.unreachable: PayoutClient = StpClient(
            self._company, private, f"http://127.0.0.1:{hold_port()}", record=self.calls.record
        )
        self._configure(public_key=public, pace=3600, deposits_url="http://127.0.0.1:9/lost", opening_balance=OPENING)

    def order(self, **changes: Any) -> OutgoingOrder:
        key = f"T{secrets.token_hex(10)}"
        return replace(ORDER, **{"tracking_key": key, "operating_date": self.today(), **changes})

    def today(self) -> date:
        now = clock.now()
        return operating_date(now, holidays=banking_holidays(now.year) | banking_holidays(now.year + 1))

    def answer(self, status: int, body: str) -> None:
        fault = {"kind": "status", "path": "/stp/.*", "status": status, "body": body}
        self._http.post("/_sim/faults", json=fault).raise_for_status()

    def refuse(self, tracking_key: str) -> None:
        self._script(tracking_key, answer=-7)

    def turn_away(self, tracking_key: str) -> None:
        self._script(tracking_key, answer=-30)

    def garble(self, tracking_key: str) -> None:
        self._script(tracking_key, answer={"resultado": None})

    def lose_answer(self, tracking_key: str) -> None:
        self._script(tracking_key, answer="lose")

    def lose_request(self, tracking_key: str) -> None:
        self._script(tracking_key, answer="drop")

    @contextmanager
    def answer_late(self, tracking_key: str) -> Iterator[None]:
        self._script(tracking_key, answer_after=1.0)
        with mock.patch.object(stp_client, "SEND_SECONDS", 0.5):
            yield

    def call_used(self, tracking_key: str) -> None:
        self._script(tracking_key, answer="already_used")

    def overtake(self, tracking_key: str) -> None:
        self._script(tracking_key, seconds=0, answer_after=0.7)

    def hide(self, tracking_key: str) -> None:
        self._script(tracking_key, hidden=-1)

    def settle(self, tracking_key: str, *, notices: int = 1) -> None:
        self._change(tracking_key, notices, final="settle")

    def cancel(self, tracking_key: str) -> None:
        self._change(tracking_key, final="cancel")

    def send_back(self, tracking_key: str, cause: int, *, notices: int = 1) -> None:
        self.settle(tracking_key, notices=notices)
        until(self.is_quiet)
        self._change(tracking_key, notices, final="return", return_after=0, cause=cause)

    def send_back_early(self, tracking_key: str) -> None:
        self._change(tracking_key, final="return_first", cause=1)

    def notify(self, tracking_key: str, *states: OrderStatus) -> None:
        body = {"states": [self.words[state] for state in states], "cause": 1}
        self._http.post(f"/_sim/stp/orders/{tracking_key}/notices", json=body).raise_for_status()

    def add_phantom(self) -> str:
        answer = self._http.post("/_sim/stp/phantoms", json={"empresa": self._company})
        return str(answer.json()["tracking_key"])

    def taken(self) -> dict[str, list[int]]:
        found = defaultdict(list)
        for order in self._orders():
            found[order["tracking_key"]].append(order["amount"])
        return dict(found)

    def is_quiet(self) -> bool:
        return not self._is_notified or all(
            notice["status"] == "received" for order in self._orders() for notice in order["notices"]
        )

    def figures(self) -> tuple[int, int]:
        told = self._http.get("/_sim/stp/balance", params={"empresa": self._company}).json()
        return told["balance"], told["pending"]

    def open_account(self, site: str, keys: Path, settings: Any) -> ProviderAccount:
        secret = secrets.token_urlsafe(16)
        account = ProviderAccount.objects.create(
            provider=self.name,
            livemode=False,
            name=self._company,
            base_url=f"{self._simulator.url}/stp",
            webhook_username="stp-conformance",
            webhook_secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
            clabe_prefix=self.account[:10],
            clabe_sequence=1,
            ordering_clabe=self.account,
            ordering_name="EMPRESA DEMO",
            ordering_tax_id="EDE010101AB1",
        )
        (keys / f"{account.public_id}.pem").write_bytes(key_pair()[0])
        settings.STP_SIGNING_KEYS, settings.STP_SIGNING_PASSWORD = keys, ""
        us = f"{site.replace('//', f'//stp-conformance:{secret}@')}/webhooks/stp"
        self._is_notified = True
        self._configure(orders_url=f"{us}/orders", deposits_url=f"{us}/deposits")
        return account

    def _orders(self) -> list[dict[str, Any]]:
        asked = {"empresa": self._company, "limit": "1000"}
        found: list[dict[str, Any]] = self._http.get("/_sim/stp/orders", params=asked).json()["data"]
        return found

    def _configure(self, **settings: Any) -> None:
        self._put("/_sim/stp/config", {"empresa": self._company, "clabe_prefix": self.account[:10], **settings})

    def _script(self, tracking_key: str, **script: Any) -> None:
        self._put(f"/_sim/stp/scripts/{tracking_key}", script)

    def _change(self, tracking_key: str, notices: int = 1, **script: Any) -> None:
        told = {"notify": notices > 0, "times": max(1, notices), **script}
        self._put(f"/_sim/stp/orders/{tracking_key}", told)

    def _put(self, path: str, body: dict[str, Any]) -> None:
        self._http.put(path, json=body).raise_for_status()


ADAPTERS: dict[str, Callable[[Simulator], Adapter]] = {StpAdapter.name: StpAdapter}
"""By the provider's name: a new one passes every test of this folder with one entry here."""
