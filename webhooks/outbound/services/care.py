"""Upkeep of endpoints between deliveries: pauses, waiting deliveries that follow a change of status, probes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction

from core import clock
from core.statements import fetch
from merchants.models import Merchant
from webhooks.outbound.models import Delivery, Endpoint
from webhooks.outbound.services import feed, health
from webhooks.outbound.services.isolation import isolated

BATCH = 1000
"""Deliveries that are moved in one transaction."""
REDELIVER_WITHIN = timedelta(days=30)
"""An endpoint that recovers gets exhausted deliveries of events that are younger."""

_PARK = """
    UPDATE public.webhooks_delivery SET status = 'paused', next_attempt_at = NULL, live_attempt = NULL,
        live_since = NULL, leased_until = NULL
    WHERE id IN (
        SELECT id FROM public.webhooks_delivery WHERE endpoint_id = $1 AND status = 'pending' AND NOT manual
            AND (leased_until IS NULL OR leased_until <= $2)
        LIMIT $3
    )
    RETURNING id
"""
_CANCEL = """
    UPDATE public.webhooks_delivery SET status = 'cancelled', next_attempt_at = NULL, live_attempt = NULL,
        live_since = NULL, leased_until = NULL, manual = false, finished_at = $2
    WHERE id IN (
        SELECT id FROM public.webhooks_delivery WHERE endpoint_id = $1 AND status IN ('pending', 'paused') LIMIT $3
    )
    RETURNING id
"""
_RESUME = """
    UPDATE public.webhooks_delivery d
    SET status = 'pending', tries = 0, finished_at = NULL, next_attempt_at = CASE queue WHEN '' THEN $2 END
    FROM (
        SELECT p.id FROM public.webhooks_delivery p
        WHERE p.endpoint_id = $1 AND p.status = 'paused' ORDER BY p.event_id LIMIT $3
    ) found
    WHERE d.id = found.id
    RETURNING d.id, d.queue
"""
_REVIVE = """
    UPDATE public.webhooks_delivery d
    SET status = 'pending', tries = 0, finished_at = NULL, next_attempt_at = CASE queue WHEN '' THEN $2 END
    FROM (
        SELECT p.id FROM public.webhooks_delivery p JOIN public.merchants_event v ON v.sequence = p.event_id
        WHERE p.endpoint_id = $1 AND p.status = 'exhausted' AND p.kind <> 'replay' AND v.created_at > $4
            AND NOT EXISTS (
                SELECT FROM public.webhooks_delivery other
                WHERE other.endpoint_id = $1 AND other.event_id = p.event_id AND other.status = 'delivered'
            )
        ORDER BY p.event_id LIMIT $3
    ) found
    WHERE d.id = found.id
    RETURNING d.id, d.queue
"""
_HAS_PENDING = """
    SELECT EXISTS (SELECT FROM public.webhooks_delivery WHERE endpoint_id = $1 AND status = 'pending' AND NOT manual)
"""


def step() -> bool:
    """One round of all of it; True if there is more to do at once."""
    isolated(health.pause_due)
    isolated(probe_due)
    unsettled = Endpoint.objects.filter(settling=True).values_list("pk", flat=True)[:100]
    return sum(isolated(settle, pk) or 0 for pk in unsettled) > 0


def settle(pk: int) -> bool:
    """Move a batch of an endpoint's deliveries to where its status wants them; True if there is more to do.

    The feed's cursor is locked only once nothing is left to move: the fan-out of all endpoints would wait for it.
    """
    return _move(pk) or _finish(pk)


@transaction.atomic
def _move(pk: int) -> bool:
    endpoint = feed.lock_endpoints({pk})[pk]
    return endpoint.settling and _moved(endpoint)


@transaction.atomic
def _finish(pk: int) -> bool:
    """Catch up with the feed and end ``settling``, unless there is more to move; True if there is."""
    until = feed.lock_cursor()  # also waits for a fan-out that still saw the endpoint's former status
    endpoint = feed.lock_endpoints({pk})[pk]
    if not endpoint.settling:
        return False
    if _moved(endpoint):
        return True
    if endpoint.status == Endpoint.Status.PAUSED:
        if fetch(_HAS_PENDING, [pk])[0][0]:
            return False  # in flight: settled by their results, or looked at again
    elif endpoint.cursor is not None:
        if not feed.catch_up(endpoint, until=until):
            endpoint.save(update_fields=["cursor"])
            return True
        endpoint.cursor = None  # it shares the feed's cursor again, which is locked at the same position
    endpoint.settling = False
    endpoint.save(update_fields=["settling", "cursor"])
    return False


def _moved(endpoint: Endpoint) -> bool:
    """Move a batch of a locked endpoint's deliveries; True if there may be more.

    A recovered endpoint gets what was paused first, then what was exhausted.
    """
    pk, now = endpoint.pk, clock.now()
    match endpoint.status:
        case Endpoint.Status.PAUSED:
            return len(fetch(_PARK, [pk, now, BATCH])) > 0
        case Endpoint.Status.DISABLED:
            return len(fetch(_CANCEL, [pk, now, BATCH])) == BATCH
    rows = fetch(_RESUME, [pk, now, BATCH]) or fetch(_REVIVE, [pk, now, BATCH, now - REDELIVER_WITHIN])
    feed.release({(pk, queue) for _, queue in rows if queue}, now)
    return bool(rows)


def probe_due() -> int:
    """Let paused endpoints try one delivery, if their probe is due; returns how many are tried."""
    due = Endpoint.objects.filter(
        status=Endpoint.Status.PAUSED, probe_at__lte=clock.now(), merchant__status=Merchant.Status.ACTIVE
    )
    return sum(isolated(_probe, pk) or 0 for pk in due.values_list("pk", flat=True)[:100])


@transaction.atomic
def _probe(pk: int) -> bool:
    until = feed.lock_cursor()
    endpoint = feed.lock_endpoints({pk})[pk]
    now = clock.now()
    if endpoint.status != Endpoint.Status.PAUSED or endpoint.probe_at is None or endpoint.probe_at > now:
        return False
    endpoint.probe_at = now + health.PROBE_EVERY
    head = _head(endpoint, now)
    if head is None:
        feed.catch_up(endpoint, until=until)
        endpoint.settling = True  # parks what the cursor has brought
    endpoint.save(update_fields=["probe_at", "cursor", "settling"])
    head = head or _head(endpoint, now)
    if head is None:
        return False
    if head.status != Delivery.Status.PENDING:
        head.try_again()
    head.manual, head.next_attempt_at, head.finished_at = True, now, None
    head.save(update_fields=["status", "manual", "next_attempt_at", "finished_at"])
    return True


def _head(endpoint: Endpoint, now: datetime) -> Delivery | None:
    """The delivery that a probe tries: the earliest that waits, else the earliest exhausted one of recent events."""
    rows = Delivery.objects.select_for_update(of=("self",)).filter(endpoint=endpoint).order_by("event_id")
    choices: tuple[Callable[[], Delivery | None], ...] = (
        rows.filter(status=Delivery.Status.PAUSED).first,
        rows.filter(status=Delivery.Status.PENDING, live_attempt=None).first,
        rows.filter(
            status=Delivery.Status.EXHAUSTED,
            event__created_at__gt=now - REDELIVER_WITHIN,
        )
        .exclude(kind=Delivery.Kind.REPLAY)
        .first,
    )
    return next((found for choose in choices if (found := choose()) is not None), None)
