"""Random histories of payouts with lost, repeated, reordered and forged messages: money leaves once or not at all.

Beneficiaries' banks send money back as transfers, with and without its tracking key, which lists and people match.
The provider's truth is ``StpScript``; notices and answers tell of it late, twice, or not. After each step no order was
sent twice, holds are those of the payouts that are open, and nothing is called failed that went out. At the end all is
asked, and states, balances and the provider's account agree. ``FULL=1``: 5,000 runs.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any, ClassVar

import hypothesis
import pytest
import time_machine
from django.db import transaction
from hypothesis import Phase
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from core import clock
from core.errors import IllegalTransition, InsufficientFunds, InvalidRequest
from core.state import Origin, TransitionRow
from ledger.services import balance
from merchants.models import Merchant
from payments.models import FeeRule, Payout, ReviewCase
from payments.providers.payout import OrderStatus
from payments.services import payout as payout_service
from payments.services import payout_inquiry, payout_return, payout_sending
from tests.factories.payouts import CLABE, StpScript, balances, fund, list_returns, notify, order_state, send_back
from tests.promises import Trials, pick
from tests.provider_messages import StpSender

ORIGIN = Origin(TransitionRow.Cause.API, "key_test")
STAFF = Origin(TransitionRow.Cause.STAFF, "ana")
FUNDS = 10_000
WHICH = st.integers(0, 10**6)
SAID = {
    OrderStatus.SETTLED: ("LIQUIDACION", "Success", "Éxito"),
    OrderStatus.RETURNED: ("DEVOLUCION", "Refund"),
    OrderStatus.CANCELLED: ("CANCELACION", "Decline"),
}
OPEN = {"pending", "processing"}
CAN_COME_BACK = (OrderStatus.IN_PROGRESS, OrderStatus.SETTLED, OrderStatus.RETURNED)


class Payouts(RuleBasedStateMachine):
    """One merchant with some money, and a provider that answers as it likes."""

    script: ClassVar[StpScript]
    stp: ClassVar[StpSender]
    steps: ClassVar[list[int]]

    @initialize(fee=st.sampled_from([0, 500]), gives_back=st.booleans())
    def begin(self, fee: int, gives_back: bool) -> None:
        self.script.answers.clear()
        self.script.orders.clear()
        self.script.received.clear()
        self.script.hidden.clear()
        back = Merchant.FeeOnReturn.GIVE_BACK if gives_back else Merchant.FeeOnReturn.KEEP
        self.merchant = Merchant.objects.create(name="Café Luna", legal_name="Café Luna SA", payout_fee_on_return=back)
        FeeRule.objects.create(merchant=self.merchant, method="payout", percent=0, fixed=fee)
        fund(self.merchant, FUNDS)
        self.count = 0
        self.sent_back: set[int] = set()
        self.platform = platform()
        for _ in range(2):
            self.create(3_000)

    def teardown(self) -> None:
        if hasattr(self, "merchant"):
            self.end()
            Payout.objects.filter(merchant=self.merchant).update(next_attempt_at=None)
            self.steps.append(self.count)

    def payouts(self) -> list[Payout]:
        return list(Payout.objects.filter(merchant=self.merchant).select_related("merchant").order_by("pk"))

    def one(self, which: int) -> Payout | None:
        found = self.payouts()
        return found[which % len(found)] if found else None

    def truth(self, payout: Payout) -> OrderStatus | None:
        known = self.script.orders.get(payout.tracking_key)
        return None if known is None else known.status

    # One rule that draws the action: of several, Hypothesis would leave most out of a run.
    @rule(
        action=st.sampled_from(
            ["create", "cancel", *["send"] * 6, *["happen"] * 5, *["notice"] * 5, *["ask"] * 5, *["back"] * 3, "list"]
            + ["decide"]
        ),
        which=WHICH,
        amount=st.sampled_from([1, 3_000, 6_000]),
        answer=st.sampled_from(["accept", "accept", "lost", "vanish", "unreached", "refuse"]),
        truth=st.sampled_from(list(SAID)),
        spelling=WHICH,
        times=st.integers(1, 2),
    )
    def step(
        self, action: str, which: int, amount: int, answer: str, truth: OrderStatus, spelling: int, times: int
    ) -> None:
        match action:
            case "create":
                self.create(amount)
            case "send":
                self.send(which, answer)
            case "happen":
                self.happen(which, truth)
            case "notice":
                self.notice(which, truth, spelling, times)
            case "ask":
                self.ask(which)
            case "cancel":
                self.cancel(which)
            case "back":
                self.back(which, keyed=spelling % 3 > 0, told=which % 2 == 0, times=times)
            case "list":
                self.count += list_returns(self.stp.account)
            case "decide":
                self.decide()

    # --- what happens ----------------------------------------------------------------------------------------------

    def create(self, amount: int) -> None:
        self.count += 1
        wanted = payout_service.NewPayout(amount=amount, clabe=CLABE, name="Ana", concept="Nomina")
        try:
            with transaction.atomic():
                payout_service.create(self.merchant, livemode=False, wanted=wanted, maker="key_test", origin=ORIGIN)
        except InsufficientFunds:
            assert amount + 580 > balances(self.merchant)["available"] - balances(self.merchant)["debt"]

    def send(self, which: int, answer: str) -> None:
        payout = self.one(which)
        if payout is None:
            return
        self.count += 1
        self.script.answers[:] = [answer]
        payout_sending.advance(payout.pk)
        self.script.answers.clear()

    def happen(self, which: int, truth: OrderStatus) -> None:
        """The provider's truth moves on: settled, returned (before or after), cancelled, or settled after all."""
        payout = self.one(which)
        if payout is None or self.truth(payout) in (None, OrderStatus.RETURNED):
            return
        known = self.script.orders[payout.tracking_key]
        if truth == OrderStatus.CANCELLED and known.status == OrderStatus.SETTLED:
            return
        known.status, known.cause = truth, 1 if truth == OrderStatus.RETURNED else None

    def notice(self, which: int, said: OrderStatus, spelling: int, times: int) -> None:
        """A notice: true, late, repeated, or of something that never happened (but for a settlement)."""
        payout = self.one(which)
        assert payout is not None
        known = self.script.orders.get(payout.tracking_key)
        if known is None or (said == OrderStatus.SETTLED and known.status not in (said, OrderStatus.RETURNED)):
            return  # STP's settlement of a payout in processing is believed; STP does not forge one
        self.count += 1
        words = SAID[said]
        for _ in range(times):
            raw = order_state(payout, words[spelling % len(words)], order_id=known.order_id)
            assert notify(self.stp, raw).status_code == 200

    def ask(self, which: int) -> None:
        payout = self.one(which)
        if payout is not None and payout.next_attempt_at is not None:
            self.count += 1
            Payout.objects.filter(pk=payout.pk).update(next_attempt_at=clock.now())
            payout_inquiry.ask_due()

    def cancel(self, which: int) -> None:
        payout = self.one(which)
        if payout is None:
            return
        self.count += 1
        try:
            payout_service.cancel(payout.public_id, origin=ORIGIN)
        except IllegalTransition:
            assert payout.status not in ("pending", "cancelled")

    def back(self, which: int, *, keyed: bool, told: bool, times: int) -> None:
        """The bank sends the money of an order back, once; ``told``: its settlement was notified before."""
        waiting = [p for p in self.payouts() if p.pk not in self.sent_back and self.truth(p) in CAN_COME_BACK]
        if not waiting:
            return
        payout = waiting[which % len(waiting)]
        known = self.script.orders[payout.tracking_key]
        if known.status == OrderStatus.IN_PROGRESS:
            known.status = OrderStatus.SETTLED
        if told and known.status == OrderStatus.SETTLED:
            notify(self.stp, order_state(payout, "LIQUIDACION", order_id=known.order_id))
        self.count += 1
        self.sent_back.add(payout.pk)
        named = payout.tracking_key if keyed else None
        for _ in range(times):
            send_back(self.stp, payout, key=f"BACK{payout.pk}", claveRastreoDevolucion=named)

    def decide(self) -> None:
        """A person matches each returned transfer to the payout with its number, if that is possible now."""
        for case in ReviewCase.objects.filter(status="to_match", listed_at__isnull=False).select_related("deposit"):
            payout = Payout.objects.get(pk=int(case.deposit.tracking_key.removeprefix("BACK")))
            self.count += 1
            try:
                payout_return.match(case.pk, payout.public_id, origin=STAFF, reason="the bank's letter")
            except InvalidRequest:
                payout.refresh_from_db()
                assert payout.status == "processing"

    # --- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def no_order_is_accepted_twice(self) -> None:
        if hasattr(self, "merchant"):
            accepted = Counter(order.tracking_key for order in self.script.received)
            keys = {payout.tracking_key: payout for payout in self.payouts()}
            assert set(accepted) <= set(keys)
            assert all(times == 1 for times in accepted.values()), accepted

    @invariant()
    def holds_are_those_of_open_payouts(self) -> None:
        if hasattr(self, "merchant"):
            found = balances(self.merchant)
            rows = self.payouts()
            assert found["reserved"] == sum(p.total for p in rows if p.status in OPEN)
            gives_back = self.merchant.payout_fee_on_return == Merchant.FeeOnReturn.GIVE_BACK
            spent = sum(p.total for p in rows if p.status == "completed")
            fees = 0 if gives_back else sum(p.fee + p.fee_tax for p in rows if p.status == "returned")
            assert found["available"] - found["debt"] + found["reserved"] == FUNDS - spent - fees

    @invariant()
    def nothing_that_cannot_have_failed_is_failed(self) -> None:
        if hasattr(self, "merchant"):
            for payout in self.payouts():
                if payout.status == "failed" and payout.failure_code == "not_executed":
                    assert self.truth(payout) is None

    @invariant()
    def suspense_is_what_waits(self) -> None:
        if hasattr(self, "merchant"):
            waiting = ReviewCase.objects.filter(resolved_at=None).values_list("deposit__amount", flat=True)
            assert platform()["suspense"] == sum(waiting)

    def end(self) -> None:
        """Ask until nothing more is to be learned; then the books say what the provider says."""
        moment = clock.now()
        for _ in range(3):
            for payout in self.payouts():
                if self.truth(payout) not in (None, OrderStatus.IN_PROGRESS):
                    Payout.objects.filter(pk=payout.pk).update(next_attempt_at=clock.now(), inquiries=0)
            payout_inquiry.ask_due()
        for _ in range(40):
            waiting = [p for p in self.payouts() if p.status == "processing" and self.truth(p) is None]
            waiting = [p for p in waiting if p.send_outcome == "unknown"]
            if not waiting:
                break
            moment += timedelta(hours=13)
            with time_machine.travel(moment, tick=True):
                Payout.objects.filter(pk__in=[p.pk for p in waiting]).update(next_attempt_at=clock.now())
                payout_inquiry.ask_due()
        list_returns(self.stp.account)
        self.decide()
        for payout in self.payouts():
            truth = self.truth(payout)
            if payout.pk in self.sent_back:
                assert payout.status in ("returned", "failed"), (payout.status, truth)
            elif truth == OrderStatus.SETTLED:
                assert payout.status == "completed", (payout.status, truth)
            elif truth == OrderStatus.RETURNED:
                assert payout.status in ("returned", "failed"), (payout.status, truth)
            elif truth == OrderStatus.CANCELLED:
                assert payout.status == "failed", (payout.status, truth)
            elif truth is None:
                assert payout.status in ("pending", "cancelled", "failed", "processing"), (payout.status, truth)
                assert payout.status != "processing" or payout.send_outcome in ("not_sent", "sending"), (
                    payout.send_outcome
                )
        out = sum(p.amount for p in self.payouts() if p.status == "completed")
        kept = [p for p in self.payouts() if self.truth(p) == OrderStatus.SETTLED and p.pk not in self.sent_back]
        assert out == sum(payout.amount for payout in kept)
        assert platform() == {**self.platform, "stp_cash": self.platform["stp_cash"] - out}


def platform() -> dict[str, int]:
    """Centavos at STP and in suspense, by the books."""
    found = balance.of_platform(livemode=False)
    return {name: found.get(name, 0) for name in ("stp_cash", "suspense")}


@pytest.mark.promise("P4", "random histories of sends, lost answers, notices and cancellations (Hypothesis)")
def test_random_histories_of_payouts_end_as_the_provider_says(
    committed_db: None, script: StpScript, stp: StpSender, trials: Trials, settings: Any
) -> None:
    settings.PROVIDER_QUOTAS = {"efws": 10**9}
    Payouts.script, Payouts.stp, Payouts.steps = script, stp, []

    run_state_machine_as_test(
        hypothesis.seed(trials.seed)(Payouts),
        settings=hypothesis.settings(
            max_examples=pick(30, 5_000),
            stateful_step_count=pick(25, 40),
            database=None,
            phases=[Phase.generate],  # a history shrinks for minutes
            report_multiple_bugs=False,
        ),
    )

    trials.done(len(Payouts.steps), "histories")
    trials.done(sum(Payouts.steps), "steps")
