"""What merchants and staff do with endpoints: create, change, delete, rotate the secret, send a test event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q

from core import clock
from core.db import transaction_required
from core.errors import IllegalTransition, LimitExceeded, NotFound
from core.statements import fetch
from core.unit_of_work import joined, open_unit
from core.writes import new_instance
from merchants.models import Event, Merchant
from merchants.models.event import COUNTER
from merchants.services import event
from merchants.services.event_type import TEST
from webhooks.outbound import signing
from webhooks.outbound.models import Delivery, Endpoint, EndpointSecret
from webhooks.outbound.models.endpoint import MAX_ENDPOINTS
from webhooks.outbound.resources.endpoint import endpoint as endpoint_resource
from webhooks.outbound.services import feed, health

OVERLAP = timedelta(hours=24)
"""How long a rotated secret keeps signing."""
MAX_SECRETS = 5
"""Secrets of one endpoint that sign at the same time."""

# Evaluated again for a row that a result has changed meanwhile: results of a well endpoint do not lock the endpoint.
_QUEUE = """
    UPDATE public.webhooks_delivery d SET queue = v.object_id, next_attempt_at = NULL
    FROM public.merchants_event v
    WHERE v.sequence = d.event_id AND d.endpoint_id = $1 AND d.kind = 'feed' AND d.status IN ('pending', 'paused')
        AND d.live_attempt IS NULL
    RETURNING d.queue
"""


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """A valid request for an endpoint; its URL has been checked."""

    url: str
    events: Sequence[str]
    description: str = ""
    api_version: str = ""
    ordered: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    secret: str = field(default="", repr=False)
    """The merchant's own secret; by default a new one."""


@transaction_required
def create(merchant: Merchant, *, livemode: bool, wanted: NewEndpoint) -> tuple[Endpoint, str]:
    """Create an endpoint, which receives events from now on; returns it and its secret.

    Raises ``LimitExceeded`` if the merchant has ``MAX_ENDPOINTS`` in this mode.
    """
    Merchant.objects.select_for_update(no_key=True).get(pk=merchant.pk)  # serialises the choice of a slot
    feed.lock_cursor()  # no event falls between the endpoint and the fan-out
    taken = set(
        Endpoint.objects.filter(merchant=merchant, livemode=livemode, deleted_at=None).values_list("slot", flat=True)
    )
    free = [slot for slot in range(1, MAX_ENDPOINTS + 1) if slot not in taken]
    if not free:
        raise LimitExceeded(
            "You have %(limit)s webhook endpoints, which is the maximum; delete one first.",
            params={"limit": MAX_ENDPOINTS},
        )
    endpoint = new_instance(
        Endpoint,
        merchant=merchant,
        livemode=livemode,
        slot=free[0],
        url=wanted.url,
        events=list(wanted.events),
        description=wanted.description,
        api_version=wanted.api_version or settings.API_VERSION,
        ordered=wanted.ordered,
        metadata=dict(wanted.metadata),
        starts_after=COUNTER.last(),
    )
    secret = wanted.secret or signing.new_secret()
    with joined() as writes:
        writes.insert(endpoint)
        writes.insert_new(EndpointSecret, endpoint=endpoint, secret=secret)
    return endpoint, secret


@transaction_required
def update(pk: int, changes: Mapping[str, Any]) -> Endpoint:
    """Change fields of an endpoint; ``status`` may become ``active`` or ``disabled``.

    A new URL starts with a clean record: a failing endpoint recovers, a paused one is probed at once. An enabled
    endpoint receives events from now on. Raises ``NotFound`` for a deleted one, ``IllegalTransition`` for a status that
    it cannot be given.
    """
    feed.lock_cursor()
    endpoint = lock(pk)
    fields = dict(changes)
    status = fields.pop("status", endpoint.status)
    if fields.get("url", endpoint.url) != endpoint.url:
        endpoint.failures, endpoint.failing_since, endpoint.throttle, endpoint.hold_until = 0, None, 0, None
        if status == Endpoint.Status.FAILING:
            status = Endpoint.Status.ACTIVE
        elif status == Endpoint.Status.PAUSED:
            endpoint.probe_at = clock.now()
    if fields.get("ordered", endpoint.ordered) != endpoint.ordered:
        _requeue(endpoint, ordered=fields["ordered"])
    for name, value in fields.items():
        setattr(endpoint, name, value)
    before = endpoint.status
    announced = _set_status(endpoint, status) if status != before else ""
    endpoint.save()
    if announced:
        health.announce(endpoint, before, announced)
    return endpoint


@transaction_required
def delete(pk: int) -> None:
    """Delete an endpoint: what waits is cancelled, its history stays for a while. Raises ``NotFound``."""
    endpoint = lock(pk)
    if endpoint.status != Endpoint.Status.DISABLED:
        endpoint.disable(Endpoint.DisabledReason.MERCHANT)
    endpoint.settling = True
    endpoint.deleted_at = clock.now()
    endpoint.save()
    EndpointSecret.objects.filter(endpoint=endpoint).delete()


@transaction_required
def rotate_secret(pk: int, *, secret: str = "") -> tuple[Endpoint, str]:
    """Give an endpoint a new secret (``secret`` or a random one); the present one keeps signing for ``OVERLAP``.

    Raises ``LimitExceeded`` if ``MAX_SECRETS`` would sign at the same time, ``NotFound``.
    """
    endpoint = lock(pk)
    now = clock.now()
    rows = EndpointSecret.objects.filter(endpoint=endpoint)
    if rows.exclude(expires_at__lte=now).count() >= MAX_SECRETS:
        raise LimitExceeded(
            "The endpoint has %(limit)s valid secrets, which is the maximum; rotate again when the oldest has expired.",
            params={"limit": MAX_SECRETS},
        )
    new = secret or signing.new_secret()

    def write() -> None:
        rows.filter(expires_at=None).update(expires_at=now + OVERLAP)
        EndpointSecret.objects.create(endpoint=endpoint, secret=new)

    in_unit(write)
    return endpoint, new


@transaction_required
def send_test(pk: int) -> Delivery:
    """Send an event ``webhook_endpoint.test`` to this endpoint only, also if it is paused.

    Raises ``NotFound``, and ``IllegalTransition`` if it is disabled.
    """
    endpoint = lock(pk)
    refuse_disabled(endpoint)
    made: Event = event.record(
        endpoint.merchant, livemode=endpoint.livemode, type=TEST, obj=endpoint_resource(endpoint)
    )
    delivery = Delivery(
        endpoint=endpoint, event=made, kind=Delivery.Kind.TEST, manual=True, next_attempt_at=clock.now()
    )

    def write() -> None:
        made.refresh_from_db(fields=["sequence"])
        delivery.event = made
        delivery.save(force_insert=True)

    in_unit(write)
    return delivery


def in_unit(write: Callable[[], None]) -> None:
    """Write at the end of the open unit of work, and not for a repeated request; without a unit at once."""
    unit = open_unit()
    if unit is None:
        write()
    else:
        unit.after_write(write)


def refuse_disabled(endpoint: Endpoint) -> None:
    """Raise ``IllegalTransition`` if nothing is delivered to the endpoint."""
    if endpoint.status == Endpoint.Status.DISABLED:
        raise IllegalTransition("This endpoint is disabled; enable it first.")


@transaction_required
def lock(pk: int) -> Endpoint:
    """The endpoint, locked. Raises ``NotFound`` if it is deleted."""
    endpoint = feed.lock_endpoints({pk}).get(pk)
    if endpoint is None or endpoint.deleted_at is not None:
        raise NotFound
    return endpoint


def forget_expired_secrets() -> int:
    """Delete secrets that no longer sign; returns their number."""
    return EndpointSecret.objects.filter(Q(expires_at__lte=clock.now())).delete()[0]


def _set_status(endpoint: Endpoint, status: str) -> str:
    """Enable or disable; returns the type of the event that tells of it, "" for none."""
    if status == Endpoint.Status.DISABLED:
        endpoint.disable(Endpoint.DisabledReason.MERCHANT)
        return "webhook_endpoint.disabled"
    if endpoint.status == Endpoint.Status.DISABLED:
        if endpoint.settling:
            raise IllegalTransition("Deliveries of this endpoint are still being cancelled; try again in a moment.")
        endpoint.enable(starts_after=COUNTER.last())
        return ""
    endpoint.failures, endpoint.failing_since, endpoint.throttle, endpoint.hold_until = 0, None, 0, None
    endpoint.recover()  # the merchant says that it works again
    return "webhook_endpoint.recovered"


def _requeue(endpoint: Endpoint, *, ordered: bool) -> None:
    """Let waiting deliveries follow a change of ``ordered``.

    An attempt in flight that began outside of a queue stays outside: its result would not release the next delivery.
    """
    rows = Delivery.objects.filter(endpoint=endpoint, status__in=["pending", "paused"], kind=Delivery.Kind.FEED)
    now = clock.now()
    if not ordered:
        rows.filter(status="pending", next_attempt_at=None).update(next_attempt_at=now, queue="")
        rows.exclude(queue="").update(queue="")
        return
    feed.release({(endpoint.pk, queue) for (queue,) in fetch(_QUEUE, [endpoint.pk])}, now)
