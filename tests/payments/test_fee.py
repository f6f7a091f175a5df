"""Fees: by method and period, rounded once per payment, and exact in the ledger for any deposits."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db.models import Sum
from hypothesis import given, settings
from hypothesis import strategies as st

from core import clock
from core.money import fee_with_iva
from core.state import Origin, TransitionRow
from ledger.models import Entry
from merchants.models import Merchant
from payments.models import FeeRule, Payment
from payments.services import fee as fee_service
from payments.services import payment as payment_service

pytestmark = pytest.mark.django_db

PERCENTS = st.integers(0, 500_000).map(lambda n: Decimal(n).scaleb(-4))


def memory_payment(percent: Decimal, fixed: int) -> Payment:
    return Payment(fee_percent=percent, fee_fixed=fixed, fee_iva=Decimal("0.16"))


@given(PERCENTS, st.integers(0, 5_000), st.lists(st.integers(1, 200_000), min_size=1, max_size=8))
@settings(max_examples=300)
def test_several_deposits_cost_as_much_as_one_within_their_amounts(percent, fixed, amounts):
    payment = memory_payment(percent, fixed)

    for amount in amounts:
        fee, fee_tax = fee_service.additional_fee(payment, amount)
        assert fee >= 0
        assert fee_tax >= 0
        assert fee + fee_tax <= amount
        payment.amount_received += amount
        payment.fee += fee
        payment.fee_tax += fee_tax

    whole = fee_with_iva(sum(amounts), percent=percent, fixed=fixed)
    assert payment.fee <= whole[0]
    assert payment.fee + payment.fee_tax <= sum(whole)
    last = amounts[-1]
    if last >= sum(whole):
        assert (payment.fee, payment.fee_tax) == whole


@given(PERCENTS, st.integers(0, 2_000), st.lists(st.integers(1, 300_000), min_size=1, max_size=4))
@settings(max_examples=25)
def test_a_payments_figures_are_the_ledgers_to_the_centavo(stp, percent, fixed, amounts):
    """Every deposit arrives as STP's notice; the merchant accepts any."""
    merchant = Merchant.objects.create(name="Luna", legal_name="Luna SA", deposit_policy="accept_any")
    FeeRule.objects.create(merchant=merchant, method="spei", percent=percent, fixed=fixed)
    wanted = payment_service.NewPayment(Payment.Method.SPEI, 100_000, clock.now() + timedelta(days=1))
    origin = Origin(TransitionRow.Cause.API, "key_test")
    payment = payment_service.create(merchant, livemode=False, wanted=wanted, origin=origin)

    for number, amount in enumerate(amounts):
        assert stp.post(stp.deposit(payment.clabe, amount, claveRastreo=f"{payment.pk}N{number}")).status_code == 200

    payment.refresh_from_db()
    sources = list(payment.deposits.values_list("public_id", flat=True))

    def booked(purpose: str) -> int:
        entries = Entry.objects.filter(transaction__source__in=sources, account__purpose=purpose)
        return -(entries.aggregate(total=Sum("amount"))["total"] or 0)

    assert payment.amount_received == sum(amounts)
    assert (payment.fee, payment.fee_tax, payment.net) == (
        booked("fee_revenue"),
        booked("iva_payable"),
        booked("available"),
    )


def test_the_rule_of_the_day_counts_and_both_ends_belong_to_it(other_merchant):
    first = FeeRule(merchant=other_merchant, method="spei", percent=1, fixed=0)
    first.valid_from, first.valid_until = date(2126, 1, 1), date(2126, 6, 30)
    first.save()
    FeeRule.objects.create(merchant=other_merchant, method="spei", percent=2, fixed=5, valid_from=date(2126, 7, 1))

    found = {
        day: fee_service.terms(other_merchant, "spei", day)
        for day in (date(2125, 12, 31), date(2126, 1, 1), date(2126, 6, 30), date(2126, 7, 1), date(2130, 1, 1))
    }

    assert [(terms.percent, terms.fixed) for terms in found.values()] == [(0, 0), (1, 0), (1, 0), (2, 5), (2, 5)]
    assert fee_service.terms(other_merchant, "oxxo", date(2130, 1, 1)).percent != 2


def test_a_payment_keeps_the_iva_rate_of_its_day(settings):
    settings.IVA_RATES = ((date(2010, 1, 1), Decimal("0.16")), (date(2027, 1, 1), Decimal("0.17")))

    assert fee_service.iva_rate(date(2026, 12, 31)) == Decimal("0.16")
    assert fee_service.iva_rate(date(2027, 1, 1)) == Decimal("0.17")
