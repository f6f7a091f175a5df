"""What became of attempts: the delivery's next step, the attempt's row, the endpoint's health; written in batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from psycopg.types.json import Jsonb

from core import clock
from core.clock import to_rfc3339
from core.statements import fetch
from webhooks.outbound.exchange import Answer
from webhooks.outbound.models import Delivery, Endpoint
from webhooks.outbound.services import feed, health, schedule
from webhooks.outbound.services.claim import Job

EXCERPT_BYTES = 1024

_statuses = Delivery.Status
_WRITE = """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset($1) AS g (
            delivery bigint, attempt text, made boolean, status text, tries smallint, next_at timestamptz,
            at timestamptz, url text, manual boolean, status_code smallint, error text, duration_ms integer,
            excerpt text
        )
    ), moved AS (
        UPDATE public.webhooks_delivery d
        SET status = given.status, tries = given.tries, manual = d.manual AND NOT given.made,
            next_attempt_at = given.next_at, live_attempt = NULL, live_since = NULL, leased_until = NULL,
            finished_at = CASE WHEN given.status IN ('pending', 'paused') THEN NULL ELSE $2 END
        FROM given WHERE d.id = given.delivery AND d.live_attempt = given.attempt
        RETURNING d.id
    ), kept AS (
        INSERT INTO public.webhooks_deliveryattempt
            (public_id, delivery_id, at, url, manual, status_code, error, duration_ms, response_excerpt)
        SELECT attempt, delivery, at, url, manual, status_code, error, duration_ms, excerpt
        FROM given WHERE made ORDER BY delivery
        ON CONFLICT (public_id) DO NOTHING
    )
    SELECT count(*) FROM moved
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to an attempt; None if the request was not started and the delivery is given back."""

    job: Job
    at: datetime
    answer: Answer | None

    @property
    def is_success(self) -> bool:
        """True for a complete answer with a status of 2xx."""
        answer = self.answer
        return answer is not None and answer.error is None and answer.status is not None and answer.status // 100 == 2


@transaction.atomic
def write(outcomes: Iterable[Outcome]) -> int:
    """Write these outcomes; returns how many deliveries moved on.

    An attempt that lost its lease is kept, but moves nothing: its delivery belongs to another one.
    """
    outcomes = sorted(outcomes, key=lambda outcome: outcome.at)
    # Endpoints come first in the order of locks. A success of an endpoint in good health changes nothing there.
    concerned = {
        o.job.endpoint_id
        for o in outcomes
        if o.job.queue or (o.answer is not None and not (o.is_success and o.job.is_well))
    }
    endpoints = feed.lock_endpoints(concerned)
    rows = [_row(outcome, endpoints) for outcome in outcomes]
    now = clock.now()
    moved = int(fetch(_WRITE, [Jsonb(rows), now])[0][0]) if rows else 0
    feed.release({(o.job.endpoint_id, o.job.queue) for o in outcomes if o.job.queue}, now)
    return moved


def _row(outcome: Outcome, endpoints: Mapping[int, Endpoint]) -> dict[str, Any]:
    """Decide the delivery's next step and note the outcome at its endpoint.

    An answer of the endpoint's former URL says nothing about the endpoint: a failure is tried again at the new one.
    """
    job, answer = outcome.job, outcome.answer
    endpoint = endpoints.get(job.endpoint_id)
    row: dict[str, Any] = {"delivery": job.delivery_id, "attempt": job.attempt, "made": answer is not None}
    if answer is None:
        return row | {"status": _statuses.PENDING, "tries": job.tries, "next_at": to_rfc3339(outcome.at)}
    row |= {
        "at": to_rfc3339(outcome.at),
        "url": job.url,
        "manual": job.manual,
        "status_code": answer.status,
        "error": (answer.error or "")[:64],
        "duration_ms": answer.latency_ms,
        "excerpt": answer.excerpt[:EXCERPT_BYTES].decode(errors="replace").replace("\0", "\ufffd"),
    }
    if outcome.is_success:
        if endpoint is not None and endpoint.url == job.url and not job.is_well:
            health.succeeded(endpoint)
        return row | {"status": _statuses.DELIVERED, "tries": job.tries, "next_at": None}
    if endpoint is None:
        raise ValueError("the endpoint of a failed attempt must be locked")
    retry_after = schedule.retry_after(answer.headers, outcome.at)
    if endpoint.url == job.url:
        health.failed(
            endpoint,
            status_code=answer.status,
            retry_after=retry_after,
            counts=job.kind == Delivery.Kind.FEED and not job.manual,
            at=outcome.at,
        )
    elif endpoint.status in (Endpoint.Status.ACTIVE, Endpoint.Status.FAILING):
        return row | _retry(job.tries, None, outcome.at, None)
    return row | _after_failure(job, endpoint, outcome.at, retry_after)


def _after_failure(job: Job, endpoint: Endpoint, at: datetime, retry_after: timedelta | None) -> dict[str, Any]:
    if endpoint.status == Endpoint.Status.DISABLED:
        return {"status": _statuses.CANCELLED, "tries": job.tries + 1, "next_at": None}
    if endpoint.status == Endpoint.Status.PAUSED:
        return {"status": _statuses.PAUSED, "tries": job.tries, "next_at": None}
    delay = schedule.delay(job.tries + 1)
    if delay is None and job.queue:
        delay = schedule.delay(job.tries)  # later events of its object wait for it: it is tried until the pause
        return _retry(job.tries, delay, at, retry_after)
    if delay is None:
        return {"status": _statuses.EXHAUSTED, "tries": job.tries + 1, "next_at": None}
    return _retry(job.tries + 1, delay, at, retry_after)


def _retry(tries: int, delay: timedelta | None, at: datetime, retry_after: timedelta | None) -> dict[str, Any]:
    wait = max(delay or timedelta(0), retry_after or timedelta(0))
    return {"status": _statuses.PENDING, "tries": tries, "next_at": to_rfc3339(at + wait)}
