"""The feed of events addressed to a merchant: written with the change, read in an order that never looks back."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.expressions import RawSQL

from core.db import transaction_required
from core.writes import Sql, Writes, fresh, joined
from merchants.models import Event, Merchant

_HORIZON = RawSQL(  # noqa: S611 - a constant; nothing is put into it
    "(SELECT last_value + (pg_snapshot_xmin(pg_current_snapshot())::text::bigint << 16) FROM merchants_event_base)", []
)
"""Every event below it belongs to a transaction that has ended; no smaller sequence can appear any more."""


_NEXT = "SELECT coalesce(max(object_sequence), 0) + 1 FROM merchants_event WHERE object_id = %s"


@transaction_required
def record(
    merchant: Merchant,
    *,
    livemode: bool,
    type: str,
    obj: dict[str, Any],
    previous: dict[str, Any] | None = None,
    writes: Writes | None = None,
) -> Event:
    """Append an event about ``obj`` (its JSON form, with ``id``), with ``writes`` if given.

    The caller holds the lock on the object's row: that is what keeps ``object_sequence`` without gaps. One statement
    appends at most one event of an object.
    """
    event = fresh(
        Event,
        merchant=merchant,
        livemode=livemode,
        type=type,
        object_id=obj["id"],
        data={"object": obj, "previous": previous or {}},
    )
    with joined(writes) as statement:
        statement.insert(event, {"object_sequence": Sql(_NEXT, (obj["id"],))})
    return event


def feed(merchant: Merchant, *, livemode: bool) -> models.QuerySet[Event]:
    """The merchant's events that can be shown: none while an earlier one may still appear."""
    return Event.objects.filter(merchant=merchant, livemode=livemode, sequence__lt=_HORIZON)
