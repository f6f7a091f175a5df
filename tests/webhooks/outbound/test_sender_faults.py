"""What the process that delivers does about errors and slow receivers: single steps of it, without its threads."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any, NoReturn

import pytest
from cryptography.fernet import Fernet
from django.db import OperationalError

from core import clock
from tests.webhooks.outbound.merchant_side import Receiver, endpoint, happen
from webhooks.outbound.exchange import Answer
from webhooks.outbound.models import Delivery, DeliveryAttempt, Endpoint
from webhooks.outbound.services import care, claim, feed, health, result, schedule
from webhooks.outbound.services.claim import Job
from webhooks.outbound.services.endpoint import NewEndpoint
from webhooks.outbound.services.result import Outcome
from webhooks.outbound.services.sender import Sender, _Line, deliver_due

pytestmark = pytest.mark.usefixtures("visible")
OK = Answer(200, {}, b"", None, 1)


class Pool:
    """Keeps what it is given to do, instead of doing it: the endpoints of which deliveries would be sent."""

    def __init__(self) -> None:
        self.endpoints: list[int] = []

    def submit(self, _: Any, endpoint_id: int) -> None:
        self.endpoints.append(endpoint_id)


def idle(threads: int) -> tuple[Sender, Pool]:
    """A sender that claims and sends nothing."""
    sender, pool = Sender(threads=threads), Pool()
    sender._pool = pool
    return sender, pool


def fail(*_: Any) -> NoReturn:
    raise RuntimeError("broken")


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


@pytest.mark.parametrize(("module", "name"), [(feed, "fan_out"), (care, "step"), (health, "pause_due")])
def test_deliveries_are_claimed_although_upkeep_fails(merchant, monkeypatch, module, name):
    owner = endpoint(merchant)
    happen(merchant)
    feed.fan_out()
    sender, pool = idle(threads=8)
    monkeypatch.setattr(module, name, fail)

    sender._step()

    assert pool.endpoints == [owner.pk]


@pytest.mark.parametrize("step", ["settling", "pause", "probe"])
def test_an_error_about_one_endpoint_leaves_the_others_their_upkeep(merchant, monkeypatch, step):
    bad, good = endpoint(merchant), endpoint(merchant)
    since = clock.now() - timedelta(days=6)
    given = {
        "settling": {"settling": True},
        "pause": {"status": "failing", "failing_since": since},
        "probe": {"status": "paused", "failing_since": since, "probe_at": since, "cursor": 0},
    }
    for status in ["failing", "paused"] if step == "probe" else []:
        Endpoint.objects.update(**given["probe"] | {"status": status})
    Endpoint.objects.update(**given[step])
    save = Endpoint.save

    def save_good(one: Endpoint, **options: Any) -> None:
        if one.pk == bad.pk:
            fail()
        save(one, **options)

    monkeypatch.setattr(Endpoint, "save", save_good)
    care.step()

    state = Endpoint.objects.values_list("status", "settling", "probe_at")
    assert state.get(pk=bad.pk) == (
        given[step].get("status", "active"),
        step == "settling",
        given[step].get("probe_at"),
    )
    assert state.get(pk=good.pk) != state.get(pk=bad.pk)


def test_a_secret_that_cannot_be_decrypted_fails_only_its_own_endpoint(merchant, settings):
    unreadable = endpoint(merchant, url="https://unreadable.example")
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    readable = endpoint(merchant, url="https://readable.example")
    happen(merchant)
    receiver = Receiver()

    deliver_due(receiver)

    assert [one.url for one in receiver.got] == [readable.url]
    assert DeliveryAttempt.objects.get(delivery__endpoint=unreadable).error == "internal"
    assert Delivery.objects.get(endpoint=unreadable).tries == 1


@pytest.mark.parametrize(("slow", "other", "slow_at_once"), [(14.0, 0.01, 2), (14.0, None, 2), (None, 0.01, 1)])
def test_slow_endpoints_leave_threads_for_others_and_take_turns(merchant, slow, other, slow_at_once):
    owners = [endpoint(merchant, url=f"https://merchant.example/{number}").pk for number in range(5)]
    happen(merchant, *["payment.updated"] * 4)
    feed.fan_out()
    sender, pool = idle(threads=8)
    sender._lines = {pk: _Line(latency=slow) for pk in owners} | {owners[-1]: _Line(latency=other)}

    sender._claim()
    busy = owners[:slow_at_once]
    assert Counter(pool.endpoints) == dict.fromkeys([*busy, owners[-1]], 2)
    sender._claim()
    assert len(pool.endpoints) == 2 * (slow_at_once + 1)

    for pk in busy:
        sender._lines[pk] = _Line(latency=14.0)
    sender._claim()
    assert not set(pool.endpoints[2 * (slow_at_once + 1) :]) & {*busy, owners[-1]}
    assert len(pool.endpoints) > 2 * (slow_at_once + 1)


def test_an_endpoint_that_another_worker_keeps_busy_does_not_stop_the_round(merchant):
    blocked, free = endpoint(merchant), endpoint(merchant)
    happen(merchant, *["payment.updated"] * 4)
    feed.fan_out()
    assert [turn.endpoint_id for turn in claim.take(1)] == [blocked.pk]
    sender, pool = idle(threads=2)

    for _ in range(2):
        sender._claim()

    assert pool.endpoints == [free.pk] * 2
