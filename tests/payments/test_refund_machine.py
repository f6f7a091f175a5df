"""Random histories of refunds: parts, second attempts, late settlements, returns, in any order and repeated.

The provider's truth is kept here: what it says of an attempt may come late, after the attempt failed, or twice. After
each step the payment, its deposits, the merchant's balance and ``losses`` agree with that truth to the centavo.
``FULL=1``: 5,000 runs.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

import hypothesis
import pytest
from django.db import connection, transaction
from hypothesis import Phase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from core.errors import AmountExceedsRefundable, IllegalTransition, InsufficientFunds
from core.state import Origin, TransitionRow
from merchants.models import Merchant
from payments.models import Deposit, Payment, Payout, Refund
from payments.services import refund as refund_service
from payments.services.refund import NewRefund
from staff.models import Approval
from staff.services import approval
from tests.factories.payouts import as_sent, balances
from tests.factories.refunds import failed, lost, pay, person, returned, settled, unpaid
from tests.promises import Trials, pick
from tests.provider_messages import StpSender

ORIGIN = Origin(TransitionRow.Cause.STAFF, "ana")
WHICH = st.integers(0, 10**6)
OPEN = {"pending", "processing"}


class Refunds(RuleBasedStateMachine):
    """One payment of up to three deposits without fees; ``fees`` of the merchant are none."""

    stp: ClassVar[StpSender]
    people: ClassVar[tuple[Any, Any]]
    steps: ClassVar[list[int]]

    @initialize()
    def begin(self) -> None:
        self.merchant = Merchant.objects.create(name="Café Luna", legal_name="Luna SA", deposit_policy="accept_any")
        self.losses_before = lost()
        self.payment = unpaid(self.merchant, 1_000)
        self.count = 0
        pay(self.stp, self.payment.clabe or "", 1_000)

    def teardown(self) -> None:
        if hasattr(self, "merchant"):
            self.steps.append(self.count)

    # One rule that draws the action: of several, Hypothesis would leave most out of a run.
    @rule(
        action=st.sampled_from(
            ["deposit", "cancel", "not_sent", *["refund", "retry", "return", "fail"] * 3, *["settle"] * 4]
        ),
        which=WHICH,
        amount=st.sampled_from([None, 600, 400, 1_000]),
        times=st.integers(1, 2),
    )
    def step(self, action: str, which: int, amount: int | None, times: int) -> None:
        self.count += 1
        match action:
            case "deposit":
                if self.payment.deposits.count() < 3:
                    pay(self.stp, self.payment.clabe or "", 1_000)
            case "refund":
                self.refund(which, amount)
            case "retry":
                self.retry(which)
            case "cancel":
                self.cancel(which)
            case _:
                for _ in range(times):
                    self.news(action, which)

    # --- what happens ----------------------------------------------------------------------------------------------

    def refund(self, which: int, amount: int | None) -> None:
        deposits = list(self.payment.deposits.order_by("pk"))
        deposit = deposits[which % len(deposits)]
        wanted = NewRefund(
            payment=self.payment.public_id, deposit=deposit.public_id, amount=amount, reason="Devolución"
        )
        left = deposit.amount - deposit.amount_refunded - deposit.refund_reserved
        try:
            with transaction.atomic():
                refund_service.create(self.merchant, livemode=False, wanted=wanted, maker="key_test", origin=ORIGIN)
        except AmountExceedsRefundable:
            assert left <= 0 or (amount or 0) > left
        except InsufficientFunds:
            funds = balances(self.merchant)
            assert (amount or left) > funds["available"] - funds["debt"]

    def retry(self, which: int) -> None:
        refund = self.one(list(Refund.objects.filter(merchant=self.merchant).order_by("pk")), which)
        if refund is None:
            return
        maker, voter = self.people
        with suppress(IllegalTransition, AmountExceedsRefundable, InsufficientFunds):
            refund_service.try_again(refund.public_id, maker=maker, origin=ORIGIN)
            if which % 3:
                newest = Payout.objects.filter(refund=refund).latest("pk")
                approval.vote(Approval.objects.get(subject=newest.public_id).pk, voter, "approve", "")

    def cancel(self, which: int) -> None:
        refund = self.one(list(Refund.objects.filter(merchant=self.merchant).order_by("pk")), which)
        if refund is not None:
            with suppress(IllegalTransition):
                refund_service.cancel(refund.public_id, origin=ORIGIN)

    def news(self, action: str, which: int) -> None:
        """The provider reports about an attempt in any state; a report that cannot be true changes nothing."""
        payout = self.one(self.attempts(), which)
        if payout is None or payout.status in ("pending_approval", "rejected", "cancelled"):
            return
        match action:
            case "settle":
                settled(payout)
            case "fail":
                failed(payout)
            case "return" if payout.status not in ("pending", "failed"):
                returned(payout)
            case "not_sent" if payout.status == "pending":
                as_sent(payout, "not_sent", "not_sent")

    def one(self, rows: list[Any], which: int) -> Any:
        return rows[which % len(rows)] if rows else None

    def attempts(self) -> list[Payout]:
        return list(Payout.objects.filter(merchant=self.merchant).select_related("provider_account").order_by("pk"))

    # --- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def books_and_amounts_are_those_of_the_truth(self) -> None:
        if not hasattr(self, "merchant"):
            return
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        attempts = self.attempts()
        gone = sum(payout.amount for payout in attempts if payout.status == "completed")
        refunds = list(Refund.objects.filter(merchant=self.merchant))
        theirs = received = 0
        for deposit in Deposit.objects.filter(payment=self.payment):
            own = [refund for refund in refunds if refund.deposit_id == deposit.pk]
            refunded = sum(refund.amount for refund in own if refund.status == "completed")
            reserved = sum(refund.amount for refund in own if refund.status in OPEN)
            assert (deposit.amount_refunded, deposit.refund_reserved) == (refunded, reserved)
            assert deposit.amount_over_refunded == max(0, refunded + reserved - deposit.amount)
            theirs += min(deposit.amount, refunded)
            received += deposit.amount
        held = sum(payout.amount for payout in attempts if payout.status in {"pending_approval", *OPEN})
        funds = balances(self.merchant)
        assert funds["reserved"] == held
        assert funds["available"] - funds["debt"] + held == received - theirs
        assert lost() - self.losses_before == gone - theirs
        payment = Payment.objects.get(pk=self.payment.pk)
        assert payment.amount_refunded == sum(refund.amount for refund in refunds if refund.status == "completed")
        assert payment.status == "completed"


@pytest.mark.django_db
@pytest.mark.promise("P8", "random histories of refunds, second attempts, late settlements, returns (Hypothesis)")
def test_random_histories_of_refunds_end_as_the_provider_says(script: Any, stp: StpSender, trials: Trials) -> None:
    Refunds.stp, Refunds.steps = stp, []
    Refunds.people = person("ana", "add_approval", "retry_refund"), person("berta", "decide_approval", "approve_payout")

    run_state_machine_as_test(
        hypothesis.seed(trials.seed)(Refunds),
        settings=hypothesis.settings(
            max_examples=pick(20, 5_000),
            stateful_step_count=pick(25, 40),
            database=None,
            phases=[Phase.generate],  # a history shrinks for minutes
            report_multiple_bugs=False,
        ),
    )

    trials.done(len(Refunds.steps), "histories")
    trials.done(sum(Refunds.steps), "steps")
