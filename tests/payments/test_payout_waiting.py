"""Why a payout is not sent yet: balance, books, operating day; and what is sent on another day."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import time_machine
from django.db import transaction

from core import clock
from core.state import Origin, TransitionRow
from ledger.models import Breach
from payments.models import Payout
from payments.services import payout_lock, payout_outcome, payout_sending
from tests.factories import payouts
from tests.factories.payouts import balances, create, sent

pytestmark = pytest.mark.usefixtures("committed_db")


def test_a_balance_that_is_not_had_is_not_asked_for_by_every_payout(api, script, merchant):
    script.is_down = True
    waiting = [create(api, key=f"k-{n}", amount=1_000) for n in range(4)]

    for payout in waiting:
        payout_sending.advance(payout.pk)

    assert script.questions == ["balance"]
    assert set(Payout.objects.values_list("status", "waiting_for")) == {("pending", "provider")}


def test_payouts_that_start_together_do_not_wait_a_minute_for_one_reading(api, script, monkeypatch):
    first, second = (create(api, key=f"k-{n}", amount=1_000) for n in range(2))
    put_off = []
    monkeypatch.setattr(payout_sending, "_come_back", lambda payout: put_off.append(payout.pk))
    script.before_balance = lambda: payout_sending.advance(second.pk)

    payout_sending.advance(first.pk)
    payout_sending.advance(second.pk)

    assert put_off == [second.pk]
    assert script.questions == ["balance"]
    assert set(Payout.objects.values_list("status", "send_outcome")) == {("processing", "accepted")}


def test_a_payout_that_the_account_cannot_cover_waits_and_is_sent_after_a_new_reading(api, script, merchant):
    script.amount = 40_000
    payout = create(api)

    payout_sending.advance(payout.pk)
    payout.refresh_from_db()
    waiting = (payout.status, payout.waiting_for)
    script.amount = 60_000
    with time_machine.travel(clock.now() + timedelta(minutes=2), tick=True):
        payout_sending.advance(payout.pk)
    payout.refresh_from_db()

    assert waiting == ("pending", "liquidity")
    assert payout.status == "processing"


def test_a_fault_of_one_merchant_stops_only_its_payouts(api, script, merchant, other_merchant, make_api):
    """money-out.md 4."""
    payouts.fund(other_merchant, 50_000)
    stopped, sent_on = create(api), create(make_api(other_merchant), key="k-2", amount=1_000)
    Breach.objects.create(invariant="covered", message="a test", merchant=merchant, livemode=False)

    for payout in (stopped, sent_on):
        payout_sending.advance(payout.pk)
        payout.refresh_from_db()

    assert (stopped.status, stopped.waiting_for) == ("pending", "gate")
    assert sent_on.status == "processing"


@pytest.mark.parametrize(
    ("local", "until"),
    [
        ("2026-11-24T17:54:59", None),
        ("2026-11-24T17:55:00", "2026-11-24T18:05:00"),
        ("2026-11-24T18:04:59", "2026-11-24T18:05:00"),
        ("2026-11-24T18:05:00", None),
        ("2026-11-28T12:00:00", None),
        ("2026-12-25T12:00:00", "2026-12-26T00:00:00"),
    ],
)
def test_nothing_is_sent_while_the_operating_day_changes_and_on_holidays(local, until):
    moment = datetime.fromisoformat(local).replace(tzinfo=clock.MEXICO_CITY)
    expected = until and datetime.fromisoformat(until).replace(tzinfo=clock.MEXICO_CITY)

    assert payout_sending.pause(moment) == expected


def test_on_another_day_only_what_the_old_days_list_lacks_is_sent_again(api, script, merchant):
    """money-out.md 1: the tracking key protects only within one operating date."""
    script.answers = ["unreached"]
    payout = sent(api)
    first = payout.operating_date
    asked = len(script.questions)

    with time_machine.travel(clock.now() + timedelta(days=4), tick=True):
        payout_sending.advance(payout.pk)
        payout.refresh_from_db()
        again = (payout.send_outcome, payout.operating_date > first, script.questions[asked + 1])

    assert again == ("accepted", True, f"list:{first}")
    assert [order.operating_date for order in script.received] == [payout.operating_date]


def test_news_of_a_payout_that_a_restored_copy_cancelled_is_booked(api, script, merchant):
    """money-out.md 2: what is pending or cancelled here was sent after the backup."""
    payout = create(api)
    api.post(f"/v1/payouts/{payout.public_id}/cancel", {}, key=None)

    with transaction.atomic():
        locked = payout_lock.lock(payout.pk)
        locked.order_id = "1000"
        payout_outcome.settle(locked, at=clock.now(), origin=Origin(TransitionRow.Cause.WORKER, "test"), confirmed=True)
    payout.refresh_from_db()

    assert (payout.status, payout.needs_staff) == ("completed", "settled_after_failure")
    assert balances(merchant) == {"available": 50_000, "reserved": 0, "debt": 0}
