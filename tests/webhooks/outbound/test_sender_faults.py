"""What the process that delivers does about errors and slow receivers: single steps of it, without its threads."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError

from tests.webhooks.outbound.merchant_side import endpoint, happen
from webhooks.outbound.exchange import Answer
from webhooks.outbound.models import Delivery, DeliveryAttempt, Endpoint
from webhooks.outbound.services import claim, feed, result, schedule
from webhooks.outbound.services.claim import Job
from webhooks.outbound.services.endpoint import NewEndpoint
from webhooks.outbound.services.result import Outcome
from webhooks.outbound.services.sender import Sender, _Line

pytestmark = pytest.mark.usefixtures("visible")
OK = Answer(200, {}, b"", None, 1)


def jobs_of(owner: Endpoint, sender: Sender) -> list[Job]:
    """The next deliveries of an endpoint, claimed for this sender."""
    feed.fan_out()
    (turn,) = claim.take(1)
    sender._lines[owner.pk] = _Line(held=len(turn.jobs))
    return list(turn.jobs)


def test_an_outcome_that_cannot_be_written_counts_as_a_failure(merchant, monkeypatch):
    def read(headers: dict[str, str], now: Any) -> None:
        if headers:
            raise ArithmeticError

    owner, sender = endpoint(merchant), Sender(threads=2)
    happen(merchant, "payment.created", "payment.completed")
    bad, good = jobs_of(owner, sender)
    monkeypatch.setattr(schedule, "retry_after", read)

    sender._outcomes = [
        Outcome(bad, bad.claimed_at, Answer(503, {"retry-after": "nonsense"}, b"", None, 1)),
        Outcome(good, good.claimed_at, OK),
    ]
    sender._write()

    rows = Delivery.objects.order_by("event_id").values_list("status", "tries", "leased_until")
    assert list(rows) == [("pending", 1, None), ("delivered", 0, None)]
    assert DeliveryAttempt.objects.get(public_id=bad.attempt).error == "internal"
    assert (sender._outcomes, sender._lines[owner.pk].held) == ([], 0)


def test_outcomes_are_kept_and_counted_one_by_one_while_the_database_is_away(merchant, monkeypatch):
    owner, sender = endpoint(merchant), Sender(threads=2)
    happen(merchant, "payment.created", "payment.completed")
    first, second = (Outcome(job, job.claimed_at, OK) for job in jobs_of(owner, sender))

    def write(outcomes: list[Outcome]) -> None:
        if len(outcomes) == 2:
            raise ValueError
        if outcomes == [second]:
            raise OperationalError

    sender._outcomes = [first, second]
    with monkeypatch.context() as patched:
        patched.setattr(result, "write", write)
        with pytest.raises(OperationalError):
            sender._write()

    assert (sender._outcomes, sender._lines[owner.pk].held) == ([second], 1)
    sender._write()
    assert (sender._outcomes, sender._lines[owner.pk].held) == ([], 0)


def test_secrets_do_not_show_in_representations(merchant):
    owner = endpoint(merchant)
    happen(merchant)

    (job,) = jobs_of(owner, Sender(threads=2))

    assert len(job.secrets) == 1
    assert "whsec_" not in repr(job)
    assert "whsec_" not in repr(NewEndpoint(url=owner.url, events=[], secret=job.secrets[0]))
