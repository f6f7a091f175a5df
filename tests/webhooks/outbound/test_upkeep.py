"""What happens around deliveries: messages to merchants, removal of old rows, results that come too late."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

from core import clock
from merchants.models import Merchant
from tests.webhooks.outbound.merchant_side import Receiver, endpoint, happen, pause
from webhooks.outbound.exchange import Answer
from webhooks.outbound.models import Delivery, DeliveryAttempt, Endpoint, EndpointSecret
from webhooks.outbound.services import care, claim, feed, health, result, retention
from webhooks.outbound.services import endpoint as endpoint_service
from webhooks.outbound.services import mail as endpoint_mail
from webhooks.outbound.services.result import Outcome
from webhooks.outbound.services.sender import attempt, deliver_due

pytestmark = pytest.mark.usefixtures("visible")


@pytest.mark.parametrize(("address", "jobs"), [("ops@merchant.example", 1), ("", 0)])
def test_the_technical_contact_is_told_when_an_endpoint_is_disabled(merchant, address, jobs):
    Merchant.objects.filter(pk=merchant.pk).update(technical_email=address)
    owner = endpoint(merchant)
    happen(merchant)

    deliver_due(Receiver(lambda _: 410))

    found = ProcrastinateJob.objects.filter(task_name="webhooks.mail_endpoint")
    assert [job.args for job in found] == [{"endpoint_id": owner.pk, "event_type": "webhook_endpoint.disabled"}] * jobs


@pytest.mark.parametrize("event_type", list(endpoint_mail.TEXTS))
def test_a_message_names_the_endpoint_in_spanish(merchant, settings, event_type):
    settings.DEFAULT_FROM_EMAIL = "pagos@example.mx"
    merchant.technical_email = "ops@merchant.example"
    merchant.save()
    owner = endpoint(merchant)

    endpoint_mail.tell.__wrapped__(owner.pk, event_type)

    (sent,) = mail.outbox
    assert (sent.to, sent.from_email) == (["ops@merchant.example"], "pagos@example.mx")
    assert sent.subject.startswith("Tu endpoint de webhooks")
    assert owner.url in sent.body
    assert owner.public_id in sent.body
    assert "%(" not in sent.body


def test_a_result_that_lost_its_lease_is_kept_and_moves_nothing(merchant):
    endpoint(merchant)
    happen(merchant)
    feed.fan_out()
    (turn,) = claim.take(1)
    with time_machine.travel(clock.now() + claim.LEASE + timedelta(seconds=1), tick=False):
        (later,) = claim.take(1)
        late = Outcome(turn.jobs[0], turn.jobs[0].claimed_at, Answer(500, {}, b"", None, 20_000))

        assert result.write([late]) == 0
        assert result.write([Outcome(later.jobs[0], clock.now(), Answer(200, {}, b"", None, 1))]) == 1

    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.tries) == ("delivered", 0)
    assert DeliveryAttempt.objects.filter(public_id=turn.jobs[0].attempt).count() == 1


def test_a_request_that_its_lease_would_not_outlive_is_not_begun(merchant):
    endpoint(merchant)
    happen(merchant)
    feed.fan_out()
    ((job,),) = (turn.jobs for turn in claim.take(1))
    receiver = Receiver()
    with time_machine.travel(clock.now() + claim.START_WITHIN + timedelta(seconds=1), tick=False):
        outcome = attempt(job, receiver)
        assert result.write([outcome]) == 1

    assert receiver.got == []
    assert Delivery.objects.get().leased_until is None
    assert DeliveryAttempt.objects.count() == 0


def test_old_deliveries_attempts_and_secrets_are_removed_and_waiting_ones_stay(merchant):
    now = clock.now()
    with time_machine.travel(now - timedelta(days=100), tick=False):
        kept, gone = endpoint(merchant), endpoint(merchant, url="https://gone.example")
        endpoint_service.rotate_secret(kept.pk)
        happen(merchant, "payment.created")
        deliver_due(Receiver())
    with time_machine.travel(now - timedelta(days=40), tick=False):
        happen(merchant, "payment.completed")
        deliver_due(Receiver())
        endpoint_service.delete(gone.pk)
    with time_machine.travel(now - timedelta(days=95), tick=False):
        happen(merchant, "payment.reversed")
        feed.fan_out()

    retention.clean_up()

    assert Delivery.objects.filter(endpoint=gone).count() == 0
    left = Delivery.objects.filter(endpoint=kept).order_by("event_id")
    assert list(left.values_list("event__type", "status")) == [
        ("payment.completed", "delivered"),
        ("payment.reversed", "pending"),
    ]
    assert DeliveryAttempt.objects.count() == 1
    assert EndpointSecret.objects.filter(endpoint=kept).count() == 1


def test_waiting_deliveries_follow_a_change_of_ordered(merchant):
    owner = endpoint(merchant)
    happen(merchant, "payment.created", "payment.processing", "payment.completed")
    happen(merchant, "payment.created", about="pay_2")
    deliver_due(Receiver(lambda _: 500))
    due = Delivery.objects.filter(endpoint=owner, next_attempt_at__isnull=False).order_by("event_id")

    endpoint_service.update(owner.pk, {"ordered": True})
    assert list(due.values_list("event__object_id", "event__object_sequence")) == [("pay_1", 1), ("pay_2", 1)]
    receiver = Receiver()
    deliver_due(receiver)
    assert [json.loads(one.body)["object_sequence"] for one in receiver.got] in ([1, 1, 2, 3], [1, 2, 3, 1])

    happen(merchant, "payment.updated", "payment.reversed")
    deliver_due(Receiver(lambda _: 500))
    assert due.count() == 1
    endpoint_service.update(owner.pk, {"ordered": False})
    assert due.count() == 2
    assert set(due.values_list("queue", flat=True)) == {""}


def test_an_attempt_in_flight_does_not_strand_later_events_when_its_endpoint_becomes_ordered(merchant):
    owner = endpoint(merchant)
    happen(merchant, *["payment.updated"] * 4)
    happen(merchant, "payment.created", about="pay_2")
    feed.fan_out()
    (turn,) = claim.take(1)

    endpoint_service.update(owner.pk, {"ordered": True})
    due = Delivery.objects.filter(status="pending", live_attempt=None, next_attempt_at__isnull=False)
    assert list(due.order_by("event_id").values_list("queue", flat=True)) == ["pay_1", "pay_2"]
    statuses = iter((200, 500))
    outcomes = [Outcome(job, job.claimed_at, Answer(next(statuses), {}, b"", None, 1)) for job in turn.jobs]
    assert result.write(outcomes) == len(outcomes) == 2
    with time_machine.travel(clock.now() + timedelta(minutes=1), tick=False):
        deliver_due(Receiver())

    assert list(Delivery.objects.values_list("status", flat=True)) == ["delivered"] * 5


@pytest.mark.parametrize("status_code", [200, 410, 500])
@pytest.mark.parametrize(("status", "then"), [("active", "active"), ("failing", "active"), ("paused", "paused")])
def test_an_answer_of_a_former_url_does_not_touch_the_endpoint(merchant, status_code, status, then):
    owner = endpoint(merchant)
    happen(merchant)
    feed.fan_out()
    (turn,) = claim.take(1)
    since = clock.now() - timedelta(days=4)
    moments = {"cursor": feed.COUNTER.last(), "probe_at": clock.now() + timedelta(hours=1)} if then == "paused" else {}
    Endpoint.objects.filter(pk=owner.pk).update(status="failing", failures=9, failing_since=since, throttle=3)
    Endpoint.objects.filter(pk=owner.pk).update(status=status, **moments)
    before = clock.now()

    endpoint_service.update(owner.pk, {"url": "https://new.merchant.example/"})
    result.write(
        [Outcome(replace(job, is_well=False), clock.now(), Answer(status_code, {}, b"", None, 1)) for job in turn.jobs]
    )

    owner = Endpoint.objects.get()
    assert (owner.status, owner.failures, owner.failing_since, owner.throttle) == (then, 0, None, 0)
    assert then == "active" or before <= owner.probe_at <= clock.now()
    delivery = Delivery.objects.get()
    expected = "delivered" if status_code == 200 else "paused" if then == "paused" else "pending"
    assert delivery.status == expected
    assert expected != "pending" or delivery.next_attempt_at <= clock.now()


@pytest.mark.parametrize(("parked", "status"), [("pending", "paused"), ("paused", "active"), ("exhausted", "active")])
def test_moving_a_backlog_does_not_lock_the_feeds_cursor(merchant, monkeypatch, parked, status):
    owner = endpoint(merchant)
    happen(merchant, *["payment.updated"] * 3)
    feed.fan_out()
    if status == "paused":
        pause(owner)
    else:
        finished = clock.now() if parked == "exhausted" else None
        Delivery.objects.update(status=parked, next_attempt_at=None, finished_at=finished)
        Endpoint.objects.filter(pk=owner.pk).update(settling=True, cursor=feed.COUNTER.last())
    locks = []
    lock_cursor = feed.lock_cursor
    monkeypatch.setattr(feed, "lock_cursor", lambda: locks.append(None) or lock_cursor())
    monkeypatch.setattr(care, "BATCH", 2)

    found = [(care.settle(owner.pk), len(locks)) for _ in range(3)]

    assert found == [(True, 0), (True, 0), (False, 1)]
    moved = "paused" if status == "paused" else "pending"
    assert list(Delivery.objects.values_list("status", flat=True)) == [moved] * 3
    assert Endpoint.objects.get().settling is False


def test_what_became_of_an_event_is_found_without_reading_the_endpoints_history(db):
    text = care._REVIVE
    for name, value in {"$1": "1", "$2": "now()", "$3": "1000", "$4": "now()"}.items():
        text = text.replace(name, value)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {text}")
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert "using delivery_event on webhooks_delivery other" in plan, plan


def test_only_endpoints_of_active_merchants_are_paused(merchant):
    owner = endpoint(merchant)
    since = clock.now() - timedelta(days=6)
    Endpoint.objects.filter(pk=owner.pk).update(status="failing", failing_since=since)
    Merchant.objects.filter(pk=merchant.pk).update(status="suspended")
    assert health.pause_due() == 0

    Merchant.objects.filter(pk=merchant.pk).update(status="active")

    assert health.pause_due() == 1
    assert health.pause_due() == 0


def test_a_claim_finds_attempts_by_hand_without_reading_the_backlog(db):
    lists = {f"${number}": "ARRAY[0]" for number in range(2, 8)}
    values = {"$1": "now()", **lists, "$8": "10"}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        text = claim._ENDPOINTS
        for name, value in values.items():
            text = text.replace(name, value)
        cursor.execute(f"EXPLAIN {text}")
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert plan.count("using delivery_due") == 2
    assert "delivery_manual" in plan
