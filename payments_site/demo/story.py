"""The demo's scenario: a merchant's program uses the API, payers pay at their bank and at an OXXO till, and the
merchant pays out by SPEI.

Every step goes over HTTP, never through the database or a service, and raises if the result is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx2

from payments_site.demo.receiver import Receiver

Step = Callable[[str, Callable[[], Any]], Any]

PAID_WITHIN = 20.0
"""Seconds a payment may take to complete."""
SENT_WITHIN = 60.0
"""Seconds a payout may take to end. One whose answer was lost is asked about after a second."""
TOLD_WITHIN = 20.0
"""Seconds until the merchant's receiver has every event."""
PAYOUTS = {"settled": 20_000, "returned": 10_004, "lost": 15_010}
"""Centavos of each payout. To the simulator of STP .04 means that it comes back, .10 that its answer is lost."""


class StepFailed(Exception):
    """A step failed; the message says what was observed."""


class Story:
    """One merchant, one payer, two payments and three payouts."""

    def __init__(
        self, *, base_url: str, sandbox_url: str, api_key: str, conekta_api_key: str, receiver: Receiver
    ) -> None:
        self.api = _client(base_url, {"Authorization": f"Bearer {api_key}"})
        self.payer = _client(sandbox_url, {})
        self.conekta = _client(f"{sandbox_url}/conekta", {"Authorization": f"Bearer {conekta_api_key}"})
        self.receiver = receiver
        self.before: dict[str, Any] = {}
        self.after: dict[str, Any] = {}
        self.spei: dict[str, Any] = {}
        self.oxxo: dict[str, Any] = {}
        self.late: dict[str, Any] = {}
        self.payouts: dict[str, dict[str, Any]] = {}

    def tell(self, step: Step) -> None:
        """Run every step; the first failure raises ``StepFailed``."""
        self.before = step("balance before", self._balance)
        self.spei = step("POST /v1/payments  SPEI $1,000.00", lambda: self._create("spei", 100_000))
        step("the payer sends the SPEI transfer; STP calls us", self._pay_spei)
        self.spei = step("the SPEI payment is completed", lambda: self._completed(self.spei))
        self.oxxo = step("POST /v1/payments  OXXO $500.00", lambda: self._create("oxxo", 50_000))
        step("the payer pays at OXXO; Conekta calls us", self._pay_oxxo)
        self.oxxo = step("the OXXO payment is completed", lambda: self._completed(self.oxxo))
        step("test helper: a cancelled payment is paid late, told 5 times", self._paid_late)
        self.after = step("balance after: it rose by what the payments say", self._balance_rose)
        step("Conekta sends its notice again: nothing changes", self._notify_again)
        step("POST /v1/payouts  $150.10: STP's answer is lost", self._send_and_lose)
        step("POST /v1/payouts  $200.00", lambda: self._send("settled"))
        step("POST /v1/payouts  $100.04", lambda: self._send("returned"))
        step("the $200.00 settle", lambda: self._ended("settled", "completed"))
        step("the $100.04 settle, and their bank sends them back", lambda: self._ended("returned", "returned"))
        step("the $150.10 were sent once: asking finds them settled", lambda: self._ended("lost", "completed"))
        self.after = step("balance after: it fell by the payouts and their fees", self._balance_fell)
        step("the receiver got every event of it, signed", self._told)

    def _told(self) -> None:
        """What was pushed to the receiver is what the feed tells of this story's objects."""
        objects = {self.spei["id"], self.oxxo["id"], self.late["id"], *(each["id"] for each in self.payouts.values())}
        feed = _json(self.api.get("/v1/events?limit=100"))["data"]
        wanted = {event["id"]: event for event in feed if event["data"]["object"]["id"] in objects}
        until = time.monotonic() + TOLD_WITHIN
        while wanted.keys() - self.receiver.events.keys() and time.monotonic() < until:
            time.sleep(0.05)
        if {each: self.receiver.events.get(each) for each in wanted} != wanted or self.receiver.refused:
            raise StepFailed(
                f"The receiver got {len(wanted.keys() & self.receiver.events.keys())} of {len(wanted)} events "
                f"and refused {self.receiver.refused} requests"
            )

    def _balance(self) -> dict[str, Any]:
        return _json(self.api.get("/v1/balance"))

    def _create(self, method: str, amount: int) -> dict[str, Any]:
        payment = _json(
            self.api.post(
                "/v1/payments",
                json={
                    "method": method,
                    "amount": amount,
                    "currency": "MXN",
                    "description": "Café de altura, 2 kg",
                    "customer": {"name": "Luisa Ortega", "email": "luisa@example.mx", "phone": "5555555555"},
                    "metadata": {"order": "demo"},
                },
                headers={"Idempotency-Key": str(uuid4())},
            ),
            201,
        )
        if payment["status"] != "pending" or not payment[method]:
            raise StepFailed(f"The new payment is {payment['status']}, its {method} part {payment[method]}")
        return payment

    def _pay_spei(self) -> None:
        transfer = {"clabe": self.spei["spei"]["clabe"], "amount": self.spei["amount"], "payer_name": "LUISA ORTEGA"}
        _json(self.payer.post("/_sim/stp/deposits", json=transfer), 202)

    def _pay_oxxo(self) -> None:
        _json(self.payer.post("/_sim/conekta/pay", json={"reference": self.oxxo["oxxo"]["reference"]}), 202)

    def _completed(self, payment: dict[str, Any]) -> dict[str, Any]:
        until = time.monotonic() + PAID_WITHIN
        while True:
            found = _json(self.api.get(f"/v1/payments/{payment['id']}"))
            if found["status"] == "completed":
                return found
            if found["status"] not in ("pending", "cancelled") or time.monotonic() > until:
                raise StepFailed(f"Payment {payment['id']} is {found['status']} after {PAID_WITHIN:.0f} s")
            time.sleep(0.05)

    def _paid_late(self) -> str:
        self.late = self._create("spei", 20_000)
        _json(self.api.post(f"/v1/payments/{self.late['id']}/cancel"))
        how = {"late": True, "times": 5}
        _json(self.api.post(f"/v1/test/payments/{self.late['id']}/pay", json=how), 202)
        self.late = self._completed(self.late)
        return f"completed once: {self.late['amount_received']} centavos"

    def _balance_rose(self) -> dict[str, Any]:
        found = self._balance()
        rose = {name: found[name] - self.before[name] for name in ("available", "pending")}
        wanted = {"available": self.spei["net"] + self.late["net"], "pending": self.oxxo["net"]}
        if rose != wanted:
            raise StepFailed(f"The balance rose by {rose} instead of {wanted}")
        return found

    def _notify_again(self) -> str:
        state = self._state()
        order = _json(self.payer.get(f"/_sim/conekta/orders/{self.oxxo['oxxo']['reference']}"))
        paid = next(event for event in order["events"] if event["type"] == "order.paid")
        webhooks = [webhook["id"] for webhook in _json(self.conekta.get("/webhooks"))["data"]]
        sent = _json(self.conekta.post(f"/events/{paid['id']}/resend", json={"webhooks_ids": webhooks}))
        statuses = [delivery["status"] for delivery in sent["deliveries"]]
        if statuses != [200] * len(webhooks):
            raise StepFailed(f"The repeated notice was answered {statuses}")
        if self._state() != state:
            raise StepFailed("The repeated notice changed something")
        return f"answered {statuses[0]} again"

    def _send(self, name: str) -> None:
        body = {
            "amount": PAYOUTS[name],
            "currency": "MXN",
            "destination": {"clabe": "012180015025335996", "name": "Tostadores del Sur"},
            "concept": "Café verde, 12 kg",
        }
        payout: dict[str, Any] = _json(
            self.api.post("/v1/payouts", json=body, headers={"Idempotency-Key": str(uuid4())}), 202
        )
        if payout["status"] != "pending":
            raise StepFailed(f"The new payout is {payout['status']}")
        self.payouts[name] = payout

    def _send_and_lose(self) -> None:
        """Send a payout whose answer is lost, and let STP send no notice of it: only asking can tell what became."""
        self._send("lost")
        self._payout("lost", lambda found: bool(found["delayed"]), "is not delayed")
        path = f"/v1/test/payouts/{self.payouts['lost']['id']}/outcome"
        _json(self.api.post(path, json={"outcome": "silence"}), 202)

    def _ended(self, name: str, status: str) -> None:
        self._payout(name, lambda found: found["status"] == status, f"is not {status}")

    def _payout(self, name: str, wanted: Callable[[dict[str, Any]], bool], otherwise: str) -> None:
        until = time.monotonic() + SENT_WITHIN
        while not wanted(found := _json(self.api.get(f"/v1/payouts/{self.payouts[name]['id']}"))):
            if time.monotonic() > until:
                raise StepFailed(f"Payout {found['id']} {otherwise} after {SENT_WITHIN:.0f} s but {found['status']}")
            time.sleep(0.05)
        self.payouts[name] = found

    def _balance_fell(self) -> dict[str, Any]:
        """A payout costs its amount, fee and IVA; one that came back only the fee and the IVA."""
        found = self._balance()
        costs = [payout["fee"] + payout["fee_tax"] for payout in self.payouts.values()]
        wanted = self.after["available"] - PAYOUTS["settled"] - PAYOUTS["lost"] - sum(costs)
        if (found["available"], found["reserved"]) != (wanted, self.before["reserved"]):
            raise StepFailed(
                f"Available are {found['available']} instead of {wanted}, reserved {found['reserved']} centavos"
            )
        return found

    def _state(self) -> dict[str, Any]:
        """Everything a merchant can see that a repeated notice might change."""
        balance = self._balance()
        balance.pop("as_of")
        return {
            "balance": balance,
            "payment": _json(self.api.get(f"/v1/payments/{self.oxxo['id']}")),
            "events": _json(self.api.get("/v1/events?limit=100"))["data"],
        }


def _client(base_url: str, headers: dict[str, str]) -> httpx2.Client:
    return httpx2.Client(base_url=base_url, headers=headers, timeout=15, trust_env=False)


def _json(response: httpx2.Response, status: int = 200) -> Any:
    if response.status_code != status:
        request = response.request
        raise StepFailed(f"{request.method} {request.url.path} answered {response.status_code}: {response.text[:500]}")
    return response.json()
