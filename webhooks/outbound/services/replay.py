"""Deliveries that a person asks for: another attempt of one, or events of a period again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core import clock
from core.db import transaction_required
from core.errors import IllegalTransition, LimitExceeded
from core.statements import fetch
from webhooks.outbound.models import Delivery
from webhooks.outbound.models.delivery import OPEN
from webhooks.outbound.services import endpoint as endpoint_service
from webhooks.outbound.services import feed

MOST = 10_000
"""Events that one replay delivers again."""
MOST_WAITING = 10_000
"""An endpoint for which more replays wait takes no further ones."""


class Only(StrEnum):
    """Which events of the period are delivered again."""

    ALL = "all"
    """Every event that the endpoint subscribes to."""
    FAILED = "failed"
    """Those whose delivery was given up."""
    MISSING = "missing"
    """Those that were never delivered and are not waiting, also those that were never tried."""


@dataclass(frozen=True, slots=True)
class Found:
    """How many events a replay would deliver, and has delivered.

    ``next_after``: the sequence of the last of them if the period has more than ``MOST``, else None.
    """

    events: int
    next_after: int | None

    @property
    def has_more(self) -> bool:
        return self.next_after is not None


_EVENTS = """
    SELECT v.sequence, v.object_id, v.type, e.id, false
    FROM public.webhooks_endpoint e
    JOIN public.merchants_event v ON v.merchant_id = e.merchant_id AND v.livemode = e.livemode
    WHERE e.id = $1 AND v.created_at >= $2 AND v.created_at < $3 AND v.sequence > $6
        AND v.type <> 'webhook_endpoint.test'
        AND e.events && ARRAY[v.type, split_part(v.type, '.', 1) || '.*', '*']::varchar[]
        AND v.sequence <= coalesce(e.cursor, (SELECT sequence FROM public.webhooks_feedcursor))
        AND ($4 = 'all' OR NOT EXISTS (
            SELECT FROM public.webhooks_delivery d WHERE d.endpoint_id = e.id AND d.event_id = v.sequence
                AND d.status IN ('delivered', 'pending', 'paused')
        ))
        AND ($4 <> 'failed' OR EXISTS (
            SELECT FROM public.webhooks_delivery d
            WHERE d.endpoint_id = e.id AND d.event_id = v.sequence AND d.status = 'exhausted'
        ))
    ORDER BY v.sequence LIMIT $5
"""


@transaction_required
def replay(pk: int, *, since: datetime, until: datetime, only: Only, dry_run: bool, after_sequence: int = 0) -> Found:
    """Deliver events of ``since <= created_at < until`` again, oldest first; with ``dry_run`` only count them.

    ``after_sequence``: continue behind this event. Each is a new delivery, besides those that the event had. Raises
    ``NotFound``, and except with ``dry_run`` ``IllegalTransition`` if the endpoint is disabled, ``LimitExceeded`` if
    more than ``MOST_WAITING`` of its replays wait.
    """
    # Without locks: the search may take seconds, and the fan-out and the sender need the cursor and the endpoint.
    # Events up to the committed cursor have their deliveries already.
    rows = fetch(_EVENTS, [pk, since, until, only.value, MOST + 1, after_sequence])
    found = rows[:MOST]

    def write() -> None:
        feed.insert(found, kind=Delivery.Kind.REPLAY)

    if not dry_run:
        endpoint_service.refuse_disabled(endpoint_service.lock(pk))
        waiting = Delivery.objects.filter(endpoint_id=pk, kind=Delivery.Kind.REPLAY, status__in=OPEN)
        if found and waiting.count() > MOST_WAITING:
            raise LimitExceeded(
                "More than %(limit)s replayed events wait for this endpoint; replay more when it has received them.",
                params={"limit": MOST_WAITING},
            )
        endpoint_service.in_unit(write)
    return Found(len(found), next_after=found[-1][0] if len(rows) > MOST else None)


@transaction_required
def retry(delivery_id: int) -> Delivery:
    """Make another attempt now, also if the endpoint is paused or on hold.

    One that was delivered already is delivered again, as a new delivery (a replay). Returns the delivery to watch.
    Raises ``NotFound`` if the endpoint is deleted, ``IllegalTransition`` if it is disabled, an attempt is in flight, or
    earlier events of the object wait (ordered endpoints).
    """
    endpoint = endpoint_service.lock(Delivery.objects.values_list("endpoint_id", flat=True).get(pk=delivery_id))
    endpoint_service.refuse_disabled(endpoint)
    rows = Delivery.objects.select_for_update(of=("self",)).select_related("endpoint", "event")
    found = rows.get(pk=delivery_id)
    now = clock.now()
    if found.status == Delivery.Status.DELIVERED:
        again = Delivery(
            endpoint=endpoint, event=found.event, kind=Delivery.Kind.REPLAY, manual=True, next_attempt_at=now
        )
        endpoint_service.in_unit(lambda: again.save(force_insert=True))
        return again
    if found.leased_until is not None and found.leased_until > now:
        raise IllegalTransition("An attempt is in flight.")
    if found.queue and _is_behind(found):
        raise IllegalTransition("Earlier events of this object are delivered first: the endpoint is ordered.")
    if found.status in (Delivery.Status.EXHAUSTED, Delivery.Status.CANCELLED):
        found.tries = 0
    if found.status != Delivery.Status.PENDING:
        found.try_again()
    found.manual, found.next_attempt_at, found.finished_at = True, now, None
    fields = ["status", "tries", "manual", "next_attempt_at", "finished_at"]
    endpoint_service.in_unit(lambda: found.save(update_fields=fields))
    return found


def _is_behind(delivery: Delivery) -> bool:
    earlier = Delivery.objects.filter(endpoint_id=delivery.endpoint_id, queue=delivery.queue)
    return earlier.filter(status__in=["pending", "paused"], event_id__lt=delivery.event_id).exists()
