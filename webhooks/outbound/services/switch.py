"""Staff switches endpoints off and on."""

from __future__ import annotations

from django.db import transaction

from core.errors import IllegalTransition
from webhooks.outbound.models import Endpoint
from webhooks.outbound.services import care, feed, health
from webhooks.outbound.services import endpoint as endpoint_service


def switch_off(pk: int) -> None:
    """Disable an endpoint: what waits is cancelled, and the merchant is told by event and e-mail.

    Raises ``NotFound`` if it is deleted, ``IllegalTransition`` if it is disabled already.
    """
    with transaction.atomic():
        feed.lock_cursor()
        endpoint = endpoint_service.lock(pk)
        endpoint_service.refuse_disabled(endpoint)
        before = endpoint.status
        endpoint.disable(Endpoint.DisabledReason.STAFF)
        endpoint.save()
        health.announce(endpoint, before, "webhook_endpoint.disabled")
    care.settle(pk)


def switch_on(pk: int) -> None:
    """Make an endpoint active: a disabled one gets events from now on, a failing or paused one also what it missed.

    Raises ``NotFound`` if it is deleted, ``IllegalTransition`` if it is active or still being disabled.
    """
    with transaction.atomic():
        feed.lock_cursor()
        if endpoint_service.lock(pk).status == Endpoint.Status.ACTIVE:
            raise IllegalTransition("This endpoint is active already.")
        changed = endpoint_service.update(pk, {"status": Endpoint.Status.ACTIVE})
    if changed.settling:
        care.settle(pk)
