"""How the inbox is doing: what waits and since when, what came in, failed and why, came twice or was refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, F, Min, Q, Sum, When

from core import clock
from webhooks.inbound.models import InboxTally, ProviderEvent, ProviderPoll

WORST = 10
"""How many reasons of failures are named."""

_OPEN = [ProviderEvent.Status.RECEIVED, ProviderEvent.Status.RETRY]
_ATTENTION = [ProviderEvent.Status.CONFLICT, ProviderEvent.Status.DEAD]


@dataclass(frozen=True, slots=True)
class Traffic:
    """One channel: notices in the last hour and day, how many of them changed something, and what left no row."""

    channel: str
    last_hour: int
    last_day: int
    applied: int
    repeated: int
    refused: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why notices wait or need somebody, and how many for the same reason."""

    status: str
    reason: str
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Health:
    """All of it at one moment."""

    waiting: int
    oldest_waiting: datetime | None
    attention: dict[str, int]
    traffic: tuple[Traffic, ...]
    failures: tuple[Failure, ...]
    polls: tuple[ProviderPoll, ...]


def measure() -> Health:
    """Six statements, however many notices there are; those that count go by indexes or the last day only."""
    waiting = ProviderEvent.objects.filter(status__in=_OPEN).aggregate(n=Count("id"), oldest=Min("received_at"))
    attention = ProviderEvent.objects.filter(status__in=_ATTENTION).order_by()
    counts = dict(attention.values_list("status").annotate(n=Count("id")))
    return Health(
        waiting=waiting["n"],
        oldest_waiting=waiting["oldest"],
        attention={status: counts.get(status, 0) for status in _ATTENTION},
        traffic=_traffic(),
        failures=_failures(),
        polls=tuple(ProviderPoll.objects.select_related("account").order_by("account_id")),
    )


def _traffic() -> tuple[Traffic, ...]:
    now = clock.now()
    came = (
        ProviderEvent.objects.filter(received_at__gte=now - timedelta(days=1))
        .order_by()
        .values("channel")
        .annotate(
            day=Count("id"),
            hour=Count("id", filter=Q(received_at__gte=now - timedelta(hours=1))),
            applied=Count("id", filter=Q(status=ProviderEvent.Status.PROCESSED)),
        )
    )
    by_channel: dict[str, Any] = {row["channel"]: row for row in came}
    tallied = InboxTally.objects.filter(hour__gte=now - timedelta(days=1)).order_by()
    counted = {
        (row["channel"], row["kind"]): row["n"] for row in tallied.values("channel", "kind").annotate(n=Sum("count"))
    }
    channels = sorted({*by_channel, *(channel for channel, _ in counted)})
    return tuple(
        Traffic(
            channel,
            last_hour=by_channel.get(channel, {}).get("hour", 0),
            last_day=by_channel.get(channel, {}).get("day", 0),
            applied=by_channel.get(channel, {}).get("applied", 0),
            repeated=counted.get((channel, InboxTally.Kind.DUPLICATE), 0),
            refused=counted.get((channel, InboxTally.Kind.REFUSED), 0),
        )
        for channel in channels
    )


def _failures() -> tuple[Failure, ...]:
    # Of what waits, the last error counts; of what is settled, the reason.
    why = Case(When(status=ProviderEvent.Status.CONFLICT, then=F("reason")), default=F("last_error"))
    failed = ProviderEvent.objects.filter(status__in=[ProviderEvent.Status.RETRY, *_ATTENTION]).order_by()
    grouped = failed.annotate(why=why).values("status", "why").annotate(n=Count("id"), oldest=Min("received_at"))
    return tuple(Failure(row["status"], row["why"], row["n"], row["oldest"]) for row in grouped.order_by("-n")[:WORST])
