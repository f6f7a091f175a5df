"""Adapters that pay out, each at a simulated provider that a test can tell what to do."""

from __future__ import annotations

import secrets
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import date
from typing import Any, Protocol

from core import clock
from core.mx.banking_days import banking_holidays, operating_date
from payments.providers.calls import Call, Record
from payments.providers.payout import OutgoingOrder, PayoutClient
from payments.providers.stp.client import StpClient
from tests.payments.providers.stp_orders import ORDER, key_pair
from tests.ports import hold_port
from tests.sandbox.process import Simulator


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
    """What a provider's simulator can be told, so that every adapter is asked the same questions."""

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

    def refuse(self, order: OutgoingOrder) -> None:
        """The order will be refused for its destination."""
        ...

    def lose_answer(self, order: OutgoingOrder) -> None:
        """The order will be taken and the answer lost."""
        ...

    def lose_request(self, order: OutgoingOrder) -> None:
        """The connection will be lost before the order is taken."""
        ...

    def answer(self, status: int, body: str) -> None:
        """The next request is answered with this."""
        ...

    def hide(self, order: OutgoingOrder) -> None:
        """The order will be taken and not shown."""
        ...

    def settle(self, order: OutgoingOrder) -> None:
        """An order that was taken settles now."""
        ...

    def send_back(self, order: OutgoingOrder, cause: int) -> None:
        """An order that settled comes back."""
        ...

    def add_phantom(self) -> str:
        """An order that is not ours appears; its tracking key."""
        ...

    def figures(self) -> tuple[int, int]:
        """(balance, pending) at the provider, in centavos."""
        ...


class StpAdapter:
    """STP's client at the simulated STP, with a company of its own."""

    def __init__(self, simulator: Simulator) -> None:
        private, public = key_pair()
        self._http = simulator.client
        self._company = f"EMPRESA_{secrets.token_hex(4)}"
        self.calls = Calls()
        self.account = ORDER.ordering_clabe
        self.client: PayoutClient = StpClient(self._company, private, f"{simulator.url}/stp", record=self.calls.record)
        self.unreachable: PayoutClient = StpClient(
            self._company, private, f"http://127.0.0.1:{hold_port()}", record=self.calls.record
        )
        config = {"empresa": self._company, "clabe_prefix": self.account[:10], "public_key": public, "pace": 3600}
        told = {**config, "deposits_url": "http://127.0.0.1:9/lost", "opening_balance": 10_000_000}
        self._put("/_sim/stp/config", told)

    def order(self, **changes: Any) -> OutgoingOrder:
        key = f"T{secrets.token_hex(10)}"
        return replace(ORDER, **{"tracking_key": key, "operating_date": self.today(), **changes})

    def today(self) -> date:
        now = clock.now()
        return operating_date(now, holidays=banking_holidays(now.year) | banking_holidays(now.year + 1))

    def refuse(self, order: OutgoingOrder) -> None:
        self._script(order, answer=-7)

    def lose_answer(self, order: OutgoingOrder) -> None:
        self._script(order, answer="lose")

    def lose_request(self, order: OutgoingOrder) -> None:
        self._script(order, answer="drop")

    def answer(self, status: int, body: str) -> None:
        fault = {"kind": "status", "path": "/stp/.*", "status": status, "body": body}
        self._http.post("/_sim/faults", json=fault).raise_for_status()

    def hide(self, order: OutgoingOrder) -> None:
        self._script(order, hidden=-1)

    def settle(self, order: OutgoingOrder) -> None:
        self._put(f"/_sim/stp/orders/{order.tracking_key}", {"final": "settle"})

    def send_back(self, order: OutgoingOrder, cause: int) -> None:
        told = {"final": "return", "return_after": 0, "cause": cause}
        self._put(f"/_sim/stp/orders/{order.tracking_key}", told)

    def add_phantom(self) -> str:
        answer = self._http.post("/_sim/stp/phantoms", json={"empresa": self._company})
        return str(answer.json()["tracking_key"])

    def figures(self) -> tuple[int, int]:
        told = self._http.get("/_sim/stp/balance", params={"empresa": self._company}).json()
        return told["balance"], told["pending"]

    def _script(self, order: OutgoingOrder, **script: Any) -> None:
        self._put(f"/_sim/stp/scripts/{order.tracking_key}", script)

    def _put(self, path: str, body: dict[str, Any]) -> None:
        self._http.put(path, json=body).raise_for_status()


ADAPTERS = {"stp": StpAdapter}
