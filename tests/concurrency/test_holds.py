"""No money is held or spent twice, whoever comes at the same moment: real threads, committed transactions.

``FULL=1`` runs ``TRIALS`` = 100 trials of 32 threads; otherwise as many as fit in ``SECONDS``, at least three.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from django.db import connections, transaction

from core.errors import InsufficientFunds
from ledger.models import Hold, Transaction
from ledger.services import balance, debt, hold, invariant, reversal
from ledger.services.errors import HoldResolved, InvalidAmount, NothingLeftToReverse
from ledger.services.postings import pay_in
from tests.concurrency.threads import at_once
from tests.factories.deadlocks import deadlocks
from tests.ledger.books import fund, held, platform, when, written
from tests.promises import FULL, pick

TRIALS, SECONDS = 100, 10
THREADS = 32


def place(merchant, amount: int, source: str, *, purpose: str = "payout") -> Hold:
    with transaction.atomic():
        return hold.place(
            merchant, livemode=False, source=source, amount=amount, purpose=Hold.Purpose(purpose), when=when()
        )


def begin_with(merchant, amount: int) -> None:
    with transaction.atomic():
        fund("available", amount, merchant)


def outcome(work: Callable[[], object], *refusals: type[Exception]) -> str:
    """``"done"``, or the name of the error by which it was refused."""
    try:
        work()
    except refusals as refusal:
        return type(refusal).__name__
    return "done"


def lowest(merchant, stop: threading.Event) -> int:
    """The least available balance that a reader ever sees."""
    seen = []
    while not stop.is_set() or not seen:
        seen.append(balance.of_merchant(merchant, livemode=False).available)
        time.sleep(0.002)
    return min(seen)


@pytest.mark.promise("P8", "32 threads each hold 100 of 500: exactly 5 succeed, no deadlock")
def test_of_32_holds_of_100_from_500_at_the_same_moment_exactly_5_succeed(trials, committed_db, owner, merchant):
    before, until, trial = deadlocks(owner), time.monotonic() + SECONDS, 0

    while trial < TRIALS if FULL else (trial < 3 or time.monotonic() < until):
        trial += 1
        begin_with(merchant, 500)
        stop = threading.Event()

        def attempt(number: int, trial: int = trial) -> str:
            return outcome(lambda: place(merchant, 100, f"po_{trial}_{number}"), InsufficientFunds)

        def all_of_them(trial: int = trial, stop: threading.Event = stop) -> list[str]:
            try:
                return at_once([lambda n=n: attempt(n, trial) for n in range(THREADS)])
            finally:
                stop.set()

        results, least = at_once([all_of_them, lambda stop=stop: lowest(merchant, stop)])

        assert Counter(results) == {"done": 5, "InsufficientFunds": THREADS - 5}
        assert least == 0
        assert held(merchant) == {"reserved": 500 * trial}
        assert Hold.objects.count() == Transaction.objects.filter(kind="payout_created").count() == 5 * trial

    assert deadlocks(owner) - before == 0
    assert invariant.check() == []
    trials.done(trial * THREADS, "holds")


@pytest.mark.promise("P8", "capture and release of one hold at the same moment")
def test_of_a_capture_and_a_release_at_the_same_moment_exactly_one_wins(trials, committed_db, merchant):
    rounds = pick(25, 100)
    begin_with(merchant, 100 * rounds)
    placed = [place(merchant, 100, f"po_{n}") for n in range(rounds)]

    def resolve(each: Hold, how: str) -> str:
        def work() -> None:
            with transaction.atomic():
                if how == "capture":
                    hold.capture(each.pk, amount=60, when=when())
                else:
                    hold.release(each.pk, when=when())

        return outcome(work, HoldResolved)

    winners: Counter[str] = Counter()
    for each in placed:
        ways = ["capture", "release", "capture", "release"]
        results = at_once([lambda each=each, how=how: resolve(each, how) for how in ways])
        assert Counter(results) == {"done": 1, "HoldResolved": 3}
        each.refresh_from_db()
        assert each.status == {"capture": "captured", "release": "released"}[ways[results.index("done")]]
        winners[each.status] += 1
        trials.done(unit="holds")

    assert held(merchant) == {"available": 100 * rounds - 60 * winners["captured"]}
    assert platform() == {"stp_cash": 100 * rounds - 60 * winners["captured"]}
    assert invariant.check() == []


@pytest.mark.promise("P8", "payouts and refunds from one balance at the same moment")
def test_payouts_and_refunds_of_one_merchant_share_one_balance(trials, committed_db, owner, merchant):
    begin_with(merchant, 1_000)
    before = deadlocks(owner)

    results = at_once(
        [
            lambda n=n: outcome(
                lambda: place(merchant, 300, f"src_{n}", purpose="payout" if n % 2 else "refund"), InsufficientFunds
            )
            for n in range(16)
        ]
    )

    assert Counter(results) == {"done": 3, "InsufficientFunds": 13}
    assert held(merchant) == {"available": 100, "reserved": 900}
    assert deadlocks(owner) - before == 0
    trials.done(16, "holds")


@pytest.mark.promise("P8", "one hold placed by 8 threads")
def test_holds_of_one_source_at_the_same_moment_are_one(trials, committed_db, merchant):
    begin_with(merchant, 1_000)

    results = at_once([lambda: outcome(lambda: place(merchant, 100, "po_1"), Exception)] * 8)

    assert Counter(results) == {"done": 1, "AlreadyPosted": 7}
    assert held(merchant) == {"available": 900, "reserved": 100}
    assert written()[2] == [("po_1", "open", 0)]
    trials.done(8, "holds")


@pytest.mark.promise("P8", "partial reversals by 16 threads")
def test_partial_reversals_at_the_same_moment_never_exceed_the_whole(trials, committed_db, merchant):
    with transaction.atomic():
        original = pay_in.spei_deposit(
            merchant, livemode=False, source="dep_1", amount=1_000, fee=10, fee_tax=2, when=when()
        )
        fund("available", 10_000, merchant)

    def attempt(number: int) -> str:
        def work() -> None:
            with transaction.atomic():
                reversal.reverse(original, source=f"cau_{number}", when=when(), description="Part", amount=300)

        return outcome(work, NothingLeftToReverse)

    results = at_once([lambda n=n: attempt(n) for n in range(16)])

    assert Counter(results) == {"done": 3, "NothingLeftToReverse": 13}
    assert -sum(e.amount for r in original.reversals.all() for e in r.entries.all() if e.amount < 0) == 900
    assert platform()["stp_cash"] == 10_100
    assert invariant.check() == []
    trials.done(16, "reversals")


@pytest.mark.promise("P8", "a batch's hold split and released at the same moment")
def test_concurrent_splits_and_release_of_a_batch_add_up(trials, committed_db, owner, merchant):
    before, rounds, passed_on, kept = deadlocks(owner), pick(15, 100), 0, 0
    begin_with(merchant, 1_000 * rounds)

    for number in range(rounds):
        batch = place(merchant, 1_000, f"bat_{number}", purpose="batch")

        def pass_on(part: int, batch: Hold = batch) -> str:
            def work() -> None:
                with transaction.atomic():
                    hold.split(batch.pk, [(f"po_{batch.pk}_{part}_{n}", 100) for n in range(2)])

            return outcome(work, HoldResolved, InvalidAmount)

        def let_go(batch: Hold = batch) -> str:
            def work() -> None:
                with transaction.atomic():
                    hold.release(batch.pk, when=when())

            return outcome(work, HoldResolved)

        results = at_once([lambda n=n, pass_on=pass_on: pass_on(n) for n in range(7)] + [let_go])

        batch.refresh_from_db()
        parts = Counter(results[:-1])
        assert parts["done"] <= 5
        assert (results[-1], batch.status, batch.split) == ("done", "released", 200 * parts["done"])
        assert Hold.objects.filter(parent=batch, status="open").count() == 2 * parts["done"]
        passed_on += batch.split
        kept += batch.left
        trials.done(8, "attempts")

    assert held(merchant) == {purpose: n for purpose, n in {"available": kept, "reserved": passed_on}.items() if n}
    assert deadlocks(owner) - before == 0
    assert invariant.check() == []


@pytest.mark.promise("P8", "a batch's hold split by 16 threads")
def test_concurrent_splits_cannot_exceed_the_batch(trials, committed_db, merchant):
    begin_with(merchant, 1_000)
    batch = place(merchant, 1_000, "bat_1", purpose="batch")

    def attempt(number: int) -> str:
        def work() -> None:
            with transaction.atomic():
                hold.split(batch.pk, [(f"po_{number}", 300)])

        return outcome(work, InvalidAmount)

    results = at_once([lambda n=n: attempt(n) for n in range(16)])

    assert Counter(results) == {"done": 3, "InvalidAmount": 13}
    batch.refresh_from_db()
    assert (batch.split, batch.left, held(merchant)) == (900, 100, {"reserved": 1_000})
    assert invariant.check() == []
    trials.done(16, "splits")


@pytest.mark.promise("P8", "holds and reversals of a merchant in debt at the same moment")
def test_concurrent_holds_and_reversals_never_spend_owed_money(trials, committed_db, owner, merchant):
    before = deadlocks(owner)
    with transaction.atomic():
        hold.capture(
            hold.place_return(merchant, livemode=False, source="po_0", amount=300, when=when()).pk,
            amount=300,
            when=when(),
        )
        fund("available", 1_000, merchant)

    def reverse(number: int) -> str:
        with transaction.atomic():
            hold.place_return(merchant, livemode=False, source=f"po_r{number}", amount=50, when=when())
        return "reversed"

    def spend(number: int) -> str:
        return outcome(lambda: place(merchant, 100, f"po_{number}"), InsufficientFunds)

    ways = [lambda n=n: reverse(n) for n in range(4)] + [lambda n=n: spend(n) for n in range(1, 13)]
    results = Counter(at_once([*ways, lambda: str(debt.recover_all())]))

    # 1,000 came in: 300 were owed, four reversals of 50 may come before or after the holds.
    figures = held(merchant)
    assert results["reversed"] == 4
    assert 5 <= results["done"] <= 7
    assert figures["reserved"] == 200 + 100 * results["done"]
    assert figures.get("available", 0) - figures.get("debt", 0) == 500 - 100 * results["done"]
    assert deadlocks(owner) - before == 0
    trials.done(16, "holds")


def test_every_step_of_a_hold_needs_its_callers_transaction(committed_db, merchant):
    begin_with(merchant, 100)
    placed = place(merchant, 100, "po_1")
    steps = [
        lambda: hold.place(merchant, livemode=False, source="po_2", amount=1, purpose=Hold.Purpose.PAYOUT, when=when()),
        lambda: hold.capture(placed.pk, amount=1, when=when()),
        lambda: hold.release(placed.pk, when=when()),
        lambda: hold.lock(placed.pk),
        lambda: hold.split(placed.pk, [("po_2", 1)]),
        lambda: hold.settle_late(placed.pk, amount=1, when=when()),
        lambda: hold.take_back(placed.pk, amount=1, when=when()),
        lambda: hold.place_return(merchant, livemode=False, source="po_2", amount=1, when=when()),
        lambda: debt.lock(merchant, livemode=False),
        lambda: reversal.reverse(Transaction.objects.first(), source="cau_1", when=when(), description="x"),
    ]

    for step in steps:
        with pytest.raises(RuntimeError, match=r"must run inside transaction\.atomic"):
            step()

    assert written() == (2, 4, [("po_1", "open", 0)])
    connections.close_all()
