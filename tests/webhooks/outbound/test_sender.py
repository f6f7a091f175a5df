"""The process that delivers, with real transactions and a real receiver."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from merchants.models import Event
from merchants.services import event
from tests.concurrency.threads import soon
from tests.webhooks.outbound.merchant_side import SECRET, endpoint, happen
from tests.webhooks.outbound.receiver import Receiver, says
from webhooks.outbound import signing
from webhooks.outbound.models import Delivery
from webhooks.outbound.services import endpoint as endpoint_service
from webhooks.outbound.services.sender import Sender

pytestmark = pytest.mark.usefixtures("committed_db")
TYPES = ["payment.created", "payment.completed", "payout.created", "clabe.created", "report.ready"]


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_ALLOW_HTTP = True
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def sender() -> Iterator[Sender]:
    """A sender that runs in a thread of its own."""
    made = Sender(threads=8)
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.stop()
    thread.join()


def ids(receiver: Receiver) -> list[str]:
    """The webhook-id of each request."""
    return [header(request, b"webhook-id") for request in receiver.requests]


def header(request: bytes, name: bytes) -> str:
    lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return next(line.partition(b":")[2].strip().decode() for line in lines if line.lower().startswith(name + b":"))


@pytest.mark.promise("P15", "random histories with rollbacks: every event of the feed is delivered, and none invented")
def test_the_pull_feed_and_the_push_feed_of_a_random_history_are_equal(
    merchant, other_merchant, receiver, sender, trials
):
    owner = endpoint(merchant, events=["*"], url=receiver.url)
    some = endpoint(merchant, events=["payment.*"], url=receiver.url)
    for _ in trials.each(quick=60, full=1_000, unit="events"):
        about = f"pay_{trials.random.randrange(5)}"
        with transaction.atomic():
            for _ in range(trials.random.randrange(1, 4)):
                kind = trials.random.choice(TYPES)
                event.record(
                    trials.random.choice([merchant, merchant, other_merchant]),
                    livemode=trials.random.random() < 0.2,
                    type=kind,
                    obj={"id": about},
                )
            transaction.set_rollback(trials.random.random() < 0.2)

    feed = Event.objects.filter(merchant=merchant, livemode=False).order_by("sequence")
    expected = Counter(feed.values_list("public_id", flat=True))
    expected.update(feed.filter(type__startswith="payment.").values_list("public_id", flat=True))
    assert soon(lambda: len(receiver.requests) >= expected.total())
    assert soon(lambda: not Delivery.objects.exclude(status="delivered").exists())

    assert Counter(ids(receiver)) == expected
    assert {owner.pk, some.pk} == set(Delivery.objects.values_list("endpoint_id", flat=True))


@pytest.mark.promise("P14", "an endpoint's secret rotated amid deliveries: none lost")
def test_rotating_the_secret_amid_deliveries_loses_none(merchant, receiver, sender, trials):
    owner = endpoint(merchant, url=receiver.url)
    secrets = [SECRET]
    wrong = []
    number = trials.random.randrange(3, 5)

    def verify(socket: Any) -> None:
        request = receiver.current[threading.get_ident()]
        body = request.partition(b"\r\n\r\n")[2]
        stamp = int(header(request, b"webhook-timestamp"))
        for secret in (secrets[0], secrets[-1]):  # a receiver that waits with the change, or makes it at once
            mine = signing.headers([secret], header(request, b"webhook-id"), stamp, body)["webhook-signature"]
            if mine in header(request, b"webhook-signature").split():
                break
        else:
            wrong.append(request)
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(socket)

    receiver.answer = verify
    for count, _ in enumerate(trials.each(quick=100, full=1_000, unit="deliveries")):
        happen(merchant)
        if count and count % (25 * number // 4) == 0 and len(secrets) < number:
            with transaction.atomic():
                secrets.append(endpoint_service.rotate_secret(owner.pk)[1])

    assert soon(lambda: len(set(ids(receiver))) == Event.objects.count())
    assert soon(lambda: not Delivery.objects.exclude(status="delivered").exists())
    assert (wrong, len(receiver.requests)) == ([], Event.objects.count())


def test_a_sender_that_is_stopped_gives_back_what_it_has_not_begun(merchant, receiver):
    endpoint(merchant, url=receiver.url)
    waiting, go_on = threading.Semaphore(0), threading.Event()

    def wait(socket: Any) -> None:
        waiting.release()
        go_on.wait(60)
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(socket)

    receiver.answer = wait
    made = Sender(threads=8)
    thread = threading.Thread(target=made.run)
    for _ in range(10):
        happen(merchant)
    thread.start()
    assert waiting.acquire(timeout=60)
    assert waiting.acquire(timeout=60)

    made.stop()
    go_on.set()
    thread.join(60)

    assert not thread.is_alive()
    assert Delivery.objects.filter(status="delivered").count() == 2
    assert Delivery.objects.filter(status="pending", leased_until=None).count() == 8
    connection.close()


def test_two_workers_deliver_to_an_ordered_endpoint_in_the_order_of_each_object(merchant, receiver, sender, trials):
    endpoint(merchant, url=receiver.url, ordered=True)
    second = Sender(threads=8)
    thread = threading.Thread(target=second.run)
    thread.start()
    try:
        for _ in trials.each(quick=60, full=600, unit="events"):
            happen(merchant, about=f"pay_{trials.random.randrange(3)}")
        expected = Event.objects.count()
        assert soon(lambda: Delivery.objects.filter(status="delivered").count() == expected)
    finally:
        second.stop()
        thread.join()

    events = {one.public_id: one for one in Event.objects.all()}
    order: dict[str, list[int]] = {}
    for one in ids(receiver):
        order.setdefault(events[one].object_id, []).append(events[one].object_sequence)
    assert {about: sorted(found) for about, found in order.items()} == order
    assert len(receiver.requests) == expected
