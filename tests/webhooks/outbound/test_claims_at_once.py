"""Several workers claim at the same time."""

from __future__ import annotations

from functools import partial

import pytest
from django.db import connection

from merchants.models import Event
from tests.concurrency.threads import at_once
from tests.webhooks.outbound.merchant_side import endpoint, happen
from webhooks.outbound.exchange import Answer
from webhooks.outbound.models import Delivery
from webhooks.outbound.services import claim, feed, result
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
