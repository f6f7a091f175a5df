"""Credits to one merchant come in side by side and lose nothing while others hold and spend his money."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from django.db import connection, transaction

from core.errors import InsufficientFunds
from ledger.models import Entry, Hold, Transaction
from ledger.services import balance, hold, invariant, snapshot
from ledger.services.postings import pay_in
from tests.concurrency.threads import at_once
from tests.factories.deadlocks import deadlocks
from tests.ledger.books import fund, held, platform, when
from tests.promises import pick

EACH = pick(12, 60)
CREDITORS, HOLDERS = 16, 8
AMOUNT, FEE, TAX = 1_000, 10, 2


def credit(merchant, source: str) -> None:
    with transaction.atomic():
        pay_in.spei_deposit(merchant, livemode=False, source=source, amount=AMOUNT, fee=FEE, fee_tax=TAX, when=when())


@pytest.mark.promise("P6", "16 threads credit and 8 hold while snapshots are taken")
def test_16_threads_that_credit_while_8_hold_lose_and_invent_nothing(trials, committed_db, owner, merchant):
    before = deadlocks(owner)
    with transaction.atomic():
        fund("available", 5_000, merchant)

    def creditor(number: int) -> int:
        for n in range(EACH):
            credit(merchant, f"dep_{number}_{n}")
        return EACH

    def holder(number: int) -> int:
        placed = 0
        for n in range(EACH):
            try:
                with transaction.atomic():
                    one = hold.place(
                        merchant,
                        livemode=False,
                        source=f"po_{number}_{n}",
                        amount=700,
                        purpose=Hold.Purpose.PAYOUT,
                        when=when(),
                    )
            except InsufficientFunds:
                continue
            placed += 1
            with transaction.atomic():
                if n % 3 == 0:
                    hold.release(one.pk, when=when())
                elif n % 3 == 1:
                    hold.capture(one.pk, amount=650, fee=10, fee_tax=2, when=when())
        return placed

    def snapshots() -> int:
        return sum(snapshot.take(tail=5) or time.sleep(0.02) or 0 for _ in range(20))

    results = at_once(
        [lambda n=n: creditor(n) for n in range(CREDITORS)]
        + [lambda n=n: holder(n) for n in range(HOLDERS)]
        + [snapshots]
    )

    credited, placed = sum(results[:CREDITORS]), sum(results[CREDITORS:-1])
    by_status = Counter(Hold.objects.values_list("status", flat=True))
    assert (credited, sum(by_status.values())) == (CREDITORS * EACH, placed)
    net = 5_000 + credited * (AMOUNT - FEE - TAX)
    spent, reserved = by_status["captured"] * 662, by_status["open"] * 700
    assert held(merchant) == {
        purpose: amount
        for purpose, amount in {"available": net - spent - reserved, "reserved": reserved}.items()
        if amount
    }
    assert platform() == {
        "stp_cash": 5_000 + credited * AMOUNT - by_status["captured"] * 650,
        "fee_revenue": credited * FEE + by_status["captured"] * 10,
        "iva_payable": credited * TAX + by_status["captured"] * 2,
    }
    assert Transaction.objects.filter(kind="spei_deposit").count() == credited
    assert sum(Entry.objects.values_list("amount", flat=True)) == 0
    assert deadlocks(owner) - before == 0
    assert invariant.check() == []
    trials.done(credited, "credits")
    trials.done(placed, "holds")


def test_a_credit_waits_for_no_debit(committed_db, merchant):
    with transaction.atomic():
        fund("available", 1_000, merchant)
    credit(merchant, "dep_0")

    def under_a_time_limit() -> int:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '500ms'")
            credit(merchant, "dep_1")
        return balance.of_merchant(merchant, livemode=False).available

    with transaction.atomic():
        hold.place(merchant, livemode=False, source="po_1", amount=1_000, purpose=Hold.Purpose.PAYOUT, when=when())
        (seen,) = at_once([under_a_time_limit])

    assert seen == 1_000 + 2 * 988  # the hold was not committed yet
    assert held(merchant) == {"available": 2 * 988, "reserved": 1_000}
