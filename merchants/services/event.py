"""A merchant's events: recorded in the transaction of the change, read in an order in which none appears late."""

from __future__ import annotations

from typing import Any

from django.db import models

from core.db import transaction_required
from core.unit_of_work import joined
from core.writes import Sql, new_instance
from merchants.models import Event, Merchant
from merchants.models.event import COUNTER

_NEXT = "SELECT coalesce(max(object_sequence), 0) + 1 FROM merchants_event WHERE object_id = %s"
_NEXT_AFTER_PENDING = "SELECT coalesce(max(object_sequence), 0) + 1 + %s FROM merchants_event WHERE object_id = %s"


@transaction_required
def record(
    merchant: Merchant,
    *,
    livemode: bool,
    type: str,
    obj: dict[str, Any],
    previous: dict[str, Any] | None = None,
) -> Event:
    """Append an event about ``obj`` (its JSON form, with ``id``) to the open unit of work.

    The caller holds the lock on the object's row, which keeps ``object_sequence`` free of gaps.
    """
    event = new_instance(
        Event,
        merchant=merchant,
        livemode=livemode,
        type=type,
        object_id=obj["id"],
        data={"object": obj, "previous": previous or {}},
    )
    with joined() as writes:
        pending_key = ("event", obj["id"])
        pending = writes.pending[pending_key]
        object_sequence = Sql(_NEXT_AFTER_PENDING, (pending, obj["id"])) if pending else Sql(_NEXT, (obj["id"],))
        writes.insert(event, {"object_sequence": object_sequence})
        writes.pending[pending_key] += 1
    return event


def feed(merchant: Merchant, *, livemode: bool) -> models.QuerySet[Event]:
    """The merchant's events below the horizon: no event with a lower sequence can appear any more.

    Evaluate it at READ COMMITTED: an older snapshot may lack events of transactions that have ended since.
    """
    return Event.objects.filter(merchant=merchant, livemode=livemode, sequence__lt=COUNTER.horizon())
