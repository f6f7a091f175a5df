"""Several workers claim at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import psycopg
import pytest
from django.db import connection, connections, transaction

from core import clock
from merchants.models import Event
from tests import cluster
from tests.concurrency.threads import at_once, soon
from tests.webhooks.outbound.merchant_side import endpoint, happen
from webhooks.outbound.exchange import Answer
from webhooks.outbound.models import Delivery
from webhooks.outbound.services import claim, feed, replay, result
from webhooks.outbound.services.claim import Turn
from webhooks.outbound.services.result import Outcome

pytestmark = pytest.mark.usefixtures("committed_db")
WORKERS = 6


def test_workers_that_claim_at_once_share_the_work_and_the_limit_of_each_endpoint(merchant, trials):
    owners = [endpoint(merchant, url=f"https://merchant.example/{number}") for number in range(3)]
    happen(merchant, *["payment.updated"] * 12)
    assert at_once([feed.fan_out] * WORKERS).count(None) == 0
    assert Delivery.objects.count() == Event.objects.count() * len(owners)

    done = 0
    for _ in trials.each(quick=5, full=50, unit="rounds of claims"):
        turns: list[Turn] = [turn for found in at_once([lambda: claim.take(10)] * WORKERS) for turn in found]
        jobs = [job for turn in turns for job in turn.jobs]
        assert len({job.delivery_id for job in jobs}) == len(jobs) == 2 * len(owners)
        assert sorted(turn.slots for turn in turns) == [2] * len(owners)
        outcomes = [Outcome(job, job.claimed_at, Answer(200, {}, b"", None, 1)) for job in jobs]
        assert sum(at_once([partial(result.write, outcomes)] * 2)) == len(jobs)
        done += len(jobs)
        if done >= Delivery.objects.count():
            done = 0
            happen(merchant, *["payment.updated"] * 12)
            feed.fan_out()

    connection.close()


def test_an_event_that_joins_a_queue_while_its_head_is_delivered_becomes_due(merchant):
    owner = endpoint(merchant, ordered=True)
    happen(merchant, "payment.created")
    feed.fan_out()
    happen(merchant, "payment.completed")
    ended = threading.Event()

    with psycopg.connect(cluster.url("payments_app")) as other:
        other.execute("SELECT FROM webhooks_endpoint WHERE id = %s FOR NO KEY UPDATE", [owner.pk])
        other.execute("UPDATE webhooks_delivery SET status = 'delivered', next_attempt_at = NULL, finished_at = now()")
        with ThreadPoolExecutor(1) as pool:
            fanned_out = pool.submit(_fan_out, ended)
            assert not soon(ended.is_set, seconds=0.5)
            other.commit()
            assert fanned_out.result() is False

    assert Delivery.objects.filter(status="pending", next_attempt_at__isnull=False).count() == 1


def _fan_out(ended: threading.Event) -> bool:
    try:
        return feed.fan_out()
    finally:
        ended.set()
        connections.close_all()


@pytest.mark.parametrize("dry_run", [True, False])
def test_events_are_fanned_out_during_a_replay(merchant, dry_run):
    owner = endpoint(merchant)
    happen(merchant)
    feed.fan_out()
    happen(merchant)

    now = clock.now()
    period = {"since": now - timedelta(hours=1), "until": now + timedelta(hours=1)}
    with transaction.atomic():
        found = replay.replay(owner.pk, only=replay.Only.ALL, dry_run=dry_run, **period)
        at_once([feed.fan_out])

    kinds = Delivery.objects.values_list("kind", flat=True)
    assert (found.events, sorted(kinds)) == (1, ["feed", "feed"] + ["replay"] * (not dry_run))
    connection.close()
