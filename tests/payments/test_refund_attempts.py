"""What becomes of a refund's attempts: failures, returns, second attempts, late news, and who pays for each."""

from __future__ import annotations

import pytest

from core.errors import AmountExceedsRefundable, IllegalTransition
from core.state import Origin, TransitionRow
from payments.services import refund
from staff.models import Approval
from tests.factories import payouts
from tests.factories.payouts import as_sent, balances
from tests.factories.refunds import (
    amounts,
    approve,
    available,
    create,
    events,
    failed,
    kinds,
    last,
    lost,
    paid,
    pay,
    returned,
    settled,
    status,
)

STAFF = Origin(TransitionRow.Cause.STAFF, "ana")


rolled_back = pytest.mark.usefixtures("guarded")


@rolled_back
def test_a_failed_refund_frees_its_money_and_a_returned_one_too(api, script, stp, merchant):
    payment = paid(api, stp)
    first, second = create(api, payment, amount=100_000), None
    failed(last(first))
    after_failure = (amounts(payment), available(merchant))
    second = create(api, payment, amount=100_000)
    settled(last(second))
    after_settlement = (amounts(payment), available(merchant))
    returned(last(second))

    assert after_failure == ((0, 0, 0), 198_840)
    assert after_settlement == ((100_000, 0, 0), 98_840)
    assert (status(first), status(second), amounts(payment), available(merchant)) == (
        "failed",
        "returned",
        (0, 0, 0),
        198_840,
    )
    shown = api.get(f"/v1/refunds/{second.public_id}").json()
    assert (shown["return"]["code"], shown["failure"]) == ("account_closed", None)
    shown = api.get(f"/v1/refunds/{first.public_id}").json()
    assert (shown["return"], shown["failure"]["code"]) == (None, "destination_closed")
    assert kinds(last(second)) == ["refund_created", "refund_settled", "refund_returned"]
    assert events(second) == ["created", "processing", "completed", "returned"]


@rolled_back
def test_staff_tries_a_failed_refund_again_with_a_second_person(api, script, stp, merchant, ana, berta):
    payment = paid(api, stp)
    made = create(api, payment)
    failed(last(made))

    refund.try_again(made.public_id, maker=ana, origin=STAFF)
    waiting = (status(made), last(made).status, amounts(payment), available(merchant))
    with pytest.raises(IllegalTransition):
        refund.try_again(made.public_id, maker=ana, origin=STAFF)
    approve(last(made), berta)
    settled(last(made))

    assert waiting == ("pending", "pending_approval", (0, 100_000, 0), 98_840)
    assert (status(made), made.attempts.count(), amounts(payment)) == ("completed", 2, (100_000, 0, 0))
    assert events(made) == ["created", "processing", "failed", "processing", "completed"]
    assert api.get(f"/v1/refunds/{made.public_id}").json()["payout"] == last(made).public_id


@rolled_back
def test_what_was_refunded_otherwise_is_not_tried_again(api, script, stp, ana):
    payment = paid(api, stp)
    made = create(api, payment)
    failed(last(made))
    create(api, payment, amount=1)

    with pytest.raises(AmountExceedsRefundable):
        refund.try_again(made.public_id, maker=ana, origin=STAFF)

    assert amounts(payment) == (0, 1, 0)


@rolled_back
@pytest.mark.parametrize("newer", ["waits", "approved", "not_sent"])
def test_an_attempt_that_never_left_is_withdrawn_when_the_older_one_went(api, script, stp, merchant, ana, berta, newer):
    payment = paid(api, stp)
    made = create(api, payment)
    old = last(made)
    failed(old)
    refund.try_again(made.public_id, maker=ana, origin=STAFF)
    if newer != "waits":
        approve(last(made), berta)
    if newer == "not_sent":
        as_sent(last(made), "not_sent", "not_sent", "not_sent")

    settled(old)

    assert (status(made), last(made).status, amounts(payment)) == ("completed", "cancelled", (100_000, 0, 0))
    assert (kinds(last(made)), kinds(old)[-1]) == (["refund_created", "refund_failed"], "refund_settled_late")
    assert (balances(merchant), lost()) == ({"available": 98_840, "reserved": 0, "debt": 0}, 0)
    assert Approval.objects.get().status == ("cancelled" if newer == "waits" else "approved")
    old.refresh_from_db()
    assert old.needs_staff == "settled_after_failure"
    assert api.get(f"/v1/refunds/{made.public_id}").json()["payout"] == old.public_id


@rolled_back
@pytest.mark.parametrize("first_back", ["older", "newer"])
def test_losses_pay_a_second_attempt_that_went_too(api, script, stp, merchant, ana, berta, first_back):
    payment = paid(api, stp)
    made = create(api, payment)
    old = last(made)
    failed(old)
    refund.try_again(made.public_id, maker=ana, origin=STAFF)
    new = last(made)
    approve(new, berta)
    as_sent(last(made), "unknown")
    settled(old)
    both = (status(made), amounts(payment), balances(merchant)["reserved"])
    settled(new)
    one, other = (old, new) if first_back == "older" else (new, old)
    paid_twice = (available(merchant), lost())
    new.refresh_from_db()
    returned(one)
    once = (status(made), amounts(payment), available(merchant), lost())
    returned(other)

    assert both == ("completed", (100_000, 0, 0), 100_000)
    assert (paid_twice, new.needs_staff) == ((98_840, 100_000), "refunded_in_excess")
    assert once == ("completed", (100_000, 0, 0), 98_840, 0)
    assert (status(made), amounts(payment), available(merchant), lost()) == ("returned", (0, 0, 0), 198_840, 0)


@rolled_back
@pytest.mark.parametrize("back", ["late one", "other one"])
def test_a_true_settlement_beyond_the_payment_is_booked_and_losses_pay_the_excess(api, script, stp, merchant, back):
    payment = paid(api, stp)
    late, other = create(api, payment, amount=60_000), None
    failed(last(late))
    other = create(api, payment, amount=100_000)
    settled(last(late))
    open_still = (amounts(payment), available(merchant), lost())
    settled(last(other))
    beyond = (amounts(payment), available(merchant), lost())
    returned(last(late if back == "late one" else other))

    assert open_still == ((60_000, 100_000, 60_000), 198_840 - 160_000, 0)
    assert beyond == ((160_000, 0, 60_000), 98_840, 60_000)
    left = 100_000 if back == "late one" else 60_000
    assert (amounts(payment), available(merchant), lost()) == ((left, 0, 0), 198_840 - left, 0)


@rolled_back
def test_a_late_settlement_without_funds_becomes_debt(api, script, stp, merchant):
    payment = paid(api, stp)
    made = create(api, payment)
    failed(last(made))
    payouts.create(api, amount=150_000)

    settled(last(made))

    assert balances(merchant) == {"available": 0, "reserved": 150_000, "debt": 51_160}
    assert status(made) == "completed"


@pytest.mark.usefixtures("committed_db")
def test_a_transfer_that_returns_an_attempt_gives_merchant_and_losses_their_parts(api, script, stp, merchant):
    payment = paid(api, stp)
    late = create(api, payment, amount=60_000)
    failed(last(late))
    other = create(api, payment, amount=100_000)
    settled(last(late))
    settled(last(other))
    back = {"tipoPago": 16, "claveRastreoDevolucion": last(other).tracking_key}
    pay(stp, "646180157099999990", 100_000, **back)

    assert payouts.list_returns(stp.account) == 1

    assert (status(other), amounts(payment)) == ("returned", (60_000, 0, 0))
    assert (available(merchant), lost()) == (198_840 - 60_000, 0)
    assert kinds(last(other))[-2:] == ["refund_returned", "excess_returned"]
