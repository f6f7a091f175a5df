"""ledger.services.balance: balances are sums of entries, now and at past times by effective time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from core import clock
from ledger.models import Account
from ledger.services import balance
from ledger.services.chart import AccountName, open_accounts
from ledger.services.journal import post
from ledger.services.postings import pay_in, payout
from merchants.models import Merchant
from tests.ledger.books import fund, held, platform, when

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)


def account(code: str, *, livemode: bool = False) -> Account:
    return Account.objects.get(code=code, livemode=livemode)


def test_a_merchant_without_entries_has_zero_balances(merchant):
    before = clock.now()

    figures = balance.of_merchant(merchant, livemode=True)

    assert (figures.available, figures.pending, figures.reserved, figures.blocked, figures.debt) == (0, 0, 0, 0, 0)
    assert (figures.livemode, figures.currency) == (True, "MXN")
    assert before <= figures.as_of <= clock.now()


def test_balances_are_positive_on_the_normal_side(merchant):
    for purpose, amount in {"available": 10, "pending": 20, "reserved": 30, "blocked": 40}.items():
        fund(purpose, amount, merchant)
    post(
        "test",
        "src_1",
        [(AccountName("debt", merchant), 50), (AccountName("stp_cash"), -50)],
        livemode=False,
        when=when(),
        description="Test",
    )

    assert held(merchant) == {"available": 10, "pending": 20, "reserved": 30, "blocked": 40, "debt": 50}
    assert platform() == {"stp_cash": 50}
    assert balance.of_account(account(f"{merchant.public_id}:debt")) == 50
    assert balance.of_name(AccountName("pending", merchant), livemode=False) == 20


def test_an_unopened_account_has_a_zero_balance(merchant):
    assert balance.of_name(AccountName("debt", merchant), livemode=True) == 0
    assert balance.of_platform(livemode=True) == {}
    assert Account.objects.count() == 0


def test_a_balance_is_read_in_one_statement(merchant, django_assert_num_queries):
    fund("available", 5, merchant)

    with django_assert_num_queries(1):
        balance.of_merchant(merchant, livemode=False)
    with django_assert_num_queries(1):
        balance.of_platform(livemode=False)


def test_a_past_balance_uses_the_effective_time(merchant):
    with time_machine.travel(NOW - timedelta(days=2), tick=False):
        pay_in.merchant_top_up(merchant, livemode=False, source="dep_1", amount=1_000, when=when())
    with time_machine.travel(NOW, tick=False):
        late = when(NOW - timedelta(days=3))
        pay_in.merchant_top_up(merchant, livemode=False, source="dep_2", amount=70, when=late)
        payout.funds_blocked(merchant, livemode=False, source="case_1", amount=500, when=when())

        def available(days: float) -> int:
            return balance.of_merchant(merchant, livemode=False, as_of=NOW - timedelta(days=days)).available

        assert [available(days) for days in (4, 3.001, 3, 2.001, 2, 1, 0.001, 0)] == [
            0,
            0,
            70,
            70,
            1_070,
            1_070,
            1_070,
            570,
        ]
        assert held(merchant) == {"available": 570, "blocked": 500}
        assert balance.of_merchant(merchant, livemode=False, as_of=NOW - timedelta(days=1)).blocked == 0


@settings(max_examples=40)
@given(
    history=st.lists(st.tuples(st.integers(0, 6 * 24), st.integers(1, 10**12), st.booleans()), min_size=1, max_size=12),
    asked=st.lists(st.integers(-10, 9 * 24), min_size=1, max_size=6),
    opened=st.integers(0, 40),
)
def test_a_past_balance_is_the_same_summed_forwards_or_backwards(history, asked, opened):
    with transaction.atomic():
        merchant = Merchant.objects.create(name="One", legal_name="One")
        with time_machine.travel(NOW - timedelta(days=opened), tick=False):  # decides the direction of the sum
            open_accounts([AccountName("available", merchant)], livemode=False)
        with time_machine.travel(NOW, tick=False):
            fund("available", 10**14, merchant)
            moves = [(NOW, 10**14)]
            for number, (hours_ago, amount, inwards) in enumerate(history):
                moment = NOW - timedelta(hours=hours_ago)
                flow = pay_in.merchant_top_up if inwards else payout.funds_blocked
                flow(merchant, livemode=False, source=f"src_{number}", amount=amount, when=when(moment))
                moves.append((moment, amount if inwards else -amount))
            available = account(f"{merchant.public_id}:available")

            for hours in asked:
                moment = NOW - timedelta(hours=hours)
                assert balance.balance_at(available, moment) == sum(amount for at, amount in moves if at <= moment)
            assert balance.of_account(available) == sum(amount for _, amount in moves)
        transaction.set_rollback(True)
