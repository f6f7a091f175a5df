"""Deliveries: fan-out by filters, the schedule of attempts, health, pause and recovery, order, replays."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction

from core import clock
from core.errors import IllegalTransition, LimitExceeded
from merchants.models import Event, Merchant
from tests.webhooks.outbound.merchant_side import SECRET, URL, Receiver, endpoint, happen, pause
from webhooks.outbound import signing
from webhooks.outbound.models import Delivery, DeliveryAttempt, Endpoint
from webhooks.outbound.services import claim, feed, replay, schedule
from webhooks.outbound.services import endpoint as endpoint_service
from webhooks.outbound.services.sender import deliver_due

pytestmark = pytest.mark.usefixtures("visible")
START = datetime(2026, 11, 30, 12, tzinfo=UTC)


def states(owner: Endpoint) -> list[str]:
    return list(Delivery.objects.filter(endpoint=owner).order_by("event_id", "id").values_list("status", flat=True))


def fresh(owner: Endpoint) -> Endpoint:
    return Endpoint.objects.select_related("merchant").get(pk=owner.pk)


def later(traveller: time_machine.Traveller, **delta: float) -> None:
    traveller.move_to(clock.now() + timedelta(**delta), tick=False)


def run_schedule(traveller: time_machine.Traveller, receiver: Receiver, until: timedelta) -> None:
    """Let time pass to each next attempt, and deliver."""
    end = clock.now() + until
    deliver_due(receiver)
    while (due := Delivery.objects.filter(next_attempt_at__lte=end).order_by("next_attempt_at").first()) is not None:
        assert due.next_attempt_at is not None
        held = due.endpoint.hold_until or due.next_attempt_at
        traveller.move_to(max(due.next_attempt_at, held, clock.now()), tick=False)
        assert deliver_due(receiver) > 0


def test_an_event_reaches_each_endpoint_that_wants_it_once_and_signed(merchant, other_merchant, api):
    all_of_it = endpoint(merchant, events=["*"])
    payments = endpoint(merchant, events=["payment.*", "clabe.closed"])
    endpoint(merchant, events=["payout.created"])
    endpoint(merchant, livemode=True)
    endpoint(other_merchant)
    made = happen(merchant, "payment.created", "clabe.created", "clabe.closed")
    receiver = Receiver()

    deliver_due(receiver)
    deliver_due(receiver)

    per_endpoint = [list(one.deliveries.values_list("event_id", flat=True)) for one in (all_of_it, payments)]
    assert [sorted(found) for found in per_endpoint] == [
        [one.sequence for one in made],
        [made[0].sequence, made[2].sequence],
    ]
    assert (len(receiver.got), Delivery.objects.count()) == (5, 5)
    assert set(Delivery.objects.values_list("status", flat=True)) == {"delivered"}
    assert DeliveryAttempt.objects.filter(status_code=200, url=URL, response_excerpt="said \ufffd so").count() == 5
    first = receiver.got[0]
    assert first.body == api.get(f"/v1/events/{first.id}").content
    timestamp = int(first.headers["webhook-timestamp"])
    assert signing.headers([SECRET], first.id, timestamp, first.body).items() <= first.headers.items()


def test_an_endpoint_gets_nothing_of_before_it_was_made_and_nothing_that_was_rolled_back(merchant):
    happen(merchant)
    owner = endpoint(merchant)
    with transaction.atomic():
        happen(merchant, about="pay_never")
        transaction.set_rollback(True)
    (wanted,) = happen(merchant, about="pay_2")
    receiver = Receiver()

    deliver_due(receiver)

    assert receiver.ids == [wanted.public_id]
    assert states(owner) == ["delivered"]


def test_every_attempt_of_a_failing_delivery_is_made_when_the_schedule_says(merchant):
    failures = iter([500, "timeout", 302, 404, 503, "connection", 500, 500, 500, 500])
    receiver = Receiver(lambda _: next(failures))
    with time_machine.travel(START, tick=False) as traveller:
        owner = endpoint(merchant)
        happen(merchant)
        run_schedule(traveller, receiver, timedelta(days=10))

    waits = [b.at - a.at for a, b in zip(receiver.got, receiver.got[1:], strict=False)]
    planned = schedule.DELAYS[1:]
    assert len(receiver.got) == 10
    assert all(
        0.8 * plan <= wait <= 1.2 * plan + timedelta(minutes=1) for plan, wait in zip(planned, waits, strict=True)
    )
    assert len({received.id for received in receiver.got}) == 1
    assert len({received.headers["webhook-timestamp"] for received in receiver.got}) == 10
    assert states(owner) == ["exhausted"]
    assert list(DeliveryAttempt.objects.values_list("status_code", flat=True))[:4] == [500, None, 302, 404]


@pytest.mark.parametrize("failures", [1, 3, 9])
def test_a_receiver_that_recovers_gets_its_event_once(merchant, failures):
    receiver = Receiver(lambda _: 500 if len(receiver.got) <= failures else 200)
    with time_machine.travel(START, tick=False) as traveller:
        owner = endpoint(merchant)
        happen(merchant)
        run_schedule(traveller, receiver, timedelta(days=10))
        owner = fresh(owner)

    assert len(receiver.got) == failures + 1
    assert states(owner)[0] == "delivered"
    assert (owner.status, owner.failures, owner.failing_since, owner.throttle) == ("active", 0, None, 0)


def test_retry_after_moves_the_next_attempt_and_holds_the_endpoint(merchant):
    receiver = Receiver(lambda _: 429, headers={"retry-after": "1800"})
    with time_machine.travel(START, tick=False):
        owner = endpoint(merchant)
        happen(merchant)
        deliver_due(receiver)
        happen(merchant, about="pay_2")
        deliver_due(receiver)

    owner = fresh(owner)
    assert len(receiver.got) == 1
    assert owner.hold_until == START + timedelta(seconds=1800)
    assert Delivery.objects.order_by("id")[0].next_attempt_at == START + timedelta(seconds=1800)
    assert owner.throttle == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("999999999999999", 86_400),
        ("Mon, 30 Nov 2026 12:00:30 GMT", 30),
        ("Mon, 30 Nov 2026 11:00:00 GMT", 0),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 30 Nov 2026 12:00:00 +99999999999999999999", None),
        ("soon", None),
        ("-1", None),
        ("", None),
        ("٣", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded(text, seconds):
    expected = None if seconds is None else timedelta(seconds=seconds)

    assert schedule.retry_after({"Retry-After": text}, START) == expected


def test_gone_disables_the_endpoint_and_cancels_what_waits(merchant):
    receiver = Receiver(lambda received: 410 if len(receiver.got) == 1 else 200)
    owner = endpoint(merchant)
    happen(merchant, "payment.created", "payment.completed", "payment.reversed")

    deliver_due(receiver)

    owner = fresh(owner)
    assert (owner.status, owner.disabled_reason) == ("disabled", "gone")
    assert states(owner)[0] == "cancelled"
    assert "pending" not in states(owner)
    assert Event.objects.filter(type="webhook_endpoint.disabled", object_id=owner.public_id).count() == 1


def test_an_endpoint_that_fails_is_warned_about_paused_probed_and_then_gets_all_it_missed_in_order(merchant):
    Merchant.objects.filter(pk=merchant.pk).update(technical_email="ops@merchant.example")
    works = False
    receiver = Receiver(lambda _: 200 if works else 500)
    with time_machine.travel(START, tick=False) as traveller:
        owner = endpoint(merchant, events=["payment.*"])
        made = happen(merchant, "payment.created")
        run_schedule(traveller, receiver, timedelta(minutes=10))
        assert fresh(owner).status == "failing"

        made += happen(merchant, "payment.processing")
        run_schedule(traveller, receiver, timedelta(days=4, hours=23))
        assert states(owner) == ["exhausted", "exhausted"]
        made += happen(merchant, "payment.completed")
        deliver_due(receiver)
        traveller.move_to(START + timedelta(days=5, minutes=1), tick=False)
        deliver_due(receiver)
        assert fresh(owner).status == "paused"
        assert states(owner) == ["exhausted", "exhausted", "paused"]

        made += happen(merchant, "payment.reversed", "payment.updated", about="pay_2")
        tried = len(receiver.got)
        for _ in range(3):
            later(traveller, hours=1)
            deliver_due(receiver)
        assert len(receiver.got) == tried + 3
        assert states(owner) == ["exhausted", "exhausted", "paused"]

        works = True
        later(traveller, hours=1)
        deliver_due(receiver)

    missed = receiver.ids[tried + 3 :]
    assert fresh(owner).status == "active"
    assert fresh(owner).cursor is None
    assert states(owner) == ["delivered"] * 5
    assert missed == [made[index].public_id for index in (2, 0, 1, 3, 4)]
    told = Event.objects.filter(object_id=owner.public_id).order_by("object_sequence").values_list("type", flat=True)
    assert list(told) == [f"webhook_endpoint.{what}" for what in ("failing", "paused", "recovered")]


def test_a_paused_endpoint_without_a_waiting_delivery_is_probed_with_its_next_event(merchant):
    receiver = Receiver()
    with time_machine.travel(START, tick=False) as traveller:
        owner = endpoint(merchant)
        pause(owner, probe_in=timedelta(0))
        deliver_due(receiver)
        assert receiver.got == []
        made = happen(merchant, "payment.created", "payment.completed")
        deliver_due(receiver)
        assert receiver.got == []
        later(traveller, hours=1)
        deliver_due(receiver)

    assert receiver.ids[:2] == [one.public_id for one in made]
    assert fresh(owner).status == "active"


def test_an_ordered_endpoint_gets_one_event_of_an_object_at_a_time_and_others_meanwhile(merchant):
    broken = True
    receiver = Receiver(lambda received: 500 if broken and b"payment.created" in received.body else 200)
    with time_machine.travel(START, tick=False) as traveller:
        owner = endpoint(merchant, ordered=True)
        first = happen(merchant, "payment.created", "payment.completed", about="pay_1")
        other = happen(merchant, "payment.completed", about="pay_2")
        deliver_due(receiver)
        assert receiver.ids == [first[0].public_id, other[0].public_id]

        broken = False
        later(traveller, seconds=7)
        deliver_due(receiver)

    assert receiver.ids[2:] == [first[0].public_id, first[1].public_id]
    assert states(owner) == ["delivered"] * 3


def test_an_ordered_delivery_is_never_given_up_before_the_pause(merchant):
    receiver = Receiver(lambda received: 500 if b"payment.created" in received.body else 200)
    with time_machine.travel(START, tick=False) as traveller:
        owner = endpoint(merchant, ordered=True)
        happen(merchant, "payment.created", "payment.completed")
        for day in range(10):
            happen(merchant, "clabe.created", about=f"clb_{day}")
            run_schedule(traveller, receiver, timedelta(days=1))
            traveller.move_to(START + timedelta(days=day + 1), tick=False)

    assert states(owner)[:2] == ["pending", "pending"]
    assert len(receiver.got) > 20


def test_an_endpoint_has_two_requests_in_flight_and_one_while_it_fails(merchant):
    owner = endpoint(merchant)
    happen(merchant, *["payment.updated"] * 5)
    feed.fan_out()

    first, second = claim.take(10), claim.take(10)

    assert [(len(turn.jobs), turn.slots) for turn in first] == [(2, 2)]
    assert second == []
    with time_machine.travel(clock.now() + claim.LEASE + timedelta(seconds=1), tick=False):
        (again,) = claim.take(10)
        assert {job.delivery_id for job in again.jobs} == {job.delivery_id for job in first[0].jobs}
        assert DeliveryAttempt.objects.filter(error="interrupted").count() == 2
    Endpoint.objects.filter(pk=owner.pk).update(throttle=1)
    with time_machine.travel(clock.now() + 3 * claim.LEASE, tick=False):
        (slow,) = claim.take(10)
        assert slow.slots == 1


def test_endpoints_take_turns_however_long_ones_backlog_is(merchant, other_merchant):
    busy, quiet = endpoint(merchant), endpoint(other_merchant)
    happen(merchant, *["payment.updated"] * 30)
    happen(other_merchant)
    feed.fan_out()

    shares = {pace: claim.Share(1) for pace in claim.Pace}
    first = claim.take(1, shares=shares)
    second = claim.take(1, shares=shares)

    assert [turn.endpoint_id for turn in first + second] == [busy.pk, quiet.pk]


def test_a_suspended_merchants_deliveries_wait_until_it_is_readmitted(merchant):
    owner = endpoint(merchant)
    happen(merchant)
    receiver = Receiver()
    Merchant.objects.filter(pk=merchant.pk).update(status="suspended")
    assert deliver_due(receiver) == 0
    assert states(owner) == ["pending"]

    Merchant.objects.filter(pk=merchant.pk).update(status="active")

    assert deliver_due(receiver) == 1


def test_deliveries_are_signed_with_every_valid_secret_until_its_own_end(merchant):
    receiver = Receiver()
    with time_machine.travel(START, tick=False) as traveller:
        owner = endpoint(merchant)
        used = [SECRET]
        for _ in range(4):
            with transaction.atomic():
                used.append(endpoint_service.rotate_secret(owner.pk)[1])
            later(traveller, hours=1)
        with pytest.raises(LimitExceeded), transaction.atomic():
            endpoint_service.rotate_secret(owner.pk)
        for hours in (0, 21, 3):
            later(traveller, hours=hours)
            happen(merchant)
            deliver_due(receiver)

    signatures = [received.headers["webhook-signature"].split() for received in receiver.got]
    assert [len(found) for found in signatures] == [5, 3, 1]
    last = receiver.got[-1]
    expected = signing.headers(used[-1:], last.id, int(last.headers["webhook-timestamp"]), last.body)
    assert signatures[-1] == expected["webhook-signature"].split()


def test_a_test_event_goes_to_one_endpoint_only_also_if_it_is_paused(merchant):
    owner = endpoint(merchant, events=["payout.created"])
    endpoint(merchant)
    pause(owner)
    with transaction.atomic():
        sent = endpoint_service.send_test(owner.pk)
    receiver = Receiver(lambda received: 500 if b"endpoint.test" in received.body else 200)

    deliver_due(receiver)

    assert receiver.ids == [sent.event.public_id]
    assert json.loads(receiver.got[0].body)["data"]["object"]["id"] == owner.public_id
    assert (fresh(owner).status, fresh(owner).failures) == ("paused", 0)


def test_a_replay_delivers_again_what_was_chosen_and_counts_first(merchant):
    receiver = Receiver(lambda received: 500 if b"payment.failed" in received.body else 200)
    with time_machine.travel(START, tick=False) as traveller:
        missed = happen(merchant, "payment.created")
        owner = endpoint(merchant, events=["payment.*"])
        done = happen(merchant, "payment.completed")
        given_up = happen(merchant, "payment.failed")
        run_schedule(traveller, receiver, timedelta(days=4))
        found = {}
        later(traveller, hours=1)
        for only in replay.Only:
            period = {"since": START - timedelta(hours=1), "until": clock.now() + timedelta(seconds=1)}
            with transaction.atomic():
                counted = replay.replay(owner.pk, only=only, dry_run=True, **period)
            before, failures = len(receiver.got), fresh(owner).failures
            with transaction.atomic():
                assert replay.replay(owner.pk, only=only, dry_run=False, **period) == counted
            assert Delivery.objects.filter(kind="replay", status="pending").count() == counted.events
            deliver_due(receiver)
            assert fresh(owner).failures <= failures
            found[only.value] = list(dict.fromkeys(receiver.ids[before:]))
            Delivery.objects.filter(status="pending").update(
                status="exhausted", next_attempt_at=None, finished_at=clock.now()
            )

    assert found == {"all": ids_of(missed + done + given_up), "failed": ids_of(given_up), "missing": ids_of(given_up)}


def ids_of(events: list[Event]) -> list[str]:
    return [one.public_id for one in events]


def test_a_retry_is_made_now_and_a_delivered_event_is_delivered_again_as_a_new_delivery(merchant):
    receiver = Receiver(lambda _: 500)
    owner = endpoint(merchant)
    happen(merchant)
    deliver_due(receiver)
    delivery = Delivery.objects.get()
    receiver.answer = lambda _: 200

    with transaction.atomic():
        assert replay.retry(delivery.pk).pk == delivery.pk
    deliver_due(receiver)
    with transaction.atomic():
        again = replay.retry(delivery.pk)
    deliver_due(receiver)

    assert (len(receiver.got), len(set(receiver.ids))) == (3, 1)
    assert states(owner) == ["delivered", "delivered"]
    assert again.kind == "replay"
    assert DeliveryAttempt.objects.values("public_id").distinct().count() == 3
    feed.fan_out()
    claim.take(1)
    with transaction.atomic():
        endpoint_service.delete(owner.pk)
    with pytest.raises(Exception, match="no such object"), transaction.atomic():
        replay.retry(delivery.pk)


def test_a_retry_is_refused_while_an_attempt_is_in_flight_or_earlier_events_wait(merchant):
    owner = endpoint(merchant, ordered=True)
    happen(merchant, "payment.created", "payment.completed")
    feed.fan_out()
    claim.take(1)
    first, second = Delivery.objects.filter(endpoint=owner).order_by("event_id")

    for delivery, reason in ((first, "in flight"), (second, "Earlier events")):
        with pytest.raises(IllegalTransition, match=reason), transaction.atomic():
            replay.retry(delivery.pk)
