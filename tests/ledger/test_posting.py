"""ledger.services.posting: every posting is the chart's to the centavo, balanced, written once, or not at all."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.db import transaction

from core import clock
from core.errors import InvariantBroken
from core.money import MAX_AMOUNT
from ledger.models import Account, Entry, Transaction
from ledger.services import balance, posting
from ledger.services.chart import AccountName, open_accounts
from tests.concurrency.threads import at_once

DAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)


def credit(merchant, *, post=posting.spei_deposit, source="dep_1", livemode=False, **changes):
    figures = {"amount": 100_000, "fee": 1_000, "fee_tax": 160, "effective_at": NOW, "operating_date": DAY} | changes
    return post(merchant, livemode=livemode, source=source, **figures)


def suspend(*, source="dep_1", livemode=False, cash="stp_cash", reason="unknown_clabe", **changes):
    figures = {"amount": 100_000, "effective_at": NOW, "operating_date": DAY} | changes
    return posting.deposit_suspended(livemode=livemode, source=source, cash=cash, reason=reason, **figures)


def legs(posted: Transaction) -> dict[str, int]:
    return {entry.account.purpose: entry.amount for entry in posted.entries.select_related("account")}


def rows() -> tuple[int, int]:
    return Transaction.objects.count(), Entry.objects.count()


@pytest.mark.django_db
def test_a_spei_deposit_of_1000_pesos_is_posted_as_the_chart_says(merchant):
    posted = credit(merchant)

    assert legs(posted) == {"stp_cash": 100_000, "available": -98_840, "fee_revenue": -1_000, "iva_payable": -160}
    assert (posted.kind, posted.source, posted.livemode) == ("spei_deposit", "dep_1", False)
    assert balance.of_merchant(merchant, livemode=False).available == 98_840
    assert balance.of_platform(livemode=False) == {"stp_cash": 100_000, "fee_revenue": 1_000, "iva_payable": 160}


@pytest.mark.django_db
def test_1000_pesos_paid_at_oxxo_are_pending_as_the_chart_says(merchant):
    posted = credit(merchant, post=posting.oxxo_paid)

    assert legs(posted) == {
        "conekta_receivable": 100_000,
        "pending": -98_840,
        "fee_revenue": -1_000,
        "iva_payable": -160,
    }
    figures = balance.of_merchant(merchant, livemode=False)
    assert (figures.available, figures.pending) == (0, 98_840)


@pytest.mark.django_db
@pytest.mark.parametrize("cash", ["stp_cash", "conekta_receivable"])
def test_money_that_nobody_can_be_credited_with_is_in_suspense(cash):
    posted = suspend(cash=cash)

    assert legs(posted) == {cash: 100_000, "suspense": -100_000}
    assert posted.description == "Deposit kept in suspense: unknown_clabe"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"fee": 0, "fee_tax": 0}, {"stp_cash": 100_000, "available": -100_000}),
        ({"fee": 3, "fee_tax": 0}, {"stp_cash": 100_000, "available": -99_997, "fee_revenue": -3}),
        ({"amount": 1, "fee": 0, "fee_tax": 0}, {"stp_cash": 1, "available": -1}),
        ({"amount": 116, "fee": 100, "fee_tax": 16}, {"stp_cash": 116, "fee_revenue": -100, "iva_payable": -16}),
        ({"amount": MAX_AMOUNT, "fee": 0, "fee_tax": 0}, {"stp_cash": MAX_AMOUNT, "available": -MAX_AMOUNT}),
    ],
)
def test_a_leg_of_nothing_is_left_out(merchant, figures, expected):
    assert legs(credit(merchant, **figures)) == expected


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("figures", "error"),
    [
        ({"amount": 1000.0}, TypeError),
        ({"fee": 10.5}, TypeError),
        ({"amount": True, "fee": 0, "fee_tax": 0}, TypeError),
        ({"fee_tax": "160"}, TypeError),
        ({"amount": None}, TypeError),
        ({"amount": 0, "fee": 0, "fee_tax": 0}, InvariantBroken),
        ({"amount": MAX_AMOUNT + 1}, InvariantBroken),
        ({"amount": -MAX_AMOUNT - 1}, InvariantBroken),
        ({"amount": 2**63}, InvariantBroken),
    ],
)
def test_an_amount_that_is_none_is_refused_and_nothing_is_written(merchant, figures, error):
    with pytest.raises(error):
        credit(merchant, **figures)

    assert rows() == (0, 0)
    assert Account.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong",
    [
        [("stp_cash", 100)],
        [],
        [("stp_cash", 100), ("suspense", -99)],
        [("stp_cash", 100), ("suspense", -100), ("fee_revenue", 0)],
    ],
)
def test_legs_that_do_not_balance_are_refused_and_nothing_is_written(wrong):
    with pytest.raises(InvariantBroken):
        posting._post(
            "test",
            "src_1",
            [(AccountName(purpose), amount) for purpose, amount in wrong],
            livemode=False,
            effective_at=NOW,
            operating_date=DAY,
            description="",
        )

    assert rows() == (0, 0)


@pytest.mark.django_db
@pytest.mark.parametrize("name", [AccountName("petty_cash"), AccountName("available")])
def test_a_purpose_that_the_chart_does_not_know_is_refused_and_nothing_is_written(name):
    with pytest.raises(KeyError):
        posting._post(
            "test",
            "src_1",
            [(AccountName("stp_cash"), 5), (name, -5)],
            livemode=False,
            effective_at=NOW,
            operating_date=DAY,
            description="",
        )

    assert rows() == (0, 0)
    assert Account.objects.count() == 0


@pytest.mark.django_db
def test_a_platform_purpose_is_none_of_a_merchants(merchant):
    with pytest.raises(KeyError):
        open_accounts([AccountName("stp_cash", merchant)], livemode=False)


@pytest.mark.django_db
def test_one_source_is_posted_once_and_the_callers_transaction_lives_on(merchant):
    credit(merchant)

    with pytest.raises(InvariantBroken, match="spei_deposit dep_1 is already posted"):
        credit(merchant, amount=5_000, fee=0, fee_tax=0)

    assert rows() == (1, 4)
    assert balance.of_merchant(merchant, livemode=False).available == 98_840
    credit(merchant, source="dep_2")
    assert rows() == (2, 8)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("effective_at", "expected"),
    [
        (NOW - timedelta(hours=3), NOW - timedelta(hours=3)),
        (NOW, NOW),
        (NOW + timedelta(microseconds=1), NOW),
        (NOW + timedelta(days=400), NOW),
        (NOW - timedelta(days=7), NOW - timedelta(days=7)),
        (NOW - timedelta(days=8), NOW - timedelta(days=7)),
        (datetime(2001, 1, 1, tzinfo=UTC), NOW - timedelta(days=7)),
    ],
)
def test_the_effective_moment_is_within_the_last_seven_days(merchant, effective_at, expected):
    with time_machine.travel(NOW, tick=False):
        posted = credit(merchant, effective_at=effective_at)

    posted.refresh_from_db()
    assert (posted.effective_at, posted.recorded_at, posted.operating_date) == (expected, NOW, DAY)


@pytest.mark.django_db
def test_a_naive_moment_is_refused_and_nothing_is_written(merchant):
    with pytest.raises(TypeError):
        credit(merchant, effective_at=datetime(2026, 11, 23))  # noqa: DTZ001

    assert rows() == (0, 0)


@pytest.mark.django_db
def test_modes_and_merchants_have_books_of_their_own(merchant, other_merchant):
    credit(merchant, source="dep_1")
    credit(merchant, source="dep_2", livemode=True, amount=7, fee=0, fee_tax=0)
    credit(other_merchant, source="dep_3", amount=9, fee=0, fee_tax=0)

    available = {
        (m.name, livemode): balance.of_merchant(m, livemode=livemode).available
        for m in (merchant, other_merchant)
        for livemode in (False, True)
    }
    assert available == {
        ("Café Luna", False): 98_840,
        ("Café Luna", True): 7,
        ("Otra Tienda", False): 9,
        ("Otra Tienda", True): 0,
    }


def test_a_posting_needs_its_callers_transaction(committed_db, merchant):
    with pytest.raises(RuntimeError, match=r"must run inside transaction\.atomic"):
        credit(merchant)

    assert rows() == (0, 0)


def test_a_posting_is_rolled_back_with_what_caused_it(committed_db, merchant):
    class Failed(Exception):
        pass

    @transaction.atomic
    def credit_and_fail() -> None:
        credit(merchant)
        assert rows() == (1, 4)
        raise Failed

    with pytest.raises(Failed):
        credit_and_fail()

    assert rows() == (0, 0)


def test_threads_that_open_the_same_accounts_open_each_once(committed_db, merchant):
    def post(number: int) -> None:
        with transaction.atomic():
            credit(merchant, source=f"dep_{number}", effective_at=clock.now())

    at_once([lambda number=number: post(number) for number in range(8)])

    assert sorted(Account.objects.values_list("code", flat=True)) == sorted(
        [f"{merchant.public_id}:available", "platform:fee_revenue", "platform:iva_payable", "platform:stp_cash"]
    )
    assert rows() == (8, 32)
    assert balance.of_merchant(merchant, livemode=False).available == 8 * 98_840


def test_threads_that_post_one_source_post_it_once(committed_db, merchant):
    def post() -> str:
        try:
            with transaction.atomic():
                credit(merchant, effective_at=clock.now())
        except InvariantBroken:
            return "already posted"
        return "posted"

    assert sorted(at_once([post] * 8)) == ["already posted"] * 7 + ["posted"]

    assert rows() == (1, 4)
    assert balance.of_merchant(merchant, livemode=False).available == 98_840
