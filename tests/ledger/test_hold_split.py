"""A batch's hold is split into holds of its payouts without postings; reserved stays the sum of open holds."""

from __future__ import annotations

import pytest
from django.db import transaction

from core.unit_of_work import unit_of_work
from ledger.models import Hold, Transaction
from ledger.services import hold, invariant
from ledger.services.errors import AlreadyPosted, HoldResolved, InvalidAmount
from tests.ledger.books import fund, held, nothing_written, platform, when, written

pytestmark = pytest.mark.django_db


def batch_of(merchant, amount, *, source="bat_1", livemode=False) -> Hold:
    purpose = Hold.Purpose.BATCH
    return hold.place(merchant, livemode=livemode, source=source, amount=amount, purpose=purpose, when=when())


def kinds() -> list[tuple[str, str]]:
    """Kind and source of every posting except initial money."""
    return list(Transaction.objects.exclude(kind="fund").order_by("id").values_list("kind", "source"))


@pytest.mark.parametrize("livemode", [False, True])
def test_a_batch_is_held_once_and_split_without_postings(merchant, livemode):
    fund("available", 200_000, merchant, livemode=livemode)
    batch = batch_of(merchant, 151_740, livemode=livemode)

    hold.split(batch.pk, [("po_1", 50_580), ("po_2", 50_580)])

    batch.refresh_from_db()
    assert (batch.status, batch.amount, batch.split, batch.left) == ("open", 151_740, 101_160, 50_580)
    parts = list(Hold.objects.filter(parent=batch).order_by("source"))
    assert [(one.source, one.amount, one.purpose, one.status) for one in parts] == [
        ("po_1", 50_580, "payout", "open"),
        ("po_2", 50_580, "payout", "open"),
    ]
    assert {(one.merchant, one.livemode, one.split) for one in parts} == {(merchant, livemode, 0)}
    assert hold.id_of("po_2") == parts[1].pk
    assert kinds() == [("batch_accepted", "bat_1")]
    assert held(merchant, livemode=livemode) == {"available": 48_260, "reserved": 151_740}
    assert invariant.check() == []


def test_parts_have_their_own_outcomes_and_the_rest_returns(merchant):
    fund("available", 151_740, merchant)
    batch = batch_of(merchant, 151_740)
    hold.split(batch.pk, [("po_1", 50_580), ("row_2", 50_580)])

    hold.capture(hold.id_of("po_1"), amount=50_000, fee=500, fee_tax=80, when=when())
    hold.release(hold.id_of("row_2"), when=when())
    hold.release(batch.pk, when=when())

    assert kinds() == [
        ("batch_accepted", "bat_1"),
        ("payout_settled", "po_1"),
        ("payout_failed", "row_2"),
        ("batch_released", "bat_1"),
    ]
    assert held(merchant) == {"available": 101_160}
    assert platform() == {"stp_cash": 101_740, "fee_revenue": 500, "iva_payable": 80}
    assert written()[2] == [("bat_1", "released", 0), ("po_1", "captured", 50_580), ("row_2", "released", 0)]
    assert invariant.check() == []


def test_releasing_a_fully_split_batch_posts_nothing(merchant):
    fund("available", 300, merchant)
    batch = batch_of(merchant, 300)
    hold.split(batch.pk, [("po_1", 100)])
    hold.split(batch.pk, [("po_2", 100), ("po_3", 100)])

    hold.release(batch.pk, when=when())

    assert kinds() == [("batch_accepted", "bat_1")]
    assert held(merchant) == {"reserved": 300}
    with nothing_written(), pytest.raises(HoldResolved, match="is released already"):
        hold.split(batch.pk, [("po_4", 1)])


def test_a_split_cannot_exceed_what_is_left(merchant):
    fund("available", 1_000, merchant)
    batch = batch_of(merchant, 300)
    hold.split(batch.pk, [("po_1", 100)])

    for parts in ([("po_2", 201)], [("po_2", 100), ("po_3", 101)]):
        with nothing_written(), pytest.raises(InvalidAmount, match="has 200 centavos left"):
            hold.split(batch.pk, parts)
    for wrong in (0, -1, 1.0, True, None, "5"):
        with nothing_written(), pytest.raises(InvalidAmount):
            hold.split(batch.pk, [("po_2", wrong)])


def test_splits_of_one_unit_of_work_count_together(merchant):
    fund("available", 300, merchant)
    batch = batch_of(merchant, 300)

    with transaction.atomic(), unit_of_work():
        hold.split(batch.pk, [("po_1", 100)])
        with pytest.raises(InvalidAmount, match="has 200 centavos left"):
            hold.split(batch.pk, [("po_2", 201)])
        hold.split(batch.pk, [("po_3", 50)])

    batch.refresh_from_db()
    assert (batch.status, batch.split) == ("open", 150)
    assert held(merchant) == {"reserved": 300}
    assert invariant.check() == []


def test_a_source_with_a_hold_gets_no_second_part(merchant):
    fund("available", 1_000, merchant)
    batch = batch_of(merchant, 300)
    hold.split(batch.pk, [("po_1", 100)])

    for parts in ([("po_1", 50)], [("po_2", 50), ("po_1", 50)], [("po_2", 50), ("po_2", 50)]):
        with nothing_written(), pytest.raises(AlreadyPosted), transaction.atomic():
            hold.split(batch.pk, parts)

    batch.refresh_from_db()
    assert batch.split == 100


def test_only_a_batch_is_split_and_a_batch_is_not_captured(merchant):
    fund("available", 1_000, merchant)
    batch = batch_of(merchant, 300)
    single = hold.place(merchant, livemode=False, source="po_1", amount=300, purpose=Hold.Purpose.PAYOUT, when=when())
    back = hold.place_return(merchant, livemode=False, source="po_2", amount=300, when=when())

    for other in (single, back):
        with nothing_written(), pytest.raises(InvalidAmount, match="Only a batch's hold is split"):
            hold.split(other.pk, [("po_3", 100)])
    with nothing_written(), pytest.raises(InvalidAmount, match="split, not captured"):
        hold.capture(batch.pk, amount=100, when=when())


def test_a_batch_is_split_into_ten_thousand_parts_in_chunks(merchant):
    fund("available", 10_000, merchant)
    batch = batch_of(merchant, 10_000)

    for chunk in range(20):
        hold.split(batch.pk, [(f"po_{chunk}_{number}", 1) for number in range(500)])

    batch.refresh_from_db()
    assert (batch.split, Hold.objects.filter(parent=batch).count()) == (10_000, 10_000)
    assert held(merchant) == {"reserved": 10_000}
    assert invariant.check() == []
