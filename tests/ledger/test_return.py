"""Returns: a credited payment that must go back is a hold too, and nothing but holds moves reserved money."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

from core.errors import InsufficientFunds
from ledger.models import Breach, Hold, Transaction
from ledger.services import hold, invariant
from ledger.services.chart import AccountName
from ledger.services.door import HOLD_KINDS, post
from ledger.services.errors import AlreadyPosted, HoldResolved, MoneyHeld
from ledger.services.gate import GateClosed
from ledger.services.postings import payout
from tests.ledger.books import fund, held, legs, nothing_written, when

pytestmark = pytest.mark.django_db


def place_return(merchant, amount=100_000, *, from_debt=0, source="pay_1", livemode=False) -> Hold:
    return hold.place_return(
        merchant, livemode=livemode, source=source, amount=amount, from_debt=from_debt, when=when()
    )


def posted(placed: Hold) -> dict[str, dict[str, int]]:
    """Kind -> legs of everything that was posted for a hold."""
    return {one.kind: legs(one) for one in Transaction.objects.filter(source=placed.source)}


@pytest.mark.parametrize("livemode", [False, True])
def test_a_payment_that_must_go_back_is_held_and_what_the_merchant_lacks_is_owed(merchant, livemode):
    fund("available", 60_000, merchant, livemode=livemode)

    fund("owner_funds", 40_000, livemode=livemode)

    placed = place_return(merchant, from_debt=40_000, livemode=livemode)

    assert (placed.purpose, placed.source, placed.amount, placed.status) == ("return", "pay_1", 100_000, "open")
    assert posted(placed) == {"payment_reversed": {"available": 60_000, "debt": 40_000, "reserved": -100_000}}
    assert held(merchant, livemode=livemode) == {"reserved": 100_000, "debt": 40_000}
    assert invariant.check() == []

    hold.capture(placed.pk, amount=100_000, when=when())

    assert posted(placed)["payment_return_settled"] == {"reserved": 100_000, "stp_cash": -100_000}
    assert held(merchant, livemode=livemode) == {"debt": 40_000}
    with nothing_written(), pytest.raises(HoldResolved):
        hold.release(placed.pk, when=when())


def test_a_return_that_failed_leaves_the_merchant_as_before(merchant):
    fund("available", 60_000, merchant)
    fund("owner_funds", 40_000)

    placed = place_return(merchant, from_debt=40_000)
    hold.release(placed.pk, when=when())

    assert posted(placed)["payment_return_failed"] == {"reserved": 100_000, "debt": -40_000, "available": -60_000}
    assert held(merchant) == {"available": 60_000}
    assert invariant.check() == []


@pytest.mark.parametrize(
    ("recovered", "still_owed"), [(0, 40_000), (15_000, 25_000), (40_000, 0)], ids=["nothing", "a part", "all"]
)
def test_a_return_that_failed_lowers_only_a_debt_that_is_still_owed(merchant, recovered, still_owed):
    fund("available", 60_000, merchant)
    fund("owner_funds", 40_000)
    placed = place_return(merchant, from_debt=40_000)
    if recovered:
        fund("available", recovered, merchant)
        payout.debt_recovered(merchant, livemode=False, source="dep_2", amount=recovered, when=when())
    assert held(merchant).get("debt", 0) == still_owed

    hold.release(placed.pk, when=when())

    assert held(merchant) == {"available": 60_000 + recovered}


def test_of_a_return_in_part_the_rest_goes_to_the_debt_first(merchant):
    fund("available", 60_000, merchant)
    fund("owner_funds", 40_000)
    placed = place_return(merchant, from_debt=40_000)

    hold.capture(placed.pk, amount=50_000, when=when())

    assert posted(placed)["payment_return_failed"] == {"reserved": 50_000, "debt": -40_000, "available": -10_000}
    assert held(merchant) == {"available": 10_000}
    assert invariant.check() == []


def test_a_return_takes_no_more_than_is_there_and_is_held_once(merchant):
    fund("available", 60_000, merchant)
    fund("owner_funds", 40_000)

    with nothing_written(), pytest.raises(InsufficientFunds):
        place_return(merchant, from_debt=39_999)
    place_return(merchant, from_debt=40_000)
    with nothing_written(), pytest.raises(AlreadyPosted):
        place_return(merchant, from_debt=100_000)


def test_while_the_gate_is_closed_no_payment_goes_back(merchant):
    fund("available", 100_000, merchant)
    Breach.objects.create(invariant="covered", message="out by one centavo")

    with nothing_written(), pytest.raises(GateClosed):
        place_return(merchant)


def test_no_other_posting_moves_what_is_reserved(merchant):
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


def test_only_this_module_posts_what_moves_reserved_money():
    """Each such posting has its hold: no other code of ours calls one of them."""
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
