"""Health of the inbox: backlog, traffic, failures by reason, repetitions and refusals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, F, Min, Q, Sum, When

from core import clock
from webhooks.inbound.models import InboxTally, ProviderEvent, ProviderPoll

WORST = 10
"""Maximum number of reasons in ``failures``."""

_OPEN = [ProviderEvent.Status.RECEIVED, ProviderEvent.Status.RETRY]
_ATTENTION = [ProviderEvent.Status.CONFLICT, ProviderEvent.Status.DEAD]


@dataclass(frozen=True, slots=True)
class Traffic:
    """One channel: notices of the last hour and day, how many were applied, and how many were repeated or refused."""

    channel: str
    last_hour: int
    last_day: int
    applied: int
    repeated: int
    refused: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Notices that wait or need attention for the same reason."""

    status: str
    reason: str
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Health:
    """State of the inbox at one moment."""

    waiting: int
    oldest_waiting: datetime | None
    attention: dict[str, int]
    traffic: tuple[Traffic, ...]
    failures: tuple[Failure, ...]
    polls: tuple[ProviderPoll, ...]


def measure() -> Health:
    """Measure the inbox by six statements, which use indexes or read the last day only."""
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
    # Open notices are grouped by their last error, settled ones by their reason.
    why = Case(When(status=ProviderEvent.Status.CONFLICT, then=F("reason")), default=F("last_error"))
    failed = ProviderEvent.objects.filter(status__in=[ProviderEvent.Status.RETRY, *_ATTENTION]).order_by()
    grouped = failed.annotate(why=why).values("status", "why").annotate(n=Count("id"), oldest=Min("received_at"))
    return tuple(Failure(row["status"], row["why"], row["n"], row["oldest"]) for row in grouped.order_by("-n")[:WORST])
