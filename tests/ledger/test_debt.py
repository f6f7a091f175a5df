"""Debt: a merchant spends available money less debt, and new money recovers debt."""

from __future__ import annotations

import pytest
from django.db import transaction

from core.errors import InsufficientFunds
from core.unit_of_work import unit_of_work
from ledger.jobs.debt import recover_debts
from ledger.models import Hold, Transaction
from ledger.services import debt, hold
from ledger.services.errors import AlreadyPosted, HoldOpen, HoldResolved, InvalidAmount
from ledger.services.postings import pay_in
from tests.ledger.books import fund, held, legs, nothing_written, platform, when

pytestmark = pytest.mark.django_db

PAYOUT, REFUND = Hold.Purpose.PAYOUT, Hold.Purpose.REFUND


def place(merchant, amount, *, source="po_1", purpose=PAYOUT, livemode=False) -> Hold:
    return hold.place(merchant, livemode=livemode, source=source, amount=amount, purpose=purpose, when=when())


def owe(merchant, amount, *, livemode=False) -> None:
    """Create debt: a settled reversal of a merchant without money."""
    back = hold.place_return(merchant, livemode=livemode, source="po_reversal", amount=amount, when=when())
    hold.capture(back.pk, amount=amount, when=when())


@pytest.mark.parametrize("purpose", [PAYOUT, REFUND, Hold.Purpose.BATCH])
def test_every_hold_recovers_debt_first(merchant, purpose):
    owe(merchant, 40_000)
    fund("available", 100_000, merchant)

    placed = place(merchant, 60_000, purpose=purpose)

    recovered = Transaction.objects.get(kind="debt_recovered")
    assert (recovered.source, legs(recovered)) == (placed.public_id, {"available": 40_000, "debt": -40_000})
    assert held(merchant) == {"reserved": 60_000}


def test_owed_money_cannot_be_spent(merchant):
    owe(merchant, 40_000)
    fund("available", 100_000, merchant)
    saying = r"Available holds \$1,000\.00 and debt is \$400\.00; \$600\.01 are needed"

    with nothing_written(), pytest.raises(InsufficientFunds, match=saying):
        place(merchant, 60_001)

    assert held(merchant) == {"available": 100_000, "debt": 40_000}


def test_a_merchant_with_more_debt_than_money_can_spend_nothing(merchant):
    owe(merchant, 40_000)
    fund("available", 39_999, merchant)

    with nothing_written(), pytest.raises(InsufficientFunds):
        place(merchant, 1)


def test_debt_is_separate_by_mode_and_merchant(merchant, other_merchant):
    owe(merchant, 40_000)
    fund("available", 100, merchant, livemode=True)
    fund("available", 100, other_merchant)

    place(merchant, 100, livemode=True)
    place(other_merchant, 100, source="po_2")

    assert (held(merchant), held(merchant, livemode=True)) == ({"debt": 40_000}, {"reserved": 100})
    assert held(other_merchant) == {"reserved": 100}


def test_two_holds_of_one_unit_of_work_recover_debt_once(merchant):
    owe(merchant, 40_000)
    fund("available", 100_000, merchant)

    with transaction.atomic(), unit_of_work():
        place(merchant, 50_000)
        with pytest.raises(InsufficientFunds):
            place(merchant, 10_001, source="po_2")
        place(merchant, 10_000, source="po_3")

    assert Transaction.objects.filter(kind="debt_recovered").count() == 1
    assert held(merchant) == {"reserved": 60_000}


@pytest.mark.parametrize("livemode", [False, True])
def test_the_worker_recovers_debt_from_new_money(merchant, other_merchant, livemode):
    owe(merchant, 40_000, livemode=livemode)
    fund("available", 500, other_merchant, livemode=livemode)
    credited = [
        pay_in.spei_deposit(merchant, livemode=livemode, source=source, amount=amount, fee=0, fee_tax=0, when=when())
        for source, amount in (("dep_1", 10_000), ("dep_2", 5_000))
    ]

    recover_debts(0)
    recover_debts(0)

    recovered = Transaction.objects.get(kind="debt_recovered")
    assert (recovered.source, legs(recovered)) == (credited[1].public_id, {"available": 15_000, "debt": -15_000})
    assert held(merchant, livemode=livemode) == {"debt": 25_000}
    fund("available", 30_000, merchant, livemode=livemode)
    assert (debt.recover_all(), debt.recover_all()) == (1, 0)
    assert held(merchant, livemode=livemode) == {"available": 5_000}


@pytest.mark.parametrize(("purpose", "fee", "fee_tax"), [(PAYOUT, 500, 80), (PAYOUT, 0, 0), (REFUND, 0, 0)])
@pytest.mark.parametrize("available", [0, 30_000, 70_000])
def test_a_late_settlement_takes_available_and_the_rest_becomes_debt(merchant, purpose, fee, fee_tax, available):
    spent = 50_000 + fee + fee_tax
    fund("available", spent, merchant)
    placed = place(merchant, spent, purpose=purpose)
    with nothing_written(), pytest.raises(HoldOpen):
        hold.settle_late(placed.pk, amount=50_000, when=when())
    hold.release(placed.pk, when=when())
    if available < spent:
        place(merchant, spent - available, source="po_2")
    else:
        fund("available", available - spent, merchant)
    cash = platform()["stp_cash"]

    posted = hold.settle_late(placed.pk, amount=50_000, fee=fee, fee_tax=fee_tax, when=when())

    assert (posted.kind, posted.source) == (f"{purpose}_settled_late", "po_1")
    figures = held(merchant)
    assert (figures.get("available", 0), figures.get("debt", 0)) == (
        max(0, available - spent),
        max(0, spent - available),
    )
    assert platform().get("stp_cash", 0) == cash - 50_000
    with nothing_written(), pytest.raises(AlreadyPosted):
        hold.settle_late(placed.pk, amount=50_000, fee=fee, fee_tax=fee_tax, when=when())


def test_only_a_released_hold_settles_late_up_to_its_amount(merchant):
    fund("available", 1_000, merchant)
    captured, released = place(merchant, 100), place(merchant, 100, source="po_2")
    hold.capture(captured.pk, amount=100, when=when())
    hold.release(released.pk, when=when())

    with nothing_written(), pytest.raises(HoldResolved):
        hold.settle_late(captured.pk, amount=100, when=when())
    for figures in ({"amount": 101}, {"amount": 100, "fee": 1}, {"amount": 0}):
        with nothing_written(), pytest.raises(InvalidAmount):
            hold.settle_late(released.pk, when=when(), **figures)


@pytest.mark.parametrize("purpose", [PAYOUT, REFUND])
@pytest.mark.parametrize("cash", ["stp_cash", "suspense"])
def test_a_returned_payout_is_available_again_once(merchant, purpose, cash):
    fund("available", 50_580, merchant)
    fund("suspense", 50_580)
    placed = place(merchant, 50_580, purpose=purpose)
    hold.capture(placed.pk, amount=50_580, when=when())

    posted = hold.take_back(placed.pk, amount=50_580, cash=cash, when=when())

    assert (posted.kind, posted.source) == (f"{purpose}_returned", "po_1")
    assert legs(posted) == {cash: 50_580, "available": -50_580}
    for other in ("stp_cash", "suspense"):
        with nothing_written(), pytest.raises((AlreadyPosted, InsufficientFunds)):
            hold.take_back(placed.pk, amount=50_580, cash=other, when=when())


@pytest.mark.parametrize("purpose", [PAYOUT, REFUND, Hold.Purpose.RETURN])
@pytest.mark.parametrize("cash", ["stp_cash", "suspense"])
def test_money_that_was_never_sent_cannot_be_returned(merchant, purpose, cash):
    fund("available", 1_000, merchant)
    fund("suspense", 1_000)

    def held_for(source) -> Hold:
        if purpose == Hold.Purpose.RETURN:
            return hold.place_return(merchant, livemode=False, source=source, amount=300, when=when())
        return place(merchant, 300, source=source, purpose=purpose)

    released, captured = held_for("po_1"), held_for("po_2")
    hold.release(released.pk, when=when())
    hold.capture(captured.pk, amount=200, when=when())

    with nothing_written(), pytest.raises(HoldResolved, match="did not settle"):
        hold.take_back(released.pk, amount=300, cash=cash, when=when())
    with nothing_written(), pytest.raises(InvalidAmount, match="200 centavos were captured"):
        hold.take_back(captured.pk, amount=201, cash=cash, when=when())
    hold.settle_late(released.pk, amount=300, when=when())
    hold.take_back(released.pk, amount=300, cash=cash, when=when())
    hold.take_back(captured.pk, amount=200, cash=cash, when=when())

    assert held(merchant) == {"available": 1_000}


def test_a_return_may_include_the_fee_and_a_new_match_its_own_source(merchant):
    fund("available", 50_580, merchant)
    placed = place(merchant, 50_580)
    hold.capture(placed.pk, amount=50_000, fee=500, fee_tax=80, when=when())

    hold.take_back(placed.pk, amount=50_000, fee=500, fee_tax=80, when=when())
    again = hold.take_back(placed.pk, amount=50_000, source="dep_2", when=when())

    assert (again.source, held(merchant)) == ("dep_2", {"available": 100_580})
