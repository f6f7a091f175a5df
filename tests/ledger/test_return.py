"""Reversals: a credited payment that must go back is a hold too; only holds move reserved money."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

from ledger.models import Hold, Transaction
from ledger.services import debt, hold, invariant
from ledger.services.chart import AccountName
from ledger.services.errors import AlreadyPosted, HoldOpen, HoldResolved, MoneyHeld
from ledger.services.journal import HOLD_KINDS, post
from ledger.services.postings import payout
from tests.ledger.books import fund, held, legs, nothing_written, when

pytestmark = pytest.mark.django_db


def place_return(merchant, amount=100_000, *, source="po_1", livemode=False) -> Hold:
    return hold.place_return(merchant, livemode=livemode, source=source, amount=amount, when=when())


def posted(placed: Hold) -> dict[str, dict[str, int]]:
    """Kind -> legs of all postings of a hold."""
    return {one.kind: legs(one) for one in Transaction.objects.filter(source=placed.source)}


def recover(merchant, source: str) -> None:
    funds = debt.lock(merchant, livemode=False)
    debt.recover(merchant, funds, livemode=False, source=source, when=when())


@pytest.mark.parametrize("livemode", [False, True])
def test_a_reversal_is_held_and_the_shortfall_becomes_debt(merchant, livemode):
    fund("available", 60_000, merchant, livemode=livemode)
    fund("owner_funds", 40_000, livemode=livemode)

    placed = place_return(merchant, livemode=livemode)

    assert (placed.purpose, placed.source, placed.amount, placed.status) == ("return", "po_1", 100_000, "open")
    assert posted(placed) == {"payment_reversed": {"available": 60_000, "debt": 40_000, "reserved": -100_000}}
    assert held(merchant, livemode=livemode) == {"reserved": 100_000, "debt": 40_000}
    assert invariant.check() == []

    hold.capture(placed.pk, amount=100_000, when=when())

    assert posted(placed)["payment_return_settled"] == {"reserved": 100_000, "stp_cash": -100_000}
    assert held(merchant, livemode=livemode) == {"debt": 40_000}
    with nothing_written(), pytest.raises(HoldResolved):
        hold.release(placed.pk, when=when())


@pytest.mark.parametrize(
    ("available", "amount", "from_debt"), [(0, 1, 1), (100, 100, 0), (100, 101, 1), (60_000, 100_000, 40_000)]
)
def test_a_reversal_takes_available_first_and_then_debt(merchant, available, amount, from_debt):
    if available:
        fund("available", available, merchant)

    place_return(merchant, amount)

    expected = {"available": max(0, available - amount), "reserved": amount, "debt": from_debt}
    assert held(merchant) == {purpose: figure for purpose, figure in expected.items() if figure}


def test_a_second_reversal_recovers_debt_first(merchant):
    place_return(merchant, 300)
    fund("available", 500, merchant)

    second = place_return(merchant, 1_000, source="po_2")

    assert posted(second) == {"payment_reversed": {"available": 200, "debt": 800, "reserved": -1_000}}
    assert legs(Transaction.objects.get(kind="debt_recovered", source=second.public_id)) == {
        "available": 300,
        "debt": -300,
    }
    assert held(merchant) == {"reserved": 1_300, "debt": 800}


def test_a_failed_return_restores_the_merchants_balances(merchant):
    fund("available", 60_000, merchant)
    fund("owner_funds", 40_000)

    placed = place_return(merchant)
    hold.release(placed.pk, when=when())

    assert posted(placed)["payment_return_failed"] == {"reserved": 100_000, "debt": -40_000, "available": -60_000}
    assert held(merchant) == {"available": 60_000}
    assert invariant.check() == []


@pytest.mark.parametrize(
    ("recovered", "still_owed"), [(0, 40_000), (15_000, 25_000), (40_000, 0)], ids=["nothing", "a part", "all"]
)
@pytest.mark.parametrize("how", ["failed", "came back", "came back, found in suspense"])
def test_a_returned_reversal_reduces_only_debt_still_owed(merchant, recovered, still_owed, how):
    fund("available", 60_000, merchant)
    fund("owner_funds", 40_000)
    placed = place_return(merchant)
    if recovered:
        fund("available", recovered, merchant)
        recover(merchant, "dep_2")
    assert held(merchant).get("debt", 0) == still_owed

    if how == "failed":
        hold.release(placed.pk, when=when())
    else:
        hold.capture(placed.pk, amount=100_000, when=when())
        cash = "suspense" if "suspense" in how else "stp_cash"
        if cash == "suspense":
            fund("suspense", 100_000)
        hold.take_back(placed.pk, amount=100_000, cash=cash, when=when())
        expected = {cash: 100_000, "debt": -still_owed, "available": still_owed - 100_000}
        assert posted(placed)["payment_return_returned"] == {k: v for k, v in expected.items() if v}
        with nothing_written(), pytest.raises(AlreadyPosted):
            hold.take_back(placed.pk, amount=100_000, when=when())

    assert held(merchant) == {"available": 60_000 + recovered}


def test_the_rest_of_a_partial_return_reduces_debt_first(merchant):
    fund("available", 60_000, merchant)
    fund("owner_funds", 40_000)
    placed = place_return(merchant)

    hold.capture(placed.pk, amount=50_000, when=when())

    assert posted(placed)["payment_return_failed"] == {"reserved": 50_000, "debt": -40_000, "available": -10_000}
    assert held(merchant) == {"available": 10_000}
    assert invariant.check() == []


def test_a_failed_return_that_settles_late_creates_debt_again(merchant):
    fund("available", 60_000, merchant)
    fund("owner_funds", 40_000)
    placed = place_return(merchant)
    hold.release(placed.pk, when=when())

    hold.settle_late(placed.pk, amount=100_000, when=when())

    assert posted(placed)["payment_return_settled_late"] == {"available": 60_000, "debt": 40_000, "stp_cash": -100_000}
    assert held(merchant) == {"debt": 40_000}
    assert invariant.check() == []
    hold.take_back(placed.pk, amount=100_000, when=when())
    assert held(merchant) == {"available": 60_000}


def test_a_return_has_one_hold_per_attempt(merchant):
    fund("available", 60_000, merchant)
    first = place_return(merchant)

    with nothing_written(), pytest.raises(AlreadyPosted):
        place_return(merchant)
    with nothing_written(), pytest.raises(HoldOpen):
        hold.take_back(first.pk, amount=100_000, when=when())
    hold.release(first.pk, when=when())
    place_return(merchant, source="po_2")

    assert held(merchant) == {"reserved": 100_000, "debt": 40_000}


def test_only_hold_postings_move_reserved_money(merchant):
    fund("available", 100_000, merchant)
    placed = place_return(merchant, 50_000)
    reserved, cash = AccountName("reserved", merchant), AccountName("stp_cash")

    for amount in (500, -500):
        for kind in ("adjustment", "reversal", "fund", "payout"):
            with nothing_written(), pytest.raises(MoneyHeld):
                post(
                    kind,
                    "src_1",
                    [(reserved, amount), (cash, -amount)],
                    livemode=False,
                    when=when(),
                    description="Past the hold",
                )

    assert held(merchant)["reserved"] == placed.amount


def test_only_the_hold_service_moves_reserved_money():
    """No code outside ``ledger.services.hold`` calls these postings."""
    own = Path(hold.__file__)
    callers = {
        f"{path.relative_to(settings.BASE_DIR)}: {name}"
        for app in ("backoffice", "kyc", "ledger", "merchants", "payments", "reconciliation", "webhooks")
        for path in (settings.BASE_DIR / app).rglob("*.py")
        if path != own and path.parent.name != "postings"
        for name in HOLD_KINDS
        if re.search(rf"\b(payout\.{name}|import .*\b{name})\b", path.read_text())
    }

    assert callers == set()
    assert all(hasattr(payout, kind) for kind in HOLD_KINDS)
    assert [kind for kind in sorted(HOLD_KINDS) if f"payout.{kind}" not in own.read_text()] == []
