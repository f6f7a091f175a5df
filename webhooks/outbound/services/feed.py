"""Fan-out: one delivery for each event and endpoint that wants it, behind one cursor.

The feed is polled up to its horizon, so writers of events do nothing for it. The transaction that inserts deliveries
advances the cursor; its lock elects the leader among workers. An endpoint that was paused catches up with a cursor of
its own before it shares the common one again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from psycopg.types.json import Jsonb

from core import clock, ids
from core.db import transaction_required
from core.statements import fetch
from merchants.models.event import COUNTER
from merchants.services.event_type import TEST
from webhooks.outbound.models import Delivery, Endpoint

BATCH = 500
"""Events that are fanned out in one transaction."""

_WANTS = """
    (e.events && ARRAY[v.type, split_part(v.type, '.', 1) || '.*', '*']::varchar[] AND v.type <> 'webhook_endpoint.test'
        OR v.type = 'webhook_endpoint.test' AND v.object_id = e.public_id)
    AND v.sequence > e.starts_after
"""
_ANYTHING_NEW = """
    SELECT EXISTS (
        SELECT FROM public.merchants_event WHERE sequence > (SELECT sequence FROM public.webhooks_feedcursor)
    )
"""
_LOCK = "SELECT sequence FROM public.webhooks_feedcursor FOR NO KEY UPDATE"
_LOCK_OR_LEAVE = f"{_LOCK} SKIP LOCKED"
_READ = f"""
    SELECT v.sequence, v.object_id, v.type, e.id, e.ordered
    FROM (
        SELECT sequence, merchant_id, livemode, type, object_id FROM public.merchants_event
        WHERE sequence > $1 AND sequence < $2 ORDER BY sequence LIMIT $3
    ) v
    LEFT JOIN public.webhooks_endpoint e ON e.merchant_id = v.merchant_id AND e.livemode = v.livemode
        AND e.deleted_at IS NULL AND e.status IN ('active', 'failing') AND e.cursor IS NULL AND {_WANTS}
    ORDER BY v.sequence, e.id
"""  # noqa: S608 - constants
_READ_FOR_ONE = f"""
    SELECT v.sequence, v.object_id, v.type, CASE WHEN {_WANTS} THEN e.id END, e.ordered
    FROM public.webhooks_endpoint e
    JOIN LATERAL (
        SELECT sequence, type, object_id FROM public.merchants_event
        WHERE merchant_id = e.merchant_id AND livemode = e.livemode AND sequence > $2 AND sequence <= $3
        ORDER BY sequence LIMIT $4
    ) v ON true
    WHERE e.id = $1 ORDER BY v.sequence
"""  # noqa: S608 - constants
_INSERT = """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset($1) AS g (public_id text, endpoint bigint, event bigint, kind text, queue text)
    ), made AS (
        INSERT INTO public.webhooks_delivery
            (public_id, endpoint_id, event_id, kind, queue, status, tries, manual, next_attempt_at, created_at)
        SELECT public_id, endpoint, event, kind, queue, 'pending', 0, false,
            CASE queue WHEN '' THEN $2 END, $2
        FROM given ORDER BY event, endpoint
        ON CONFLICT DO NOTHING RETURNING endpoint_id
    )
    SELECT count(*) FROM made
"""
_RELEASE = """
    UPDATE public.webhooks_delivery SET next_attempt_at = $3
    WHERE status = 'pending' AND next_attempt_at IS NULL AND id IN (
        SELECT first.id FROM unnest($1::bigint[], $2::text[]) AS q (endpoint, queue),
        LATERAL (
            SELECT id FROM public.webhooks_delivery
            WHERE endpoint_id = q.endpoint AND queue = q.queue AND status IN ('pending', 'paused') AND queue <> ''
            ORDER BY event_id LIMIT 1
        ) first
    )
    RETURNING id
"""
_ADVANCE = "UPDATE public.webhooks_feedcursor SET sequence = $1 WHERE sequence < $1 RETURNING id"


def fan_out() -> bool:
    """Insert the deliveries of the next events of the feed; True if there may be more to do at once.

    Does nothing while another process does it.
    """
    if not fetch(_ANYTHING_NEW, [])[0][0]:
        return False
    with transaction.atomic():
        found = fetch(_LOCK_OR_LEAVE, [])
        if not found:
            return False
        pairs = fetch(_READ, [found[0][0], COUNTER.horizon(), BATCH])
        if not pairs:
            return False
        insert(pairs)
        fetch(_ADVANCE, [pairs[-1][0]])
    return len({pair[0] for pair in pairs}) == BATCH


@transaction_required
def lock_cursor() -> int:
    """Lock the feed's cursor, before any endpoint, and return its position."""
    return int(fetch(_LOCK, [])[0][0])


@transaction_required
def catch_up(endpoint: Endpoint, *, until: int) -> bool:
    """Fan out the next events above the endpoint's own cursor, up to ``until``; True if none is left.

    The caller has locked the feed's cursor (``until``) and the endpoint, and saves ``endpoint.cursor``.
    """
    if endpoint.cursor is None:
        raise ValueError("the endpoint has no cursor of its own")
    pairs = fetch(_READ_FOR_ONE, [endpoint.pk, endpoint.cursor, until, BATCH])
    if pairs:
        insert(pairs)
        endpoint.cursor = pairs[-1][0]
    return len(pairs) < BATCH


@transaction_required
def insert(pairs: Sequence[tuple[Any, ...]], *, kind: Delivery.Kind | None = None) -> int:
    """Insert a delivery for each (sequence, object, type, endpoint, whether it is ordered); returns their number.

    Pairs without endpoint are skipped. A delivery that exists is left alone, except that replays are always new.
    """
    pairs = [pair for pair in pairs if pair[3] is not None]
    if not pairs:
        return 0
    now = clock.now()
    # Completing a delivery and adding one to its queue exclude each other, or neither would release the next.
    lock_endpoints({endpoint for *_, endpoint, ordered in pairs if ordered})
    given = [
        {
            "public_id": ids.new_id("delivery"),
            "endpoint": endpoint,
            "event": sequence,
            "kind": kind or (Delivery.Kind.TEST if event_type == TEST else Delivery.Kind.FEED),
            "queue": object_id if ordered and kind is None and event_type != TEST else "",
        }
        for sequence, object_id, event_type, endpoint, ordered in pairs
    ]
    made = fetch(_INSERT, [Jsonb(given), now])
    release({(row["endpoint"], row["queue"]) for row in given if row["queue"]}, now)
    return int(made[0][0])


@transaction_required
def release(queues: set[tuple[int, str]], now: datetime) -> None:
    """Make the first open delivery of each (endpoint, object) due, if it waited for an earlier one.

    The caller holds the locks of these endpoints.
    """
    if queues:
        ordered = sorted(queues)
        fetch(_RELEASE, [[endpoint for endpoint, _ in ordered], [queue for _, queue in ordered], now])


@transaction_required
def lock_endpoints(pks: set[int]) -> dict[int, Endpoint]:
    """The endpoints, locked in the order of their ids."""
    if not pks:
        return {}
    rows = Endpoint.objects.select_for_update(of=("self",), no_key=True).select_related("merchant")
    return {endpoint.pk: endpoint for endpoint in rows.filter(pk__in=pks).order_by("pk")}
