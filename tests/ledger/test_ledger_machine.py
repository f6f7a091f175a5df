"""Hypothesis drives the ledger's services with random operations and compares the ledger with a pure model.

The model knows nothing of entries: it moves figures between named pots. After every step all balances are the model's,
everything sums to zero, and what the database checks at commit is checked. ``FULL=1``: 300 runs of 60 steps.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from django.db import connection, transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.errors import InsufficientFunds
from core.money import fee_with_iva
from ledger.models import Hold, Transaction
from ledger.models.account import FLOORED
from ledger.services import debt, hold, reversal
from ledger.services import invariant as ledger_invariant
from ledger.services.chart import MERCHANT_PURPOSES, PLATFORM_PURPOSES
from ledger.services.errors import AlreadyPosted, HoldOpen, HoldResolved, InvalidAmount, NothingLeftToReverse
from ledger.services.postings import pay_in, payout
from merchants.models import Merchant
from tests.ledger.books import held, platform, when
from tests.ledger.flows import PLATFORM_FLOWS
from tests.promises import Trials, pick

AMOUNTS = st.one_of(st.integers(1, 300), st.integers(1, 10**9))
WHICH = st.integers(0, 1)
PERCENT = st.integers(1, 130)
"""Percentage of the money in an account, sometimes more than all of it."""


@dataclass
class ModelHold:
    row: Hold
    owner: tuple[int, bool]
    amount: int
    made_debt: int = 0
    state: str = "open"
    passed_on: int = 0
    sent: int = 0
    done: set[str] = field(default_factory=set)

    @property
    def is_open(self) -> bool:
        return self.state == "open"


class Books(RuleBasedStateMachine):
    """Two merchants, two modes; ``self.pots`` is the model: (mode, merchant or None, purpose) -> centavos."""

    runs: ClassVar[list[int]] = []
    """Number of sources of each finished run."""

    @initialize()
    def begin(self) -> None:
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.merchants = [Merchant.objects.create(name=name, legal_name=name) for name in ("One", "Two")]
        self.pots: Counter[tuple[bool, int | None, str]] = Counter()
        self.holds: list[ModelHold] = []
        self.deposits: list[tuple[Transaction, tuple[int, bool], dict[str, int]]] = []
        self.sources = 0

    def teardown(self) -> None:
        if hasattr(self, "atomic"):
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)
            self.runs.append(self.sources)

    # --- helpers ---------------------------------------------------------------------------------------------------

    def source(self) -> str:
        self.sources += 1
        return f"src_{self.sources}"

    def given(self, livemode: bool, **more: Any) -> dict[str, Any]:
        return {"livemode": livemode, "source": self.source(), "when": when(), **more}

    def move(self, livemode: bool, which: int | None, **changes: int) -> None:
        for purpose, amount in changes.items():
            self.pots[livemode, which if purpose in MERCHANT_PURPOSES else None, purpose] += amount

    def pot(self, livemode: bool, which: int | None, purpose: str) -> int:
        return self.pots[livemode, which, purpose]

    def take(self, livemode: bool, which: int | None, purpose: str, amount: int, call: Any) -> bool:
        """Call a posting that takes ``amount`` from a pot; it must be refused exactly if the pot lacks it."""
        if amount > self.pot(livemode, which, purpose):
            with pytest.raises(InsufficientFunds):
                call()
            return False
        call()
        return True

    # --- money in --------------------------------------------------------------------------------------------------

    @rule(which=WHICH, livemode=st.booleans(), amount=AMOUNTS, percent=st.decimals("0", "120", places=2))
    def deposit(self, which, livemode, amount, percent) -> None:
        fee, tax = fee_with_iva(amount, percent=percent, fixed=0)
        posted = pay_in.spei_deposit(self.merchants[which], **self.given(livemode, amount=amount, fee=fee, fee_tax=tax))
        whole = {"stp_cash": amount, "available": amount - fee - tax, "fee_revenue": fee, "iva_payable": tax}
        self.move(livemode, which, **whole)
        self.deposits.append((posted, (which, livemode), whole))

    @rule(which=WHICH, livemode=st.booleans(), amount=AMOUNTS)
    def oxxo(self, which, livemode, amount) -> None:
        pay_in.oxxo_paid(self.merchants[which], **self.given(livemode, amount=amount, fee=0, fee_tax=0))
        self.move(livemode, which, conekta_receivable=amount, pending=amount)

    @rule(which=WHICH, livemode=st.booleans(), amount=AMOUNTS)
    def oxxo_released(self, which, livemode, amount) -> None:
        given = self.given(livemode, amount=amount)
        if self.take(livemode, which, "pending", amount, lambda: pay_in.oxxo_released(self.merchants[which], **given)):
            self.move(livemode, which, pending=-amount, available=amount)

    @rule(livemode=st.booleans(), amount=AMOUNTS)
    def suspended(self, livemode, amount) -> None:
        pay_in.deposit_suspended(**self.given(livemode, amount=amount, cash="stp_cash", reason="unknown_clabe"))
        self.move(livemode, None, stp_cash=amount, suspense=amount)

    @rule(which=WHICH, livemode=st.booleans(), amount=AMOUNTS)
    def suspense_assigned(self, which, livemode, amount) -> None:
        given = self.given(livemode, amount=amount, fee=1, fee_tax=0)
        merchant = self.merchants[which]
        if self.take(livemode, None, "suspense", amount, lambda: pay_in.suspense_assigned(merchant, **given)):
            self.move(livemode, which, suspense=-amount, available=amount - 1, fee_revenue=1)

    # --- holds ----------------------------------------------------------------------------------------------------

    def recover(self, which: int, livemode: bool) -> None:
        """Recover debt in the model."""
        owed = min(self.pot(livemode, which, "available"), self.pot(livemode, which, "debt"))
        self.move(livemode, which, available=-owed, debt=-owed)

    @rule(which=WHICH, livemode=st.booleans(), part=PERCENT, purpose=st.sampled_from(["payout", "refund", "batch"]))
    def place(self, which, livemode, part, purpose) -> None:
        amount = max(1, self.pot(livemode, which, "available") * part // 100)
        given = self.given(livemode, amount=amount, purpose=purpose)
        merchant = self.merchants[which]
        if amount > self.pot(livemode, which, "available") - self.pot(livemode, which, "debt"):
            with pytest.raises(InsufficientFunds):
                hold.place(merchant, **given)
        else:
            row = hold.place(merchant, **given)
            self.recover(which, livemode)
            self.move(livemode, which, available=-amount, reserved=amount)
            self.holds.append(ModelHold(row, (which, livemode), amount))

    @precondition(lambda self: any(one.row.purpose == "batch" for one in getattr(self, "holds", ())))
    @rule(data=st.data(), percent=st.lists(PERCENT, min_size=1, max_size=3))
    def split(self, data, percent) -> None:
        batch = data.draw(st.sampled_from([one for one in self.holds if one.row.purpose == "batch"]))
        left = batch.amount - batch.passed_on
        parts = [(self.source(), max(1, left * part // 100)) for part in percent]
        total = sum(amount for _, amount in parts)
        if not batch.is_open or total > left:
            with pytest.raises(InvalidAmount if batch.is_open else HoldResolved):
                hold.split(batch.row.pk, parts)
            return
        hold.split(batch.row.pk, parts)
        batch.passed_on += total
        self.holds += [ModelHold(Hold.objects.get(source=source), batch.owner, amount) for source, amount in parts]

    @precondition(lambda self: getattr(self, "holds", None))
    @rule(data=st.data(), part=PERCENT, fee=st.integers(0, 20))
    def capture(self, data, part, fee) -> None:
        chosen = data.draw(st.sampled_from(self.holds))
        which, livemode = chosen.owner
        spent = max(1, chosen.amount * part // 100)
        fee = min(fee, spent - 1) if chosen.row.purpose == "payout" else 0

        def call() -> Hold:
            return hold.capture(chosen.row.pk, amount=spent - fee, fee=fee, when=when())

        if spent > chosen.amount or chosen.row.purpose == "batch":
            with pytest.raises(InvalidAmount):
                call()
        elif not chosen.is_open:
            with pytest.raises(HoldResolved):
                call()
        else:
            assert call().captured == spent
            chosen.state, chosen.sent = "captured", spent
            rest = chosen.amount - spent
            owed = min(rest, chosen.made_debt, self.pot(livemode, which, "debt"))
            chosen.made_debt -= owed
            self.move(livemode, which, reserved=-chosen.amount, available=rest - owed, debt=-owed)
            self.move(livemode, which, stp_cash=fee - spent, fee_revenue=fee)

    @precondition(lambda self: getattr(self, "holds", None))
    @rule(data=st.data())
    def release(self, data) -> None:
        chosen = data.draw(st.sampled_from(self.holds))
        which, livemode = chosen.owner
        if chosen.is_open:
            assert hold.release(chosen.row.pk, when=when()).status == "released"
            chosen.state = "released"
            left = chosen.amount - chosen.passed_on
            owed = min(chosen.made_debt, self.pot(livemode, which, "debt"))
            chosen.made_debt -= owed
            self.move(livemode, which, reserved=-left, available=left - owed, debt=-owed)
        else:
            with pytest.raises(HoldResolved):
                hold.release(chosen.row.pk, when=when())

    @precondition(lambda self: getattr(self, "holds", None))
    @rule(data=st.data())
    def settle_late(self, data) -> None:
        chosen = data.draw(st.sampled_from(self.holds))
        which, livemode = chosen.owner
        is_batch, is_done = chosen.row.purpose == "batch", "late" in chosen.done
        refusal = {"captured": HoldResolved, "open": HoldOpen}.get(chosen.state)
        if refusal := refusal or (InvalidAmount if is_batch else AlreadyPosted if is_done else None):
            with pytest.raises(refusal):
                hold.settle_late(chosen.row.pk, amount=chosen.amount, when=when())
            return
        hold.settle_late(chosen.row.pk, amount=chosen.amount, when=when())
        chosen.done.add("late")
        chosen.sent = chosen.amount
        owed = max(0, chosen.amount - self.pot(livemode, which, "available"))
        chosen.made_debt += owed
        self.move(livemode, which, available=owed - chosen.amount, debt=owed, stp_cash=-chosen.amount)

    @precondition(lambda self: getattr(self, "holds", None))
    @rule(data=st.data(), part=PERCENT, cash=st.sampled_from(["stp_cash", "suspense"]))
    def take_back(self, data, part, cash) -> None:
        chosen = data.draw(st.sampled_from(self.holds))
        which, livemode = chosen.owner
        amount = max(1, (chosen.sent or chosen.amount) * part // 100)
        refusal: type[Exception] | None = None
        if chosen.row.purpose == "batch" or amount > chosen.amount:
            refusal = InvalidAmount
        elif chosen.is_open:
            refusal = HoldOpen
        elif not chosen.sent:
            refusal = HoldResolved
        elif amount > chosen.sent:
            refusal = InvalidAmount
        elif cash == "suspense" and self.pot(livemode, None, "suspense") < amount:
            refusal = InsufficientFunds
        elif "back" in chosen.done:
            refusal = AlreadyPosted
        if refusal is not None:
            with pytest.raises((refusal, AlreadyPosted) if "back" in chosen.done else refusal):
                hold.take_back(chosen.row.pk, amount=amount, cash=cash, when=when())
            return
        hold.take_back(chosen.row.pk, amount=amount, cash=cash, when=when())
        chosen.done.add("back")
        is_return = chosen.row.purpose == "return"
        owed = min(amount, chosen.made_debt, self.pot(livemode, which, "debt")) if is_return else 0
        chosen.made_debt -= owed
        self.move(livemode, which, available=amount - owed, debt=-owed)
        self.move(livemode, None, **{cash: amount if cash == "stp_cash" else -amount})

    # --- our own money -----------------------------------------------------------------------------------------------

    @rule(livemode=st.booleans(), amount=AMOUNTS, flow=st.sampled_from(PLATFORM_FLOWS))
    def between_platform_accounts(self, livemode, amount, flow) -> None:
        post, debit, credit = flow
        given = self.given(livemode, amount=amount)
        if debit in FLOORED and amount > self.pot(livemode, None, debit):
            with pytest.raises(InsufficientFunds):
                post(**given)
            return
        post(**given)
        for purpose, change in ((debit, amount), (credit, -amount)):
            side = 1 if PLATFORM_PURPOSES[purpose] == "debit" else -1
            self.move(livemode, None, **{purpose: side * change})

    @rule()
    def the_worker_recovers(self) -> None:
        owing = [
            (which, livemode)
            for which in (0, 1)
            for livemode in (False, True)
            if self.pot(livemode, which, "debt") and self.pot(livemode, which, "available")
        ]

        assert debt.recover_all() == len(owing)
        for which, livemode in owing:
            self.recover(which, livemode)

    # --- corrections -----------------------------------------------------------------------------------------------

    @precondition(lambda self: getattr(self, "deposits", None))
    @rule(data=st.data(), part=st.one_of(st.none(), PERCENT))
    def reverse(self, data, part) -> None:
        original, (which, livemode), rest = data.draw(st.sampled_from(self.deposits))
        left = rest["stp_cash"]
        amount = None if part is None else max(1, left * part // 100)
        before = written = Transaction.objects.count()
        try:
            posted = reversal.reverse(
                original, source=self.source(), when=when(), description="Reversed", amount=amount
            )
        except NothingLeftToReverse:
            assert left == 0 or (amount or 0) > left
        except InsufficientFunds:
            assert self.pot(livemode, which, "available") < rest["available"]
        else:
            written += 1
            taken = {leg.account.purpose: leg.amount for leg in posted.entries.select_related("account")}
            assert -taken["stp_cash"] == (left if amount is None else amount)
            for purpose, given_back in taken.items():
                change = given_back if purpose == "stp_cash" else -given_back
                rest[purpose] += change
                self.move(livemode, which, **{purpose: change})
            assert all(amount >= 0 for amount in rest.values())
        assert Transaction.objects.count() == written >= before

    @rule(which=WHICH, livemode=st.booleans(), amount=AMOUNTS, freeze=st.booleans())
    def freeze(self, which, livemode, amount, freeze) -> None:
        flow, source, to = (
            (payout.funds_blocked, "available", "blocked")
            if freeze
            else (payout.funds_unblocked, "blocked", "available")
        )
        given = self.given(livemode, amount=amount)
        if self.take(livemode, which, source, amount, lambda: flow(self.merchants[which], **given)):
            self.move(livemode, which, **{source: -amount, to: amount})

    @rule(which=WHICH, livemode=st.booleans(), amount=AMOUNTS)
    def payment_reversed(self, which, livemode, amount) -> None:
        row = hold.place_return(self.merchants[which], **self.given(livemode, amount=amount))
        self.recover(which, livemode)
        covered = min(amount, self.pot(livemode, which, "available"))
        self.holds.append(ModelHold(row, (which, livemode), amount, made_debt=amount - covered))
        self.move(livemode, which, available=-covered, debt=amount - covered, reserved=amount)

    @rule(which=WHICH, livemode=st.booleans(), amount=AMOUNTS)
    def debt_written_off(self, which, livemode, amount) -> None:
        given = self.given(livemode, amount=amount)
        merchant = self.merchants[which]
        if self.take(livemode, which, "debt", amount, lambda: payout.debt_written_off(merchant, **given)):
            self.move(livemode, which, debt=-amount, losses=amount)

    @rule(which=WHICH, livemode=st.booleans(), kind=st.sampled_from(["hold", "deposit"]))
    def nonsense(self, which, livemode, kind) -> None:
        merchant, before = self.merchants[which], Transaction.objects.count()
        if kind == "hold":
            with pytest.raises(InsufficientFunds):
                hold.place(merchant, **self.given(livemode, amount=10**15, purpose=Hold.Purpose.PAYOUT))
        else:
            with pytest.raises(InvalidAmount):
                pay_in.spei_deposit(merchant, **self.given(livemode, amount=5, fee=6, fee_tax=0))
        assert Transaction.objects.count() == before

    # --- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def balances_are_the_models(self) -> None:
        if not hasattr(self, "pots"):
            return
        found = {}
        for livemode in (False, True):
            found |= {(livemode, None, k): v for k, v in platform(livemode=livemode).items()}
            for which, merchant in enumerate(self.merchants):
                found |= {(livemode, which, k): v for k, v in held(merchant, livemode=livemode).items()}
        assert found == {key: amount for key, amount in self.pots.items() if amount}

    @invariant()
    def the_books_are_sound(self) -> None:
        if not hasattr(self, "pots"):
            return
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            cursor.execute(
                "SELECT count(*) FROM (SELECT 1 FROM ledger_entry GROUP BY transaction_id "
                "HAVING sum(amount) <> 0 OR count(*) < 2) wrong"
            )
            assert cursor.fetchone() == (0,)
        assert {name for name in ("floors_hold", "reserved_is_held", "entries_sum_to_zero") if faults(name)} == set()


def faults(name: str) -> list[Any]:
    (found,) = [one for one in ledger_invariant.invariants.all_invariants() if one.name == name]
    return ledger_invariant.faults_of(found)


@pytest.mark.promise("P6", "services in any order against a pure model of the books (Hypothesis)")
@pytest.mark.django_db
def test_the_ledger_agrees_with_the_model(trials: Trials) -> None:
    Books.runs.clear()
    run_state_machine_as_test(
        Books,
        settings=settings(
            max_examples=pick(12, 300),
            stateful_step_count=pick(25, 60),
        ),
    )
    trials.done(len(Books.runs), "runs")
    trials.done(sum(Books.runs), "movements")
