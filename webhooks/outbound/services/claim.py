"""Which deliveries are sent next: fair between endpoints, each attempt under a lease.

A claim locks the endpoints with ``SKIP LOCKED``, counts their attempts in flight and leases their next deliveries, so
that an endpoint never has more than ``IN_FLIGHT`` requests, however many workers there are. Endpoints of the
same pace take turns in the order of their ids. A lease outlives the deadline of a request; a sender that would start a
request with less than that left gives the delivery back instead.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum

from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.models import BinaryField
from django.db.models.functions import Cast
from psycopg.types.json import Jsonb

from core import clock, ids
from core.statements import fetch
from merchants.models import Event
from merchants.resources.event import event as event_resource
from webhooks.outbound.models import EndpointSecret

logger = logging.getLogger(__name__)

IN_FLIGHT = 2
"""Requests to one endpoint at a time; one while it fails or asks to be slowed down."""
DEADLINE = 15.0
"""Seconds that one request may take."""
LEASE = timedelta(seconds=30)
"""How long a delivery belongs to the process that claimed it."""
START_WITHIN = LEASE - timedelta(seconds=DEADLINE + 3)
"""How long after its claim a request may still be started."""

encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""The text of an event: equal to the API's."""
_SECRET = EndpointSecret._meta.get_field("secret")

# Manual deliveries are due by definition. A condition on their time would let the plan read all that is due instead.
_ENDPOINTS = """
    WITH RECURSIVE waiting AS (
        (
            SELECT endpoint_id, next_attempt_at FROM public.webhooks_delivery
            WHERE status = 'pending' AND next_attempt_at IS NOT NULL ORDER BY endpoint_id, next_attempt_at LIMIT 1
        )
        UNION ALL
        SELECT following.* FROM waiting, LATERAL (
            SELECT endpoint_id, next_attempt_at FROM public.webhooks_delivery
            WHERE status = 'pending' AND next_attempt_at IS NOT NULL AND endpoint_id > waiting.endpoint_id
            ORDER BY endpoint_id, next_attempt_at LIMIT 1
        ) following
    ), by_hand AS MATERIALIZED (
        SELECT DISTINCT endpoint_id FROM public.webhooks_delivery WHERE manual AND status = 'pending'
    ), due AS MATERIALIZED (
        SELECT e.id, e.status IN ('active', 'failing') AND coalesce(e.hold_until <= $1, true) AS is_free,
            e.id IN (SELECT endpoint_id FROM by_hand) AS is_asked, coalesce(known.pace, 0) AS pace
        FROM (
            SELECT endpoint_id FROM waiting WHERE next_attempt_at <= $1 UNION SELECT endpoint_id FROM by_hand
        ) found
        JOIN public.webhooks_endpoint e ON e.id = found.endpoint_id
        JOIN public.merchants_merchant m ON m.id = e.merchant_id
        LEFT JOIN unnest($3::bigint[], $4::bigint[]) AS known (id, pace) ON known.id = e.id
        WHERE m.status = 'active' AND e.status <> 'disabled' AND e.id <> ALL ($2)
    )
    SELECT found.* FROM unnest($5::bigint[], $6::bigint[], $7::bigint[]) AS share (pace, after, most), LATERAL (
        SELECT e.id, due.is_free, due.pace FROM due JOIN public.webhooks_endpoint e ON e.id = due.id
        WHERE due.pace = share.pace AND (due.is_free OR due.is_asked)
        ORDER BY e.id > share.after DESC, e.id LIMIT share.most
        FOR NO KEY UPDATE OF e SKIP LOCKED
    ) found
    LIMIT $8
"""
_LEASE = """
    WITH turn AS (
        SELECT t.*, e.url, CASE WHEN e.status = 'active' AND e.throttle = 0 THEN $2::bigint ELSE 1 END
            - (SELECT count(*) FROM public.webhooks_delivery WHERE endpoint_id = e.id AND leased_until > $3)
            + t.mine AS slots
        FROM jsonb_to_recordset($1) AS t (endpoint bigint, size bigint, mine bigint, is_free boolean)
        JOIN public.webhooks_endpoint e ON e.id = t.endpoint
    ), picked AS MATERIALIZED (
        SELECT d.*, turn.slots, turn.url, row_number() OVER () AS number
        FROM turn, LATERAL (
            (
                SELECT id, live_attempt AS lost, live_since AS lost_at, next_attempt_at FROM public.webhooks_delivery
                WHERE endpoint_id = turn.endpoint AND manual AND status = 'pending'
                    AND (leased_until IS NULL OR leased_until <= $3)
                ORDER BY next_attempt_at, event_id LIMIT turn.size
            )
            UNION ALL
            (
                SELECT id, live_attempt, live_since, next_attempt_at FROM public.webhooks_delivery
                WHERE endpoint_id = turn.endpoint AND NOT manual AND status = 'pending' AND next_attempt_at <= $3
                    AND (leased_until IS NULL OR leased_until <= $3)
                ORDER BY next_attempt_at, event_id LIMIT CASE WHEN turn.is_free THEN turn.size ELSE 0 END
            )
        ) d
        WHERE turn.slots > 0
    ), taken AS (
        UPDATE public.webhooks_delivery d
        SET live_attempt = ($4::text[])[picked.number], live_since = $3, leased_until = $5
        FROM picked WHERE d.id = picked.id AND d.status = 'pending'
        RETURNING d.id, d.endpoint_id, d.event_id, d.kind, d.queue, d.tries, d.manual, d.live_attempt, picked.number,
            picked.slots, picked.url
    ), lost AS (
        INSERT INTO public.webhooks_deliveryattempt
            (public_id, delivery_id, at, url, manual, error, response_excerpt)
        SELECT picked.lost, picked.id, picked.lost_at, picked.url, false, 'interrupted', '' FROM picked
        WHERE picked.lost IS NOT NULL ON CONFLICT (public_id) DO NOTHING
    )
    SELECT t.id, t.endpoint_id, t.kind, t.queue, t.tries, t.manual, t.live_attempt, t.slots, t.url,
        e.status = 'active' AND e.failures = 0 AND e.throttle = 0,
        v.public_id, v.livemode, v.created_at, v.type, v.sequence, v.object_sequence, v.data
    FROM taken t JOIN public.webhooks_endpoint e ON e.id = t.endpoint_id
    JOIN public.merchants_event v ON v.sequence = t.event_id
    ORDER BY t.endpoint_id, t.number
"""


class Pace(IntEnum):
    """How fast an endpoint answers, as far as this process knows. A claim takes of them in this order."""

    UNKNOWN = 0
    SLOW = 1
    QUICK = 2


@dataclass(slots=True)
class Share:
    """How many endpoints of one pace a claim may take, beginning behind the one with id ``after``."""

    most: int
    after: int = 0
    """Moved to the last endpoint that a claim found, also if it had no delivery to lease."""


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt to make: a delivery that this process holds until ``leased_until``."""

    delivery_id: int
    endpoint_id: int
    kind: str
    queue: str
    tries: int
    manual: bool
    attempt: str
    """The attempt's public id."""
    is_well: bool
    """False if a success has to be noted at the endpoint."""
    url: str
    secrets: tuple[str, ...] = field(repr=False)
    message_id: str
    body: bytes
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """Attempts to one endpoint, at most ``slots`` of them at a time."""

    endpoint_id: int
    slots: int
    jobs: tuple[Job, ...]


def take(
    endpoints: int,
    *,
    size: Mapping[int, int] | None = None,
    mine: Mapping[int, int] | None = None,
    without: Collection[int] = (),
    paces: Mapping[int, Pace] | None = None,
    shares: Mapping[Pace, Share] | None = None,
) -> list[Turn]:
    """Claim deliveries of up to ``endpoints`` endpoints.

    ``size``: how many of an endpoint, by its id (default ``IN_FLIGHT``). ``mine``: how many leases this process holds
    already and counts itself. ``without``: ids of endpoints to leave out. ``paces``: those that are known, by the
    endpoint's id. ``shares``: what each pace may take (default: all of ``endpoints``); the claim moves their ``after``.
    """
    sizes, held, now = size or {}, mine or {}, clock.now()
    known, shares = paces or {0: Pace.UNKNOWN}, shares or {pace: Share(endpoints) for pace in Pace}
    with transaction.atomic():
        found = fetch(
            _ENDPOINTS,
            [
                now,
                sorted(without) or [0],
                list(known),
                [int(pace) for pace in known.values()],
                [int(pace) for pace in Pace],
                [shares[pace].after for pace in Pace],
                [shares[pace].most for pace in Pace],
                endpoints,
            ],
        )
        if not found:
            return []
        turns = [
            {"endpoint": pk, "size": sizes.get(pk, IN_FLIGHT), "mine": held.get(pk, 0), "is_free": is_free}
            for pk, is_free, _ in found
        ]
        for pk, _, pace in found:
            shares[pace].after = pk
        most = 2 * sum(turn["size"] for turn in turns)
        attempts = [ids.new_id("delivery_attempt") for _ in range(most)]
        rows = fetch(_LEASE, [Jsonb(turns), IN_FLIGHT, now, attempts, now + LEASE])
        secrets = _secrets({row[1] for row in rows}, now)
    jobs: dict[int, list[Job]] = {}
    slots = {}
    for row in rows:
        (pk, endpoint, kind, queue, tries, manual, attempt, slots[endpoint], url, is_well), event = row[:10], row[10:]
        jobs.setdefault(endpoint, []).append(
            Job(
                pk,
                endpoint,
                kind,
                queue,
                tries,
                manual,
                attempt,
                is_well,
                url,
                secrets[endpoint],
                event[0],
                body(*event),
                now,
            )  # fmt: skip
        )
    return [Turn(endpoint, slots[endpoint], tuple(found)) for endpoint, found in jobs.items()]


def body(
    public_id: str,
    livemode: bool,  # noqa: FBT001 - columns of a row
    created_at: datetime,
    event_type: str,
    sequence: int,
    object_sequence: int,
    data: str,
) -> bytes:
    """The event as ``GET /v1/events/{id}`` answers it; equal for every attempt. ``data``: JSON as stored."""
    record = Event(
        public_id=public_id,
        livemode=livemode,
        created_at=created_at,
        type=event_type,
        sequence=sequence,
        object_sequence=object_sequence,
        data=json.loads(data),
    )
    return encode(event_resource(record)).encode()


def _secrets(endpoints: set[int], now: datetime) -> dict[int, tuple[str, ...]]:
    """The valid secrets of each endpoint, the current one first; without those that cannot be decrypted."""
    found: dict[int, tuple[str, ...]] = dict.fromkeys(endpoints, ())
    rows = EndpointSecret.objects.filter(endpoint_id__in=endpoints).order_by("endpoint_id", "-id")
    encrypted = rows.annotate(token=Cast("secret", BinaryField()))
    for endpoint, token, expires_at in encrypted.values_list("endpoint_id", "token", "expires_at"):
        if expires_at is None or expires_at > now:
            try:
                found[endpoint] += (str(_SECRET.from_db_value(token, None, connection)),)
            except ImproperlyConfigured:
                logger.exception("a webhook secret cannot be decrypted", extra={"endpoint": endpoint})
    return found
