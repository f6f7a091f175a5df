"""ledger.services.hold: money is held once, resolved once, and never overdrawn."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.utils import timezone
from django_fsm import TransitionNotAllowed

import ledger.jobs
from core import clock
from core.errors import InsufficientFunds
from core.money import MAX_AMOUNT
from ledger.models import Breach, Hold, Transaction
from ledger.services import gate, hold, invariant
from ledger.services.errors import AlreadyPosted, HoldResolved, InvalidAmount
from ledger.services.gate import GateClosed
from tests.ledger.books import fund, held, legs, nothing_written, platform, when, written

pytestmark = pytest.mark.django_db

PAYOUT, REFUND = Hold.Purpose.PAYOUT, Hold.Purpose.REFUND
PURPOSES = pytest.mark.parametrize("purpose", [PAYOUT, REFUND])


def place(merchant, amount=50_580, *, source="po_1", livemode=False, purpose=PAYOUT) -> Hold:
    return hold.place(merchant, livemode=livemode, source=source, amount=amount, purpose=purpose, when=when())


def capture(placed: Hold, amount: int, **fee) -> Hold:
    return hold.capture(placed.pk, amount=amount, when=when(), **fee)


def release(placed: Hold) -> Hold:
    return hold.release(placed.pk, when=when())


def posted(placed: Hold) -> dict[str, dict[str, int]]:
    """Kind -> legs of all postings of a hold."""
    found = Transaction.objects.filter(source=placed.source)
    return {one.kind: legs(one) for one in found}


@PURPOSES
@pytest.mark.parametrize("livemode", [False, True])
def test_a_hold_is_the_posting_from_available_to_reserved_and_a_row(merchant, purpose, livemode):
    fund("available", 100_000, merchant, livemode=livemode)

    placed = place(merchant, livemode=livemode, purpose=purpose)

    placed.refresh_from_db()
    assert (placed.merchant, placed.livemode, placed.purpose, placed.source) == (merchant, livemode, purpose, "po_1")
    assert (placed.amount, placed.captured, placed.status, placed.resolved_at) == (50_580, 0, "open", None)
    assert posted(placed) == {f"{purpose}_created": {"available": 50_580, "reserved": -50_580}}
    assert held(merchant, livemode=livemode) == {"available": 49_420, "reserved": 50_580}
    assert held(merchant, livemode=not livemode) == {}


def test_a_payout_with_its_fee_is_captured_in_full(merchant):
    fund("available", 100_000, merchant)
    placed = place(merchant)

    captured = capture(placed, 50_000, fee=500, fee_tax=80)

    assert (captured.status, captured.captured) == ("captured", 50_580)
    assert captured.resolved_at is not None
    assert posted(placed)["payout_settled"] == {
        "reserved": 50_580,
        "stp_cash": -50_000,
        "fee_revenue": -500,
        "iva_payable": -80,
    }
    assert "payout_failed" not in posted(placed)
    assert held(merchant) == {"available": 49_420}
    assert platform() == {"stp_cash": 50_000, "fee_revenue": 500, "iva_payable": 80}


@PURPOSES
@pytest.mark.parametrize("amount", [1, 30_000, 50_579])
def test_the_rest_of_a_captured_hold_returns_to_available(merchant, purpose, amount):
    fund("available", 50_580, merchant)
    placed = place(merchant, purpose=purpose)

    captured = capture(placed, amount)

    assert (captured.status, captured.captured) == ("captured", amount)
    assert posted(placed) == {
        f"{purpose}_created": {"available": 50_580, "reserved": -50_580},
        f"{purpose}_settled": {"reserved": amount, "stp_cash": -amount},
        f"{purpose}_failed": {"reserved": 50_580 - amount, "available": amount - 50_580},
    }
    assert held(merchant) == {"available": 50_580 - amount}


@PURPOSES
def test_a_released_hold_returns_everything(merchant, purpose):
    fund("available", 100_000, merchant)
    placed = place(merchant, purpose=purpose)

    released = release(placed)

    assert (released.status, released.captured) == ("released", 0)
    assert released.resolved_at is not None
    assert posted(placed)[f"{purpose}_failed"] == {"reserved": 50_580, "available": -50_580}
    assert held(merchant) == {"available": 100_000}
    assert platform() == {"stp_cash": 100_000}


@PURPOSES
@pytest.mark.parametrize("first", ["capture", "capture a part", "release"])
@pytest.mark.parametrize("second", ["capture", "capture a part", "release"])
def test_a_hold_is_resolved_once(merchant, purpose, first, second):
    ways = {
        "capture": lambda placed: capture(placed, 50_580),
        "capture a part": lambda placed: capture(placed, 100),
        "release": release,
    }
    fund("available", 100_000, merchant)
    placed = place(merchant, purpose=purpose)
    ways[first](placed)
    outcome = "released" if first == "release" else "captured"

    with nothing_written(), pytest.raises(HoldResolved, match=f"{placed.public_id} is {outcome} already"):
        ways[second](placed)


@PURPOSES
@pytest.mark.parametrize("figures", [{"amount": 50_581}, {"amount": MAX_AMOUNT}])
def test_a_capture_cannot_exceed_the_hold(merchant, purpose, figures):
    fund("available", 100_000, merchant)
    placed = place(merchant, purpose=purpose)

    with nothing_written(), pytest.raises(InvalidAmount):
        capture(placed, **figures)

    placed.refresh_from_db()
    assert (placed.status, placed.captured) == ("open", 0)


@pytest.mark.parametrize("figures", [{"fee": 501, "fee_tax": 80}, {"fee": 500, "fee_tax": 81}, {"fee": 581}])
def test_the_fee_counts_towards_the_capture(merchant, figures):
    fund("available", 100_000, merchant)
    placed = place(merchant)

    with nothing_written(), pytest.raises(InvalidAmount, match=r"50580 centavos; 50581 cannot be captured"):
        capture(placed, 50_000, **figures)


@PURPOSES
@pytest.mark.parametrize("wrong", [0, -1, 1.0, True, "100", None, 2**53])
def test_holds_and_captures_need_whole_centavos(merchant, purpose, wrong):
    fund("available", 100_000, merchant)
    placed = place(merchant, purpose=purpose)

    with nothing_written(), pytest.raises(InvalidAmount):
        place(merchant, wrong, source="po_2", purpose=purpose)
    with nothing_written(), pytest.raises(InvalidAmount):
        capture(placed, wrong)


@PURPOSES
@pytest.mark.parametrize(
    "wrong", [{"fee": -500}, {"fee_tax": -80}, {"fee": 1.0}, {"fee": True}, {"fee": -5, "fee_tax": 5}]
)
def test_a_fee_that_is_not_whole_centavos_is_refused(merchant, purpose, wrong):
    fund("available", 100_000, merchant)
    placed = place(merchant, purpose=purpose)

    with nothing_written(), pytest.raises(InvalidAmount):
        capture(placed, 50_000, **wrong)


@pytest.mark.parametrize("wrong", [{"fee": 1}, {"fee_tax": 1}, {"fee": 500, "fee_tax": 80}])
def test_only_a_payout_has_a_fee(merchant, wrong):
    fund("available", 150_580, merchant)
    back = hold.place_return(merchant, livemode=False, source="po_2", amount=100_000, when=when())

    for placed in (place(merchant, purpose=REFUND), back):
        with nothing_written(), pytest.raises(InvalidAmount, match="Only a payout has a fee"):
            capture(placed, 50_000, **wrong)


@PURPOSES
def test_holds_cannot_exceed_available_money(merchant, purpose):
    fund("available", 50_000, merchant)

    with nothing_written(), pytest.raises(InsufficientFunds):
        place(merchant, 50_001, purpose=purpose)
    place(merchant, 30_000, purpose=purpose)
    with nothing_written(), pytest.raises(InsufficientFunds, match=r"Available holds \$200\.00; \$200\.01 are needed"):
        place(merchant, 20_001, source="po_2", purpose=purpose)
    place(merchant, 20_000, source="po_3", purpose=purpose)

    assert held(merchant) == {"reserved": 50_000}


@pytest.mark.parametrize("elsewhere", ["pending", "reserved", "blocked", "another merchant's", "the other mode's"])
def test_only_available_money_of_the_same_merchant_and_mode_is_held(merchant, other_merchant, elsewhere):
    match elsewhere:
        case "another merchant's":
            fund("available", 100_000, other_merchant)
        case "the other mode's":
            fund("available", 100_000, merchant, livemode=True)
        case _:
            fund(elsewhere, 100_000, merchant)
    fund("suspense", 100_000)
    fund("available", 99, merchant)

    with nothing_written(), pytest.raises(InsufficientFunds, match=r"Available holds \$0\.99; \$1\.00 are needed"):
        place(merchant, 100)


def test_one_source_is_held_once(merchant):
    fund("available", 100_000, merchant)
    place(merchant, 100)

    with nothing_written(), pytest.raises(AlreadyPosted, match="payout_created po_1 is posted already"):
        place(merchant, 200)

    place(merchant, 200, source="po_2")
    assert held(merchant) == {"available": 99_700, "reserved": 300}


@pytest.mark.parametrize("livemode", [False, True])
def test_a_closed_gate_does_not_refuse_holds_and_outcomes(merchant, livemode):
    fund("available", 100_000, merchant, livemode=livemode)
    captured = place(merchant, 100, livemode=livemode)
    breach = Breach.objects.create(invariant="covered", livemode=livemode, message="out by one centavo")

    placed = place(merchant, 100, source="po_2", livemode=livemode)

    assert release(placed).status == "released"
    assert capture(captured, 100).status == "captured"
    for mode in (livemode, not livemode):
        if mode == livemode:
            with pytest.raises(GateClosed) as refusal:
                gate.require_open(merchant, livemode=mode, provider_account="pac_1")
            assert (refusal.value.breach, refusal.value.http_status, refusal.value.retry_after) == (breach, 503, 300)
            assert "centavo" not in refusal.value.message
        else:
            gate.require_open(merchant, livemode=mode, provider_account="pac_1")
    Breach.objects.update(cleared_at=timezone.now())
    gate.require_open(merchant, livemode=livemode, provider_account="pac_1")


def test_a_hold_never_expires(merchant):
    fund("available", 100_000, merchant)
    placed = place(merchant)

    with time_machine.travel(clock.now() + timedelta(days=3_650)):
        invariant.check()
        placed.refresh_from_db()
        assert (placed.status, held(merchant)) == ("open", {"available": 49_420, "reserved": 50_580})
        assert capture(placed, 50_580).status == "captured"


def test_no_periodic_job_uses_holds():
    base = Path(settings.BASE_DIR)
    jobs = [path for pattern in ("*/jobs.py", "*/jobs/*.py", "*/*/jobs/*.py") for path in base.glob(pattern)]

    assert Path(ledger.jobs.__file__) in jobs
    assert [str(path) for path in jobs if re.search(r"import .*\bhold\b|\bhold\.|Hold\b", path.read_text())] == []
    assert [field.name for field in Hold._meta.get_fields() if "expire" in field.name] == []
    assert {change.name for change in Hold().get_all_status_transitions()} == {"capture", "release"}


def test_the_model_refuses_a_second_outcome(merchant):
    fund("available", 100_000, merchant)
    placed = release(place(merchant))

    with pytest.raises(TransitionNotAllowed):
        placed.capture(1)
    with pytest.raises(AttributeError):
        placed.status = Hold.Status.OPEN


def test_reserved_is_always_the_sum_of_open_holds(merchant, other_merchant):
    for owner in (merchant, other_merchant):
        fund("available", 100_000, owner)
    first, second, third = (place(merchant, n * 100, source=f"po_{n}") for n in (1, 2, 3))
    place(other_merchant, 700, source="re_1", purpose=REFUND)

    capture(first, 40)
    release(second)

    assert invariant.check() == []
    assert (held(merchant), held(other_merchant)) == (
        {"available": 99_660, "reserved": 300},
        {"available": 99_300, "reserved": 700},
    )
    assert written()[2] == [
        ("po_1", "captured", 40),
        ("po_2", "released", 0),
        ("po_3", "open", 0),
        ("re_1", "open", 0),
    ]
    assert third.amount == 300
