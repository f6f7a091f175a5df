"""ledger.services.balance: balances are sums of entries, whatever happened in whatever order."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from hypothesis import given, settings
from hypothesis import strategies as st

from core import clock
from core.errors import InvariantBroken
from core.money import fee_with_iva
from ledger.models import Entry
from ledger.services import balance, posting
from merchants.models import Merchant

pytestmark = pytest.mark.django_db

DAY = date(2026, 11, 23)
SMALL_AND_LARGE = st.one_of(st.integers(1, 300), st.integers(1, 10**12))

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["spei", "oxxo", "suspended_spei", "suspended_oxxo"]),
        st.integers(0, 1),  # which merchant
        st.booleans(),  # which mode
        SMALL_AND_LARGE,
        st.decimals("0", "50", places=2),
        st.integers(0, 5_000),
        st.integers(0, 6),  # which source: some come twice
    ),
    max_size=12,
)


def replay(history, merchants: list[Merchant]) -> Counter:
    """Post ``history``; what a pure model says every account must hold afterwards."""
    expected: Counter = Counter()
    seen = set()
    for kind, which, livemode, amount, percent, fixed, source in history:
        common = {"livemode": livemode, "source": f"dep_{source}", "amount": amount}
        common |= {"effective_at": clock.now(), "operating_date": DAY}
        fee, fee_tax = fee_with_iva(amount, percent=percent, fixed=fixed)
        key = ("suspended" if kind.startswith("suspended") else kind, source)
        try:
            with transaction.atomic():
                match kind:
                    case "spei":
                        posting.spei_deposit(merchants[which], fee=fee, fee_tax=fee_tax, **common)
                    case "oxxo":
                        posting.oxxo_paid(merchants[which], fee=fee, fee_tax=fee_tax, **common)
                    case _:
                        cash = "stp_cash" if kind.endswith("spei") else "conekta_receivable"
                        posting.deposit_suspended(cash=cash, reason="unknown_clabe", **common)
        except InvariantBroken:
            assert key in seen
            continue
        assert key not in seen
        seen.add(key)
        cash = "stp_cash" if kind.endswith("spei") else "conekta_receivable"
        expected[livemode, None, cash] += amount
        if key[0] == "suspended":
            expected[livemode, None, "suspense"] += amount
        else:
            expected[livemode, which, "available" if kind == "spei" else "pending"] += amount - fee - fee_tax
            expected[livemode, None, "fee_revenue"] += fee
            expected[livemode, None, "iva_payable"] += fee_tax
    return expected


@settings(max_examples=40, deadline=None)
@given(history=EVENTS)
def test_whatever_happens_the_books_sum_to_zero_and_balances_are_a_pure_models(history):
    with transaction.atomic():
        merchants = [Merchant.objects.create(name=name, legal_name=name) for name in ("One", "Two")]

        expected = replay(history, merchants)

        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        by_transaction = Entry.objects.values("transaction").annotate(total=Sum("amount"))
        assert [row for row in by_transaction if row["total"]] == []
        found: Counter = Counter()
        for livemode in (False, True):
            found.update({(livemode, None, k): v for k, v in balance.of_platform(livemode=livemode).items()})
            for which, merchant in enumerate(merchants):
                figures = balance.of_merchant(merchant, livemode=livemode)
                assert (figures.reserved, figures.blocked, figures.debt) == (0, 0, 0)
                found[livemode, which, "available"] = figures.available
                found[livemode, which, "pending"] = figures.pending
        assert {k: v for k, v in found.items() if v} == {k: v for k, v in expected.items() if v}
        transaction.set_rollback(True)


def test_a_merchant_without_entries_has_nothing_of_everything(merchant):
    before = clock.now()

    figures = balance.of_merchant(merchant, livemode=True)

    assert (figures.available, figures.pending, figures.reserved, figures.blocked, figures.debt) == (0, 0, 0, 0, 0)
    assert (figures.livemode, figures.currency) == (True, "MXN")
    assert before <= figures.as_of <= clock.now()


def test_a_balance_is_read_in_one_statement(merchant, django_assert_num_queries):
    with django_assert_num_queries(1):
        balance.of_merchant(merchant, livemode=False)
