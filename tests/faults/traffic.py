"""Providers that post notices to a running site, from several threads, and remember every answer."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Self

from tests.faults.house import AMOUNT, House, Order
from tests.web_process import Answer, Web


@dataclass(frozen=True)
class Message:
    """One notice, ready to be posted: signed, and byte for byte the same each time."""

    event_id: str
    """As the inbox knows it."""
    path: str
    body: bytes
    headers: dict[str, str] = field(hash=False)
    order: Order | None = None

    def post(self, web: Web, *, timeout: float = 120.0) -> Answer:
        """Raises ``OSError`` or ``HTTPException`` if no answer comes."""
        headers = {"Content-Type": "application/json"} | self.headers
        return web.request("POST", self.path, self.body, headers, timeout=timeout)


def spei_paid(house: House, order: Order) -> Message:
    """STP: the money of this payment has arrived."""
    key = f"T{order.clabe}"
    body = {
        "fechaOperacion": 20261120,
        "institucionOrdenante": 40012,
        "claveRastreo": key,
        "monto": AMOUNT // 100,
        "cuentaBeneficiario": order.clabe,
        "tipoPago": 1,
        "tsLiquidacion": str(int((time.time() - 60) * 1000)),
    }
    raw = json.dumps(body).encode()
    headers = {"Authorization": house.stp_authorization}
    return Message(f"20261120:40012:{key}", "/webhooks/stp/deposits", raw, headers, order)


def conekta_event(house: House, event_id: str, event_type: str, data: object, order: Order | None = None) -> Message:
    """Any event of Conekta's, signed."""
    body = {
        "id": event_id,
        "object": "event",
        "type": event_type,
        "created_at": int(time.time()),
        "livemode": False,
        "data": {"object": data},
    }
    raw = json.dumps(body).encode()
    return Message(event_id, "/webhooks/conekta", raw, {"DIGEST": house.digest(raw)}, order)


def oxxo_paid(house: House, order: Order) -> list[Message]:
    """Conekta tells of one payment in cash twice: ``order.paid`` and ``charge.paid``."""
    ours = order.public_id
    charge = {
        "id": f"ch{ours}",
        "object": "charge",
        "status": "paid",
        "amount": AMOUNT,
        "currency": "MXN",
        "order_id": f"ord{ours}",
        "paid_at": int(time.time()) - 60,
        "reference_id": ours,
        "payment_method": {"object": "cash_payment", "type": "oxxo", "reference": "93000262276908"},
    }
    whole = {
        "id": f"ord{ours}",
        "object": "order",
        "amount": AMOUNT,
        "currency": "MXN",
        "payment_status": "paid",
        "metadata": {"payment_id": ours},
        "charges": {"object": "list", "data": [charge]},
    }
    return [
        conekta_event(house, f"evo{ours}", "order.paid", whole, order),
        conekta_event(house, f"evc{ours}", "charge.paid", charge, order),
    ]


def oxxo_expired(house: House, order: Order) -> Message:
    """Conekta says, perhaps too late, that nobody paid."""
    ours = order.public_id
    whole = {
        "id": f"ord{ours}",
        "object": "order",
        "payment_status": "expired",
        "metadata": {"payment_id": ours},
        "charges": {"object": "list", "data": []},
    }
    return conekta_event(house, f"eve{ours}", "order.expired", whole, order)


class Traffic:
    """Threads that post messages until each has its 2xx, as a provider does: what got another answer, or none, is
    sent again, and one in ``repeat`` of the acknowledged ones too.

    ``pause`` seconds lie between two messages of one thread. Leaving the block stops the threads.
    """

    def __init__(
        self,
        web: Web,
        messages: Iterable[Message],
        chance: random.Random,
        *,
        threads: int = 4,
        pause: float = 0.0,
        repeat: int = 5,
        patience: float = 120.0,
    ) -> None:
        self.acknowledged: dict[str, Message] = {}
        """Event id -> what was answered 2xx at least once."""
        self.answers: list[tuple[float, float, int | None]] = []
        """(moment it was sent, seconds it took, status or None without an answer) in the order of the answers."""
        self.refused: list[Answer] = []
        """Every answer but 2xx."""
        self._web, self._patience, self._pause, self._repeat = web, patience, pause, repeat
        self._chance, self._lock = random.Random(chance.random()), threading.Lock()
        self._waiting = list(messages)
        self._total = len({message.event_id for message in self._waiting})
        self._chance.shuffle(self._waiting)
        self._stop = threading.Event()
        self._errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(self._patience + 5)
        assert not any(thread.is_alive() for thread in self._threads), "a request never ended"
        assert not self._errors, self._errors

    @property
    def is_done(self) -> bool:
        """Whether every message has got its 2xx."""
        return len(self.acknowledged) == self._total

    def statuses(self) -> Counter[int | None]:
        return Counter(status for _, _, status in self.answers)

    def wait_for_answers(self, count: int, *, seconds: float = 300.0) -> None:
        """Return when ``count`` more messages were acknowledged, or none are left."""
        goal, end = len(self.acknowledged) + count, time.monotonic() + seconds
        while len(self.acknowledged) < goal and not self.is_done:
            assert time.monotonic() < end, f"too few answers: {self.statuses()}"
            time.sleep(0.001)

    def wait_until_done(self, *, seconds: float = 600.0) -> None:
        """Return when every message was acknowledged."""
        end = time.monotonic() + seconds
        while not self.is_done:
            assert time.monotonic() < end, f"{self._total - len(self.acknowledged)} without 2xx: {self.statuses()}"
            time.sleep(0.005)

    def _send(self) -> None:
        try:
            while not self._stop.wait(self._pause):
                message = self._next()
                if message is None:
                    self._stop.wait(0.01)
                elif not self._post(message):
                    self._stop.wait(0.01)
        except BaseException as error:
            self._errors.append(error)

    def _next(self) -> Message | None:
        with self._lock:
            if self.acknowledged and self._chance.randrange(self._repeat) == 0:
                return self._chance.choice(list(self.acknowledged.values()))
            return self._waiting.pop() if self._waiting else None

    def _post(self, message: Message) -> bool:
        sent, answer = time.monotonic(), None
        try:
            answer = message.post(self._web, timeout=self._patience)
        except (OSError, HTTPException):
            pass
        good = answer is not None and 200 <= answer.status < 300
        with self._lock:
            self.answers.append((sent, time.monotonic() - sent, answer and answer.status))
            if good:
                self.acknowledged[message.event_id] = message
            elif answer is not None:
                self.refused.append(answer)
            if not good and message.event_id not in self.acknowledged:
                self._waiting.insert(self._chance.randint(0, len(self._waiting)), message)
        return good
