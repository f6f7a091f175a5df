"""What staff reads about endpoints: backlog, last success and failure, attempts by hour. Each read is bounded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.statements import fetch

COUNTED = 10_000
"""Waiting events of one endpoint that are counted; more are shown as "more than"."""

_BACKLOGS = """
    SELECT e.id,
        (SELECT count(*) FROM (
            SELECT FROM public.webhooks_delivery
            WHERE endpoint_id = e.id AND status = 'pending' AND next_attempt_at IS NOT NULL LIMIT $2
        ) due)
        + (SELECT count(*) FROM (
            SELECT FROM public.webhooks_delivery
            WHERE endpoint_id = e.id AND status = 'pending' AND next_attempt_at IS NULL AND queue <> '' LIMIT $2
        ) queued)
        + (SELECT count(*) FROM (
            SELECT FROM public.webhooks_delivery WHERE endpoint_id = e.id AND status = 'paused' LIMIT $2
        ) parked)
        + (SELECT count(*) FROM (
            SELECT FROM public.merchants_event v
            WHERE v.merchant_id = e.merchant_id AND v.livemode = e.livemode AND v.sequence > e.cursor
                AND v.sequence > e.starts_after AND v.type <> 'webhook_endpoint.test'
                AND e.events && ARRAY[v.type, split_part(v.type, '.', 1) || '.*', '*']::varchar[]
            LIMIT $2
        ) unread)
    FROM public.webhooks_endpoint e WHERE e.id = ANY ($1)
"""
# Deliveries may be tried long after they were made, and attempts have no index by endpoint. Looked at are the newest
# deliveries, those whose next attempt is latest (they failed last), and those that probes try.
_ATTEMPTS = """
    WITH seen AS MATERIALIZED (
        SELECT e.id AS endpoint_id, d.id
        FROM unnest($1::bigint[]) AS e (id), LATERAL (
            (SELECT id FROM public.webhooks_delivery WHERE endpoint_id = e.id ORDER BY id DESC LIMIT $2)
            UNION
            (
                SELECT id FROM public.webhooks_delivery
                WHERE endpoint_id = e.id AND status = 'pending' AND next_attempt_at IS NOT NULL
                ORDER BY next_attempt_at DESC LIMIT $2
            )
            UNION
            (
                SELECT id FROM public.webhooks_delivery
                WHERE endpoint_id = e.id AND status IN ('paused', 'exhausted') ORDER BY event_id LIMIT $2
            )
        ) d
    ), made AS (
        SELECT seen.endpoint_id, a.at, coalesce(a.error = '' AND a.status_code BETWEEN 200 AND 299, false) AS is_success
        FROM seen JOIN public.webhooks_deliveryattempt a ON a.delivery_id = seen.id
    )
    SELECT endpoint_id, date_trunc('hour', at, 'UTC'), count(*), count(*) FILTER (WHERE is_success),
        max(at) FILTER (WHERE is_success), max(at) FILTER (WHERE NOT is_success)
    FROM made GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Events that wait for an endpoint, also those that a paused one has not read yet."""

    events: int
    has_more: bool
    """True if there are more than ``COUNTED``."""


@dataclass(slots=True)
class Record:
    """The attempts of an endpoint's deliveries that were looked at."""

    last_success: datetime | None = None
    last_failure: datetime | None = None
    hours: dict[datetime, tuple[int, int]] = field(default_factory=dict)
    """Start of an hour -> attempts and successes."""

    def between(self, start: datetime, end: datetime) -> tuple[int, int]:
        """Attempts and successes of the hours from ``start`` to before ``end``."""
        found = [numbers for hour, numbers in self.hours.items() if start <= hour < end]
        return sum(made for made, _ in found), sum(good for _, good in found)

    def since(self, now: datetime, span: timedelta) -> tuple[int, int]:
        """Attempts and successes of the last ``span`` in whole hours, the present one included."""
        end = hour_after(now)
        return self.between(end - span, end)


def hour_after(moment: datetime) -> datetime:
    """The start of the next hour."""
    return moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def backlogs(pks: Collection[int]) -> dict[int, Backlog]:
    """Endpoint's id -> what waits for it; one statement."""
    if not pks:
        return {}
    return {
        pk: Backlog(min(count, COUNTED), has_more=count > COUNTED)
        for pk, count in fetch(_BACKLOGS, [list(pks), COUNTED + 1])
    }


def records(pks: Collection[int], *, deliveries: int) -> dict[int, Record]:
    """Endpoint's id -> its attempts, from about ``deliveries`` deliveries of each; one statement."""
    if not pks:
        return {}
    found = {pk: Record() for pk in pks}
    for pk, hour, made, good, success, failure in fetch(_ATTEMPTS, [list(pks), deliveries]):
        record = found[pk]
        record.hours[hour] = (made, good)
        record.last_success = max(filter(None, (record.last_success, success)), default=None)
        record.last_failure = max(filter(None, (record.last_failure, failure)), default=None)
    return found
