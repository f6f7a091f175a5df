"""The feed of events addressed to a merchant: written with the change, read in an order that never looks back."""

from __future__ import annotations

from typing import Any

from django.db import models

from core.db import transaction_required
from core.unit_of_work import joined
from core.writes import Sql, fresh
from merchants.models import Event, Merchant
from merchants.models.event import COUNTER

_NEXT = "SELECT coalesce(max(object_sequence), 0) + 1 FROM merchants_event WHERE object_id = %s"
_NEXT_BUT = "SELECT coalesce(max(object_sequence), 0) + 1 + %s FROM merchants_event WHERE object_id = %s"


@transaction_required
def record(
    merchant: Merchant,
    *,
    livemode: bool,
    type: str,
    obj: dict[str, Any],
    previous: dict[str, Any] | None = None,
) -> Event:
    """Append an event about ``obj`` (its JSON form, with ``id``), as part of the unit of work that is open.

    The caller holds the lock on the object's row: that is what keeps ``object_sequence`` without gaps.
    """
    event = fresh(
        Event,
        merchant=merchant,
        livemode=livemode,
        type=type,
        object_id=obj["id"],
        data={"object": obj, "previous": previous or {}},
    )
    with joined() as writes:
        before = ("event", obj["id"])
        earlier = writes.pending[before]
        next_one = Sql(_NEXT_BUT, (earlier, obj["id"])) if earlier else Sql(_NEXT, (obj["id"],))
        writes.insert(event, {"object_sequence": next_one})
        writes.pending[before] += 1
    return event


def feed(merchant: Merchant, *, livemode: bool) -> models.QuerySet[Event]:
    """The merchant's events that could be shown when this was called: none while an earlier one may still appear.

    Evaluate it at READ COMMITTED: a snapshot of before the call may lack events of transactions that ended since.
    """
    return Event.objects.filter(merchant=merchant, livemode=livemode, sequence__lt=COUNTER.horizon())
