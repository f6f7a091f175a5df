"""The inbox: every authentic notice is stored, applied once, and answered the same however often it is sent."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import OperationalError, transaction

from core import clock
from payments.models import ProviderAccount
from payments.services import notice as notice_service
from webhooks.inbound.models import Channel, ProviderEvent
from webhooks.inbound.services import applying
from webhooks.inbound.services.applying import Answer
from webhooks.inbound.services.dialect import (
    DIALECTS,
    Dialect,
    Read,
    business_key,
    channel_of,
    first_channel,
    read,
    what_it_books,
)
from webhooks.inbound.services.store import Arrival, insert

__all__ = ["Answer", "notice_service", "receive"]

ANOTHER = "another notice with this id said something else"


def receive(
    account: ProviderAccount,
    raw: bytes,
    *,
    remote_address: str | None,
    channel: Channel | None = None,
    headers: Mapping[str, str] | None = None,
    key_id: str = "",
) -> Answer:
    """Store and apply one authentic notice; the answer stands for a committed transaction.

    A repetition gets the first answer and changes nothing. A notice with a known id that would book something else is
    kept beside the first as a conflict. If applying fails unexpectedly, its effect is rolled back, the notice is kept
    for another try, and the error is raised: the provider hears 5xx and sends it again.
    """
    channel = channel or first_channel(account)
    arrival = Arrival(account, channel, raw, clock.now(), remote_address, headers or {}, key_id)
    dialect, digest = DIALECTS[channel], arrival.digest
    notice = read(dialect, raw, arrival.received_at, digest)
    try:
        with transaction.atomic():
            event, is_new = insert(arrival, digest=digest, **_identity(notice))
            if not is_new:
                return _repeat(event, arrival, notice, dialect, digest)
            return applying.apply(event, notice, dialect, applying.by_notice(account), fresh=True)
    except OperationalError:
        raise
    except Exception as error:
        _keep_for_retry(arrival, notice, digest, error)
        raise


def _identity(notice: Read) -> dict[str, str]:
    return {
        "event_id": notice.event_id,
        "event_type": notice.event_type,
        "business_key": business_key(notice),
    }


def _repeat(event: ProviderEvent, arrival: Arrival, notice: Read, dialect: Dialect, digest: str) -> Answer:
    """A known id: the answer that is stored, another try of what is still open, or a conflict beside it."""
    if event.body_sha256 != digest:
        stored = _stored_notice(event)
        if stored is None or what_it_books(stored) != what_it_books(notice):
            return _contradict(arrival, notice, dialect, digest)
        notice = stored  # what is applied is what is stored
    if event.is_settled:
        return applying.stored_answer(event, repeated=True)
    event = ProviderEvent.objects.select_for_update(of=("self",)).select_related("account").get(pk=event.pk)
    if event.is_settled:
        return applying.stored_answer(event, repeated=True)
    origin = applying.by_notice(arrival.account)
    if event.status == ProviderEvent.Status.DEAD:
        applying.reopen(event, origin, reason="sent again")
    return applying.apply(event, notice, dialect, origin)


def _stored_notice(event: ProviderEvent) -> Read | None:
    """What the stored bytes say, which may have come by another way than these; None once they were dropped."""
    body = event.body
    return None if body is None else read(DIALECTS[channel_of(event)], body, event.received_at, event.body_sha256)


def _contradict(arrival: Arrival, notice: Read, dialect: Dialect, digest: str) -> Answer:
    beside = f"{notice.event_id[:140]}:{digest[:16]}"
    identity = {**_identity(notice), "event_id": beside}
    event, is_new = insert(arrival, digest=digest, **identity)
    if not is_new:
        return applying.stored_answer(event, repeated=True)
    return applying.contradict(event, ANOTHER, dialect, applying.by_notice(arrival.account), fresh=True)


def _keep_for_retry(arrival: Arrival, notice: Read, digest: str, error: Exception) -> None:
    """Store the notice although applying it failed, in a transaction of its own."""
    with transaction.atomic():
        event, _ = insert(arrival, digest=digest, **_identity(notice))
        applying.fail(event.pk, error, applying.by_notice(arrival.account))
