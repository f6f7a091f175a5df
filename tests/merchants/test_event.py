"""merchants.services.event: a feed that never looks back, and events numbered without gaps for each object."""

from __future__ import annotations

import random
import threading
import time

import psycopg
import pytest
from django.db import connections, transaction

from merchants.models import Event, Merchant
from merchants.services import event
from tests import cluster
from tests.concurrency.threads import at_once
from tests.event_rows import write

THREADS = 8
EACH = 40


def seen(merchant: Merchant) -> list[str]:
    """The objects of the events that the feed shows, in its order."""
    return list(event.feed(merchant, livemode=False).order_by("sequence").values_list("object_id", flat=True))


@pytest.fixture
def two_connections(committed_db):
    address = cluster.url("payments_app")
    with psycopg.connect(address) as first, psycopg.connect(address) as second:
        yield first, second


def test_a_later_event_waits_for_an_earlier_one_that_is_not_committed_yet(two_connections, merchant):
    first, second = two_connections
    write(first, merchant, "early")
    write(second, merchant, "late")

    second.commit()
    assert Event.objects.count() == 1
    assert seen(merchant) == []

    first.commit()
    assert seen(merchant) == ["early", "late"]


def test_a_transaction_that_is_rolled_back_holds_nothing_back(two_connections, merchant):
    first, second = two_connections
    write(first, merchant, "never")
    write(second, merchant, "late")
    second.commit()
    assert seen(merchant) == []

    first.rollback()

    assert seen(merchant) == ["late"]


def test_the_order_is_that_of_writing_not_of_commits(two_connections, merchant):
    first, second = two_connections
    write(first, merchant, "1a")
    write(second, merchant, "2a")
    write(first, merchant, "1b")
    write(second, merchant, "2b")

    second.commit()
    write(first, merchant, "1c")
    first.commit()

    assert seen(merchant) == ["1a", "2a", "1b", "2b", "1c"]


def test_an_objects_events_keep_their_order_when_the_earlier_transaction_comes_to_the_object_last(
    two_connections, merchant
):
    first, second = two_connections
    for connection in (first, second):  # both have their number before either comes to the object
        connection.execute("SELECT pg_current_xact_id()")
    write(second, merchant, "same")
    second.commit()
    write(first, merchant, "other")
    write(first, merchant, "same", object_sequence=2)
    write(first, merchant, "same", object_sequence=3)
    first.commit()

    assert len(seen(merchant)) == 4
    feed = event.feed(merchant, livemode=False).order_by("sequence").values_list("object_id", "object_sequence")
    assert [n for name, n in feed if name == "same"] == [1, 2, 3]


def test_a_savepoint_that_is_rolled_back_leaves_the_order_intact(two_connections, merchant):
    first, _ = two_connections
    write(first, merchant, "one")
    with pytest.raises(psycopg.errors.UniqueViolation), first.transaction():
        write(first, merchant, "one")
    write(first, merchant, "two")
    first.commit()

    assert seen(merchant) == ["one", "two"]


def test_a_reader_with_a_cursor_never_misses_or_repeats_an_event(committed_db, merchant):
    objects = [Merchant.objects.create(name=f"object {n}", legal_name="") for n in range(4)]
    written, done = [], threading.Event()

    def writer(seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(EACH):
            with transaction.atomic():
                # A notice has its transaction's number from its inbox row, before it waits for the object's lock.
                Merchant.objects.create(name="inbox row", legal_name="")
                about = Merchant.objects.select_for_update().get(pk=choose.choice(objects).pk)
                for _ in range(choose.choice([1, 1, 2])):
                    made = event.record(merchant, livemode=False, type="test.event", obj={"id": about.public_id})
                    written.append(made.public_id)
                time.sleep(choose.choice([0, 0, 0.001, 0.004]))

    def reader() -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        until = time.monotonic() + 300
        while True:
            last_round = done.is_set() and (len(found) == len(written) or time.monotonic() > until)
            cursor = found[-1][0] if found else 0
            page = event.feed(merchant, livemode=False).order_by("sequence").values_list("sequence", "public_id")
            behind = [sequence for sequence, _ in page[: len(found)]]
            # Nothing appeared where the reader has been; the end may step back while a writer runs.
            assert behind == [sequence for sequence, _ in found[: len(behind)]]
            found += page.filter(sequence__gt=cursor)
            if last_round:
                return found

    def writers() -> None:
        try:
            at_once([lambda seed=seed: writer(seed) for seed in range(THREADS)])
        finally:
            done.set()

    _, found = at_once([writers, reader])

    sequences = [sequence for sequence, _ in found]
    assert sequences == sorted(set(sequences))
    assert sorted(public_id for _, public_id in found) == sorted(written)
    assert len(written) >= THREADS * EACH
    for about in objects:
        numbers = Event.objects.filter(object_id=about.public_id).order_by("sequence")
        assert list(numbers.values_list("object_sequence", flat=True)) == list(range(1, numbers.count() + 1))


@pytest.mark.django_db
def test_each_object_counts_its_events_from_one(merchant):
    for name in ("a", "b", "a", "a", "b"):
        event.record(merchant, livemode=False, type="test.event", obj={"id": name})

    made = Event.objects.order_by("pk")
    assert [(e.object_id, e.object_sequence) for e in made] == [("a", 1), ("b", 1), ("a", 2), ("a", 3), ("b", 2)]


@pytest.mark.django_db
def test_an_event_that_was_rolled_back_leaves_no_gap(merchant):
    event.record(merchant, livemode=False, type="test.event", obj={"id": "a"})
    with transaction.atomic():
        event.record(merchant, livemode=False, type="test.event", obj={"id": "a"})
        transaction.set_rollback(True)

    second = event.record(merchant, livemode=False, type="test.event", obj={"id": "a"})
    assert Event.objects.get(pk=second.pk).object_sequence == 2


@pytest.mark.django_db
def test_a_sequence_given_by_a_caller_is_overwritten(merchant):
    made = event.record(merchant, livemode=False, type="test.event", obj={"id": "a"})
    forged = Event.objects.create(
        merchant=merchant, livemode=False, type="t", object_id="b", object_sequence=1, data={}, sequence=2**62
    )

    forged.refresh_from_db()
    made.refresh_from_db()
    assert forged.sequence == made.sequence + 1


@pytest.mark.django_db
def test_an_event_keeps_the_object_as_it_was(merchant):
    shown = {"id": "a", "status": "completed"}

    made = event.record(merchant, livemode=True, type="payment.completed", obj=shown, previous={"status": "pending"})
    shown["status"] = "changed afterwards"

    made.refresh_from_db()
    assert made.data == {"object": {"id": "a", "status": "completed"}, "previous": {"status": "pending"}}
    assert (made.livemode, made.type, made.object_id) == (True, "payment.completed", "a")


def test_an_event_needs_its_callers_transaction(committed_db, merchant):
    with pytest.raises(RuntimeError, match=r"must run inside transaction\.atomic"):
        event.record(merchant, livemode=False, type="test.event", obj={"id": "a"})

    assert Event.objects.count() == 0


def test_a_feed_shows_one_merchant_in_one_mode(committed_db, merchant, other_merchant):
    with transaction.atomic():
        for whose, livemode, name in ((merchant, False, "a"), (merchant, True, "b"), (other_merchant, False, "c")):
            event.record(whose, livemode=livemode, type="test.event", obj={"id": name})

    assert seen(merchant) == ["a"]
    connections.close_all()
