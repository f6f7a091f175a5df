"""A provider that pays out, played in this process: what it knows of orders is the truth that payouts must follow.

``StpScript`` stands where the adapter stands; its calls are recorded as real ones. Tests of the wire use the simulator.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import time_machine
from django.db import transaction

from core import calendar, clock, ids
from core.errors import OutcomeUnknown, ProviderNotContacted
from core.state import Origin, TransitionRow
from core.unit_of_work import joined
from ledger.services.balance import of_merchant
from ledger.services.journal import PostingTime
from ledger.services.postings import pay_in
from merchants.models import Event, Merchant
from payments.models import Payout, ProviderAccount, ProviderCall, ReviewCase
from payments.providers import registry
from payments.providers.base import Access
from payments.providers.calls import Call, Outcome
from payments.providers.payout import (
    Balance,
    ClabeHolder,
    OrderState,
    OrderStatus,
    OutgoingOrder,
    RegistrationResult,
    SendReason,
    SendResult,
)
from payments.services import payout_inquiry, payout_return, payout_sending
from payments.services.payout_lock import lock
from payments.services.refund_outcome import record_change
from tests.provider_messages import StpSender

CLABE = "012180015025335996"
"""A valid CLABE at another bank."""


@dataclass
class Known:
    """One order as the provider has it."""

    order: OutgoingOrder
    order_id: str
    status: OrderStatus = OrderStatus.IN_PROGRESS
    cause: int | None = None
    return_tracking_key: str = ""


@dataclass
class StpScript:
    """The provider. ``answers``: what becomes of the next sends, in order; then all are accepted.

    ``accept``; ``lost`` (accepted, the answer is lost); ``vanish`` (not accepted, the answer is lost); ``unreached``;
    ``refuse``; ``pld`` (refused, and a person must look); ``unwritable`` (the adapter cannot write the order);
    ``unreadable`` (accepted, and a fault of the adapter while it reads the answer); ``duplicate`` (as if the tracking
    key had been used).
    """

    answers: list[str] = field(default_factory=list)
    orders: dict[str, Known] = field(default_factory=dict)
    received: list[OutgoingOrder] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    is_down: bool = False
    amount: int = 10**12
    questions: list[str] = field(default_factory=list)
    before_answer: Callable[[], object] | None = None
    before_state: Callable[[], object] | None = None
    """Called once while an inquiry about one order is being answered, after its state was read."""
    before_balance: Callable[[], object] | None = None
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1000))
    registrations: list[RegistrationResult] = field(default_factory=list)
    """What becomes of the next registrations of CLABEs."""
    registered: list[tuple[str, ClabeHolder]] = field(default_factory=list)

    def connect(self, access: Access) -> StpScriptClient:
        return StpScriptClient(self, access)

    def set(self, payout: Payout, status: OrderStatus, cause: int | None = None) -> None:
        known = self.orders[payout.tracking_key]
        known.status, known.cause = status, cause

    def settled(self) -> int:
        """Centavos that left for good."""
        return sum(known.order.amount for known in self.orders.values() if known.status == OrderStatus.SETTLED)


class StpScriptClient:
    def __init__(self, script: StpScript, access: Access) -> None:
        self.script, self.access = script, access

    def send(self, order: OutgoingOrder) -> SendResult:
        if self.script.answers[:1] == ["unwritable"]:
            self.script.answers.pop(0)
            raise ValueError("the ordering name cannot be written")
        call = Call("send_payout", repr(order))
        try:
            with self.access.record(call):
                result = self._send(order)
                call.outcome = result.outcome
                return result
        except ProviderNotContacted as error:
            return SendResult(Outcome.NOT_SENT, SendReason.UNREACHABLE, detail=str(error))

    def _send(self, order: OutgoingOrder) -> SendResult:
        script = self.script
        answer = script.answers.pop(0) if script.answers else "accept"
        if answer == "pld":
            return SendResult(Outcome.REFUSED, SendReason.COMPLIANCE_REJECTED, code="-200", detail="Se rechaza por PLD")
        if answer == "unreached":
            if self.script.before_answer is not None:
                self.script.before_answer()
            return SendResult(Outcome.NOT_SENT, SendReason.UNREACHABLE)
        script.received.append(order)
        if answer == "refuse":
            return SendResult(Outcome.REFUSED, SendReason.DESTINATION_INVALID, code="-7", detail="La cuenta no existe")
        if answer == "vanish":
            return SendResult(Outcome.UNKNOWN, SendReason.ANSWER_LOST)
        if order.tracking_key in script.orders or answer == "duplicate":
            return SendResult(Outcome.UNKNOWN, SendReason.ALREADY_USED, code="-1")
        known = Known(order, str(next(script.numbers)))
        script.orders[order.tracking_key] = known
        if script.before_answer is not None:
            script.before_answer()
        if answer == "lost":
            return SendResult(Outcome.UNKNOWN, SendReason.ANSWER_LOST)
        if answer == "unreadable":
            raise ValueError("a number with too many digits")
        return SendResult(Outcome.ACCEPTED, order_id=known.order_id)

    def find_sent(self, tracking_key: str, operating_date: date, *, today: date) -> OrderState | None:
        with self.access.record(Call("find_payout", tracking_key, quota="efws")):
            self._ask(f"find:{tracking_key}")
            known = self.script.orders.get(tracking_key)
            found = None if known is None or tracking_key in self.script.hidden else _state(known)
            meanwhile, self.script.before_state = self.script.before_state, None
            if meanwhile is not None:
                meanwhile()
            return found

    def list_sent(self, day: date, *, today: date) -> Iterator[list[OrderState]]:
        with self.access.record(Call("list_payouts", f"{day}", quota="efws")):
            self._ask(f"list:{day}")
            orders = [
                _state(known)
                for key, known in self.script.orders.items()
                if known.order.operating_date == day and key not in self.script.hidden
            ]
        yield orders

    def balance(self, clabe: str) -> Balance:
        with self.access.record(Call("read_balance", clabe, quota="efws")):
            self._ask("balance")
            if self.script.before_balance is not None:
                self.script.before_balance()
            return Balance(self.script.amount, 0)

    def register_clabe(self, clabe: str, holder: ClabeHolder) -> RegistrationResult:
        call = Call("register_clabe", clabe)
        with self.access.record(call):
            self.script.registered.append((clabe, holder))
            result = self.script.registrations.pop(0)
            call.outcome = result.outcome
            return result

    def _ask(self, what: str) -> None:
        self.script.questions.append(what)
        if self.script.is_down:
            raise OutcomeUnknown("no answer")


def _state(known: Known) -> OrderState:
    order = known.order
    return OrderState(
        tracking_key=order.tracking_key,
        status=known.status,
        provider_status=known.status.upper(),
        order_id=known.order_id,
        operating_date=order.operating_date,
        amount=order.amount,
        beneficiary_clabe=order.beneficiary_clabe,
        ordering_clabe=order.ordering_clabe,
        reference=order.reference,
        cause=known.cause,
        return_tracking_key=known.return_tracking_key,
        settled_at=clock.now() if known.status == OrderStatus.SETTLED else None,
    )


def patched(script: StpScript, monkeypatch: Any) -> StpScript:
    """Let ``script`` be what stands behind accounts at STP."""
    spec = replace(registry.PROVIDERS["stp"], connect=script.connect, signs=False)
    monkeypatch.setitem(registry.PROVIDERS, "stp", spec)
    return script


def ready_to_send(account: ProviderAccount) -> None:
    """Give the account what an order says of us."""
    ProviderAccount.objects.filter(pk=account.pk).update(
        base_url="http://127.0.0.1:9/stp",
        ordering_clabe="646180157000000004",
        ordering_name="EMPRESA DEMO",
        ordering_tax_id="EDE010101AB1",
    )


def fund(merchant: Merchant, amount: int, *, livemode: bool = False) -> None:
    """Put ``amount`` centavos on the merchant's balance, as a top-up does."""
    now = clock.now()
    with transaction.atomic():
        pay_in.merchant_top_up(
            merchant,
            livemode=livemode,
            source=ids.new_id("deposit"),
            amount=amount,
            when=PostingTime(now, calendar.operating_date(now)),
        )


def wanted(**changes: Any) -> dict[str, Any]:
    """The body of a valid request for a payout."""
    return {
        "amount": 50_000,
        "currency": "MXN",
        "destination": {"clabe": CLABE, "name": "Ricardo Peña"},
        "concept": "Liquidación 17",
        **changes,
    }


def as_sent(payout: Payout, outcome: str = "unknown", *calls: str, **fields: Any) -> Payout:
    """Let a pending payout be one that was sent, in the state that the worker would leave; no provider is called.

    ``calls``: the outcome of each call ("": it never ended), ``outcome`` alone by default.
    """
    now = clock.now()
    origin = Origin(TransitionRow.Cause.WORKER, "payouts", payout.tracking_key)
    for each in calls or (outcome,):
        call = ProviderCall.objects.create(
            account=payout.provider_account,
            livemode=payout.livemode,
            operation="send_payout",
            object_id=payout.public_id,
            request=f"PUT ordenPago {payout.tracking_key} 012180********5996",
        )
        if each:
            answer = "<html>502 Bad Gateway</html>" if each == "unknown" else '{"resultado": {"id": 1000}}'
            ProviderCall.objects.filter(pk=call.pk).update(outcome=each, status=502, answer=answer, duration_ms=41)
    with transaction.atomic():
        payout = lock(payout.pk)
        payout.start(at=now, operating_date=calendar.operating_date(now))
        values = {
            "send_outcome": outcome,
            "sends": len(calls) or 1,
            "send_started_at": now,
            "delayed": outcome == "unknown",
            "waiting_for": "",
            "next_attempt_at": now + timedelta(minutes=5),
            **fields,
        }
        for name, value in values.items():
            setattr(payout, name, value)
        with joined() as writes:
            writes.update(payout, "status", "first_sent_at", "operating_date", *values)
            record_change(payout, from_status="pending", origin=origin, event_type="payout.processing")
    return Payout.objects.select_related("provider_account", "merchant").get(pk=payout.pk)


def order_state(payout: Payout, state: str, *, order_id: str | None = None, **changes: Any) -> bytes:
    """STP's notice about a payout's order."""
    return json.dumps(
        {
            "id": int(order_id or payout.order_id or "1000"),
            "empresa": "EMPRESA_DEMO",
            "folioOrigen": payout.public_id,
            "estado": state,
            "causaDevolucion": "",
            "tsLiquidacion": str(int(clock.now().timestamp() * 1000)),
            **changes,
        }
    ).encode()


def notify(stp: StpSender, raw: bytes) -> Any:
    """Send a change of state to our webhook."""
    return stp.post(raw, path="/webhooks/stp/orders")


def send_back(stp: StpSender, payout: Payout, *, key: str = "DEV1", amount: int | None = None, **changes: Any) -> Any:
    """The beneficiary's bank sends the payout's money back as a transfer; STP's notice of it."""
    body = {
        "id": 7_000_000,
        "tipoPago": 16,
        "claveRastreo": key,
        "claveRastreoDevolucion": payout.tracking_key,
        "institucionOrdenante": int(payout.destination_bank),
        "fechaOperacion": int(f"{calendar.operating_date(clock.now()):%Y%m%d}"),
        "tsLiquidacion": str(int(clock.now().timestamp() * 1000)),
        **changes,
    }
    return stp.post(stp.deposit("646180157000000004", payout.amount if amount is None else amount, **body))


def list_returns(account: ProviderAccount) -> int:
    """The provider's list shows every returned transfer that waits; the number of those matched by it."""
    cases = ReviewCase.objects.filter(status="to_match")
    return payout_return.confirm(account, list(cases.values_list("deposit__deposit_key", flat=True)))


def balances(merchant: Merchant) -> dict[str, int]:
    found = of_merchant(merchant, livemode=False)
    return {name: getattr(found, name) for name in ("available", "reserved", "debt")}


def create(api: Any, key: str = "k-1", **changes: Any) -> Payout:
    """A payout made by the API."""
    answer = api.post("/v1/payouts", wanted(**changes), key=key)
    assert answer.status_code == 202, answer.content
    return Payout.objects.get(public_id=answer.json()["id"])


def sent(api: Any, **changes: Any) -> Payout:
    """A payout whose first send is over."""
    payout = create(api, **changes)
    payout_sending.advance(payout.pk)
    payout.refresh_from_db()
    return payout


def later(payout: Payout, moment: timedelta = timedelta(0)) -> None:
    """Ask when the payout's next question is due."""
    payout.refresh_from_db()
    assert payout.next_attempt_at is not None
    with time_machine.travel(max(clock.now(), payout.next_attempt_at) + moment + timedelta(seconds=1), tick=True):
        payout_inquiry.ask_due()
    payout.refresh_from_db()


def events(payout: Payout) -> list[str]:
    """The types of its events, in order."""
    rows = Event.objects.filter(object_id=payout.public_id).order_by("object_sequence")
    return [event.type.removeprefix("payout.") for event in rows]
