"""The health of endpoints: warned early, slowed down, paused after days, restored by a success.

Each function changes a locked endpoint, saves it, and tells the merchant by event and e-mail about a change of status.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from core import clock, jobs
from core.db import transaction_required
from merchants.models import Merchant
from merchants.services import event
from webhooks.outbound.models import Endpoint
from webhooks.outbound.resources.endpoint import endpoint as endpoint_resource
from webhooks.outbound.services import feed, schedule
from webhooks.outbound.services.isolation import isolated

WARN_AFTER, WARN_FAILURES = timedelta(minutes=3), 3
"""An endpoint is failing after this time and number of failures without a success between them."""
PAUSE_AFTER = timedelta(days=5)
PROBE_EVERY = timedelta(hours=1)
SLOW_DOWN = frozenset({429, 502, 504})
"""Answers that ask for fewer requests (Standard Webhooks)."""
GONE = 410

_FIELDS = (
    "status",
    "disabled_reason",
    "cursor",
    "settling",
    "failures",
    "failing_since",
    "throttle",
    "hold_until",
    "probe_at",
)


@transaction_required
def succeeded(endpoint: Endpoint) -> None:
    """Note a success: the series of failures has ended."""
    before = endpoint.status
    endpoint.failures, endpoint.failing_since, endpoint.hold_until = 0, None, None
    endpoint.throttle = max(endpoint.throttle - 1, 0)
    if before in (Endpoint.Status.FAILING, Endpoint.Status.PAUSED):
        endpoint.throttle = 0
        endpoint.recover()
    _save(endpoint, before, "webhook_endpoint.recovered")


@transaction_required
def failed(
    endpoint: Endpoint, *, status_code: int | None, retry_after: timedelta | None, counts: bool, at: datetime
) -> None:
    """Note a failure. ``counts``: it is held against the endpoint; replays and attempts by hand are not."""
    before = endpoint.status
    if before == Endpoint.Status.DISABLED:
        return
    if status_code == GONE:
        endpoint.disable(Endpoint.DisabledReason.GONE)
        _save(endpoint, before, "webhook_endpoint.disabled")
        return
    if counts:
        endpoint.failures += 1
        endpoint.failing_since = endpoint.failing_since or at
        if before == Endpoint.Status.ACTIVE and _is_failing(endpoint, at):
            endpoint.warn()
    if status_code in SLOW_DOWN or retry_after is not None or (counts and endpoint.status == Endpoint.Status.FAILING):
        endpoint.throttle = min(endpoint.throttle + 1, 100)
        pause = schedule.hold(endpoint.throttle)
        if retry_after is not None:
            pause = max(pause, min(retry_after, schedule.LONGEST_HOLD))
        endpoint.hold_until = max(endpoint.hold_until or at, at + pause)
    _save(endpoint, before, "webhook_endpoint.failing")


def pause_due() -> int:
    """Pause the endpoints that have been failing for ``PAUSE_AFTER``; returns their number."""
    due = Endpoint.objects.filter(
        status=Endpoint.Status.FAILING,
        failing_since__lte=clock.now() - PAUSE_AFTER,
        merchant__status=Merchant.Status.ACTIVE,
    )
    return sum(isolated(_pause, pk) or 0 for pk in due.values_list("pk", flat=True)[:100])


@transaction.atomic
def _pause(pk: int) -> bool:
    cursor = feed.lock_cursor()
    endpoint = feed.lock_endpoints({pk})[pk]
    now = clock.now()
    if (
        endpoint.status != Endpoint.Status.FAILING
        or endpoint.failing_since is None
        or endpoint.failing_since > now - PAUSE_AFTER
    ):
        return False
    endpoint.pause(cursor=cursor)
    endpoint.probe_at = now + PROBE_EVERY
    _save(endpoint, Endpoint.Status.FAILING, "webhook_endpoint.paused")
    return True


@transaction_required
def announce(endpoint: Endpoint, before: str, event_type: str) -> None:
    """Record the event of a change of status and have the merchant's technical contact told."""
    event.record(
        endpoint.merchant,
        livemode=endpoint.livemode,
        type=event_type,
        obj=endpoint_resource(endpoint),
        previous={"status": before},
    )
    if endpoint.merchant.technical_email:
        jobs.defer("webhooks.mail_endpoint", endpoint_id=endpoint.pk, event_type=event_type)


def _is_failing(endpoint: Endpoint, at: datetime) -> bool:
    since = endpoint.failing_since or at
    return endpoint.failures >= WARN_FAILURES and at - since >= WARN_AFTER


def _save(endpoint: Endpoint, before: str, event_type: str) -> None:
    endpoint.save(update_fields=_FIELDS)
    if endpoint.status != before:
        announce(endpoint, before, event_type)
