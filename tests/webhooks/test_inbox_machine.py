"""For any notices in any order, inbox, payments and books equal a pure model (Hypothesis drives the views).

The model has neither tables nor locks: a dictionary of payments, one of deposits, one of notices. After every step all
states, deposits, transitions and balances must equal the model's. ``FULL=1``: 500 runs of 50 steps.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

import hypothesis
import pytest
from django.db import transaction
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core import clock
from core.money import fee_with_iva
from core.state import Origin, TransitionRow
from ledger.services import balance
from merchants.models import Event, Merchant
from payments.models import Deposit, Payment, PaymentTransition
from payments.services import payment as payment_service
from tests.ledger.books import held, platform
from tests.promises import Trials, pick
from tests.provider_messages import ConektaSender, StpSender
from webhooks.models import ProviderEvent

FEES = {"spei": (Decimal(1), 0), "oxxo": (Decimal("2.6"), 300)}
UNKNOWN_CLABE = "646180157099999997"
CONFIRM = {"spei": (200, {"mensaje": "confirmar"}), "oxxo": (200, {"received": True})}
WHICH = st.integers(0, 10**6)
AMOUNTS = st.sampled_from([100, 25_000, 99_999])


@dataclass
class ModelPayment:
    row: Payment
    method: str
    amount: int
    journey: list[str] = field(default_factory=lambda: ["pending"])

    @property
    def status(self) -> str:
        return self.journey[-1]


@dataclass
class Sent:
    """One notice that was sent, what it says, and what was answered."""

    method: str
    event_id: str
    raw: bytes
    answer: tuple[int, bytes]
    money: tuple[ModelPayment | None, str, int] | None = None
    """(payment, key of the deposit, amount) if it tells of money."""


class Inbox(RuleBasedStateMachine):
    """One merchant, STP and Conekta in test mode."""

    merchant: ClassVar[Merchant]
    stp: ClassVar[StpSender]
    conekta: ClassVar[ConektaSender]
    steps: ClassVar[list[int]]
    """Of each run that is over, how many notices it had."""

    @initialize()
    def begin(self) -> None:
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.payments: list[ModelPayment] = []
        self.deposits: dict[str, tuple[str, int, str]] = {}
        """Key -> (method, amount, "credited" or why it is in suspense)."""
        self.inbox: dict[str, str] = {}
        self.sent: list[Sent] = []
        self.number = 0
        self.posts = 0

    def teardown(self) -> None:
        if hasattr(self, "atomic"):
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)
            self.steps.append(self.posts)

    # --- the model -----------------------------------------------------------------------------------------------

    def money(self, method: str, payment: ModelPayment | None, key: str, amount: int) -> str:
        """What becomes of a notice that tells of money: its state in the inbox."""
        if key in self.deposits:
            return "ignored" if self.deposits[key][1] == amount else "conflict"
        if payment is None:
            fate = {"spei": "unknown_clabe", "oxxo": "unknown_order"}[method]
        elif payment.status == "completed":
            fate = "already_paid"
        elif payment.amount != amount:
            fate = "underpaid" if amount < payment.amount else "overpaid"
        else:
            fate = "credited"
            payment.journey.append("completed")
        self.deposits[key] = (method, amount, fate)
        return "processed"

    def closed(self, payment: ModelPayment, state: str) -> str:
        if payment.status != "pending":
            return "ignored"
        payment.journey.append(state)
        return "processed"

    # --- words ---------------------------------------------------------------------------------------------------

    def next(self) -> int:
        self.number += 1
        return self.number

    def of(self, method: str, which: int) -> ModelPayment | None:
        found = [one for one in self.payments if one.method == method]
        return found[which % len(found)] if found else None

    def post(self, method: str, raw: bytes) -> tuple[int, bytes]:
        self.posts += 1
        answer = (self.stp if method == "spei" else self.conekta).post(raw)
        return answer.status_code, answer.content

    def send(self, method: str, event_id: str, raw: bytes, state: str, money: Any = None) -> None:
        answer = self.post(method, raw)
        self.inbox[event_id] = state
        self.sent.append(Sent(method, event_id, raw, answer, money))
        if state == "conflict" and method == "spei":
            assert answer[0] == 400, answer
        else:
            assert (answer[0], json.loads(answer[1])) == CONFIRM[method]

    def spei(self, payment: ModelPayment | None, key: str, amount: int) -> tuple[str, bytes]:
        clabe = payment.row.clabe if payment else UNKNOWN_CLABE
        return f"20261120:40012:{key}", self.stp.deposit(clabe or "", amount, claveRastreo=key)

    def oxxo(self, payment: ModelPayment | None, kind: str, event_id: str, key: str, amount: int, **more: Any) -> bytes:
        row = payment.row if payment else Payment(public_id="pay_00000000000000000000000000", amount=amount)
        return self.conekta.event(row, kind, event_id=event_id, charge_id=key, amount=amount, **more)

    # --- what happens --------------------------------------------------------------------------------------------

    @rule(method=st.sampled_from(["spei", "oxxo"]), amount=AMOUNTS)
    def create(self, method: str, amount: int) -> None:
        wanted = payment_service.NewPayment(
            method=Payment.Method(method), amount=amount, expires_at=clock.now() + timedelta(days=1)
        )
        origin = Origin(TransitionRow.Cause.API, "key_test")
        row = payment_service.create(self.merchant, livemode=False, wanted=wanted, origin=origin)
        self.payments.append(ModelPayment(row, method, amount))

    @rule(which=WHICH, known=st.booleans(), wrong=st.sampled_from([0, 0, 1, -1]))
    def spei_money(self, which: int, known: bool, wrong: int) -> None:
        payment = self.of("spei", which) if known else None
        key, amount = f"KEY{self.next()}", (payment.amount if payment else 5_000) + wrong
        event_id, raw = self.spei(payment, key, amount)
        self.send("spei", event_id, raw, self.money("spei", payment, event_id, amount), (payment, key, amount))

    @rule(
        which=WHICH,
        known=st.booleans(),
        kind=st.sampled_from(["order.paid", "charge.paid"]),
        wrong=st.sampled_from([0, 0, 1, -1]),
    )
    def oxxo_money(self, which: int, known: bool, kind: str, wrong: int) -> None:
        payment = self.of("oxxo", which) if known else None
        key, amount = f"ch{self.next()}", (payment.amount if payment else 5_000) + wrong
        self._tell("evt", kind, payment, key, amount)

    @precondition(lambda self: any(one.money and one.method == "oxxo" for one in self.sent))
    @rule(which=WHICH, kind=st.sampled_from(["order.paid", "charge.paid"]), wrong=st.sampled_from([0, 0, 1]))
    def the_same_charge_in_another_event(self, which: int, kind: str, wrong: int) -> None:
        told = [one.money for one in self.sent if one.money and one.method == "oxxo"]
        payment, key, amount = told[which % len(told)]
        self._tell("again", kind, payment, key, amount + wrong)

    def _tell(self, prefix: str, kind: str, payment: ModelPayment | None, key: str, amount: int) -> None:
        event_id = f"{prefix}{self.next()}"
        raw = self.oxxo(payment, kind, event_id, key, amount)
        self.send("oxxo", event_id, raw, self.money("oxxo", payment, key, amount), (payment, key, amount))

    @precondition(lambda self: self.of("oxxo", 0))
    @rule(which=WHICH, kind=st.sampled_from(["order.expired", "charge.expired", "order.canceled"]))
    def nobody_pays(self, which: int, kind: str) -> None:
        payment = self.of("oxxo", which)
        assert payment is not None
        event_id = f"end{self.next()}"
        state = self.closed(payment, "cancelled" if kind == "order.canceled" else "expired")
        self.send("oxxo", event_id, self.oxxo(payment, kind, event_id, "ch0", payment.amount), state)

    @rule(which=WHICH, kind=st.sampled_from(["order.pending_payment", "webhook_ping", "customer.created"]))
    def something_else(self, which: int, kind: str) -> None:
        event_id = f"else{self.next()}"
        self.send("oxxo", event_id, self.oxxo(self.of("oxxo", which), kind, event_id, "ch0", 100), "ignored")

    @precondition(lambda self: self.of("oxxo", 0))
    @rule(which=WHICH)
    def paid_in_the_other_mode(self, which: int) -> None:
        event_id = f"live{self.next()}"
        raw = self.oxxo(self.of("oxxo", which), "order.paid", event_id, f"ch{self.next()}", 100, livemode=True)
        self.send("oxxo", event_id, raw, "conflict")

    @precondition(lambda self: self.sent)
    @rule(which=WHICH, times=st.integers(1, 3))
    def repeat(self, which: int, times: int) -> None:
        known = self.sent[which % len(self.sent)]
        for _ in range(times):
            assert self.post(known.method, known.raw) == known.answer

    @precondition(lambda self: self.sent)
    @rule(which=WHICH)
    def respell(self, which: int) -> None:
        """The same notice, its JSON written otherwise: what it says is the same, and so is the answer."""
        known = self.sent[which % len(self.sent)]
        assert self.post(known.method, known.raw + b" \n") == known.answer

    @precondition(lambda self: any(one.money for one in self.sent))
    @rule(which=WHICH, more=st.integers(1, 3))
    def contradict(self, which: int, more: int) -> None:
        """The same id with another amount books nothing, independent of the first outcome."""
        told = [one for one in self.sent if one.money]
        known = told[which % len(told)]
        assert known.money is not None
        payment, key, amount = known.money
        if known.method == "spei":
            raw = self.spei(payment, key, amount + more)[1]
        else:
            body = json.loads(known.raw)
            raw = self.oxxo(payment, body["type"], body["id"], key, amount + more)
        answer = self.post(known.method, raw)
        assert answer[0] == (400 if known.method == "spei" else 200)
        self.inbox[f"{known.event_id}|{amount + more}"] = "conflict"

    # --- and what is true afterwards -----------------------------------------------------------------------------

    @invariant()
    def the_inbox_is_the_models(self) -> None:
        if not hasattr(self, "inbox"):
            return
        rows = ProviderEvent.objects.values_list("event_id", "status")
        known = {event_id: status for event_id, status in rows if event_id in self.inbox}
        beside = Counter(status for event_id, status in rows if event_id not in self.inbox)
        assert known == {event_id: state for event_id, state in self.inbox.items() if "|" not in event_id}
        assert beside == +Counter({"conflict": sum("|" in event_id for event_id in self.inbox)})

    @invariant()
    def states_and_deposits_are_the_models(self) -> None:
        if not hasattr(self, "inbox"):
            return
        journeys: dict[int, list[str]] = {}
        for payment, state in PaymentTransition.objects.order_by("id").values_list("payment_id", "to_status"):
            journeys.setdefault(payment, []).append(state)
        assert dict(Payment.objects.values_list("pk", "status")) == {one.row.pk: one.status for one in self.payments}
        assert {pk: _steps(states) for pk, states in journeys.items()} == {
            one.row.pk: one.journey for one in self.payments
        }
        found = {
            key: (method, amount, reason or status)
            for key, method, amount, status, reason in Deposit.objects.values_list(
                "deposit_key", "provider_account__provider", "amount", "status", "suspense_reason"
            )
        }
        provider = {"spei": "stp", "oxxo": "conekta"}
        assert found == {key: (provider[method], *rest) for key, (method, *rest) in self.deposits.items()}
        completed = Counter(Event.objects.filter(type="payment.completed").values_list("object_id", flat=True))
        assert completed == Counter(one.row.public_id for one in self.payments if one.status == "completed")

    @invariant()
    def the_books_are_the_models(self) -> None:
        if not hasattr(self, "inbox"):
            return
        pots: Counter[str] = Counter()
        net = {"spei": 0, "oxxo": 0}
        for method, amount, fate in self.deposits.values():
            pots["stp_cash" if method == "spei" else "conekta_receivable"] += amount
            if fate != "credited":
                pots["suspense"] += amount
                continue
            percent, fixed = FEES[method]
            fee, tax = fee_with_iva(amount, percent=percent, fixed=fixed)
            pots["fee_revenue"] += fee
            pots["iva_payable"] += tax
            net[method] += amount - fee - tax
        assert platform() == +pots
        assert held(self.merchant) == +Counter(available=net["spei"], pending=net["oxxo"])
        figures = balance.of_merchant(self.merchant, livemode=False)
        assert (figures.available, figures.pending) == (net["spei"], net["oxxo"])


def _steps(states: list[str]) -> list[str]:
    """The states a payment went through; a row that records something else repeats the state it is in."""
    return [state for number, state in enumerate(states) if number == 0 or state != states[number - 1]]


@pytest.mark.django_db
@pytest.mark.promise("P3", "late, repeated and contradictory notices in any order against a pure model (Hypothesis)")
def test_inbox_payments_and_books_always_equal_the_model(
    trials: Trials, merchant: Merchant, stp: StpSender, conekta: ConektaSender
) -> None:
    Inbox.merchant, Inbox.stp, Inbox.conekta, Inbox.steps = merchant, stp, conekta, []

    run_state_machine_as_test(
        hypothesis.seed(trials.seed)(Inbox),
        settings=settings(
            max_examples=pick(15, 500),
            stateful_step_count=pick(25, 50),
            database=None,
            phases=[Phase.generate, Phase.shrink],
            report_multiple_bugs=False,
        ),
    )

    trials.done(len(Inbox.steps), "runs")
    trials.done(sum(Inbox.steps), "notices")
