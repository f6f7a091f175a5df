"""The inbox: every authentic notice is stored and applied once, and every repetition gets the same response.

A notice whose outcome does not depend on stored data is stored by one statement. Any other notice takes a transaction
of two round trips: the first finds the notice if it is stored already, else locks its target; the second writes the
notice and its effect, and commits. Of two equal notices in flight, a unique key refuses the second, which starts over.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db import OperationalError, transaction

from core import clock
from core.unit_of_work import joined, unit_of_work
from payments.models import ProviderAccount
from payments.services import notice as notice_service
from webhooks.inbound.models import Channel, ProviderEvent
from webhooks.inbound.services import applying, group_commit
from webhooks.inbound.services.applying import NoticeResponse
from webhooks.inbound.services.dialect import (
    DIALECTS,
    Dialect,
    ParsedNotice,
    Unreadable,
    channel_of,
    first_channel,
    read,
)
from webhooks.inbound.services.group_commit import QueuedNotice
from webhooks.inbound.services.store import IncomingNotice, StoredNotice, add_insert, find_or_lock, insert

__all__ = ["NoticeResponse", "receive"]

_ATTEMPTS = 3
"""The second attempt finds the row that overtook the first; further ones are a safety margin."""

_MAX_RECENT = 10_000
_recent: set[tuple[int, str]] = set()
"""Recent notices of this process: a hint that a notice may be a repetition. The stored row decides."""

MAX_BUSINESS_KEY_LENGTH = 64

ANOTHER = "another notice with this id said something else"


def receive(
    account: ProviderAccount,
    raw: bytes,
    *,
    remote_address: str | None,
    channel: Channel | None = None,
    headers: Mapping[str, str] | None = None,
    key_id: str = "",
) -> NoticeResponse:
    """Store and apply one authentic notice; returns after the transaction is committed.

    A repetition of a settled notice gets the first response and changes nothing. A repetition of one that waits for the
    worker is applied at once, and changes nothing if that fails. A notice with a known id but another effect is stored
    separately as a conflict. If applying fails unexpectedly, the effect is rolled back, the notice is stored for a
    retry, and the error is raised: the provider gets a 5xx response and sends it again.
    """
    channel = channel or first_channel(account)
    incoming = IncomingNotice(account, channel, raw, clock.now(), remote_address, headers or {}, key_id)
    dialect, digest = DIALECTS[channel], incoming.digest
    notice = read(dialect, raw, incoming.received_at, digest)
    try:
        answer = _response_to_recent(incoming, notice, digest) or _in_group(incoming, notice, dialect, digest)
        if answer is not None:
            return answer
        for _ in range(_ATTEMPTS):
            try:
                return _individually(incoming, notice, dialect, digest)
            except notice_service.Overtaken as overtaken:
                busy = overtaken
        raise busy
    except OperationalError:
        raise
    except Exception as error:
        _keep_for_retry(incoming, notice, digest, error)
        raise


def _response_to_recent(incoming: IncomingNotice, notice: ParsedNotice, digest: str) -> NoticeResponse | None:
    """The stored response of a notice that this process received recently, by one statement without a transaction."""
    key = incoming.account.pk, notice.event_id
    if key not in _recent:
        if len(_recent) >= _MAX_RECENT:
            _recent.clear()
        _recent.add(key)
        return None
    known, _ = find_or_lock(incoming.account.pk, notice.event_id, None)
    if known is None or not known.is_settled or known.body_sha256 != digest:
        return None
    return applying.stored_response(known, repeated=True)


def _in_group(incoming: IncomingNotice, notice: ParsedNotice, dialect: Dialect, digest: str) -> NoticeResponse | None:
    """The response of a group commit; None if the notice must be processed individually, and nothing was written."""
    event = incoming.event(digest=digest, **_identity(notice))
    return group_commit.submit(QueuedNotice(incoming, notice, dialect, event, applying.decide(event, notice, dialect)))


def _individually(incoming: IncomingNotice, notice: ParsedNotice, dialect: Dialect, digest: str) -> NoticeResponse:
    """Raises ``Overtaken``, and writes nothing, if the same notice or money is stored concurrently."""
    event = incoming.event(digest=digest, **_identity(notice))
    answer = applying.decide(event, notice, dialect)
    if answer is not None:  # one statement, no transaction
        known = insert(incoming, event)
        if known is None:
            return answer
        if known.is_settled and known.body_sha256 == digest:
            return applying.stored_response(known, repeated=True)
    with unit_of_work():
        query = None if isinstance(notice, Unreadable) else notice_service.lock_query(incoming.account, notice)
        known, row = find_or_lock(incoming.account.pk, event.event_id, query)
        if known is not None:
            return _handle_known(known, incoming, notice, dialect, digest)
        origin = applying.notice_origin(incoming.account)
        target = None
        if query is not None and not isinstance(notice, Unreadable):
            target = notice_service.parse_target(notice, row)
        return applying.apply(event, notice, dialect, origin, target=target, incoming=incoming)


def _identity(notice: ParsedNotice) -> dict[str, str]:
    return {
        "event_id": notice.event_id,
        "event_type": notice.event_type,
        "business_key": notice.business_key[:MAX_BUSINESS_KEY_LENGTH],
    }


def _handle_known(
    known: StoredNotice, incoming: IncomingNotice, notice: ParsedNotice, dialect: Dialect, digest: str
) -> NoticeResponse:
    """A stored notice: return its response, retry it if it is open, or store a conflict."""
    if known.body_sha256 != digest:
        stored = _stored_notice(known)
        if stored is None or stored.effect != notice.effect:
            return _handle_contradiction(incoming, notice, dialect, digest)
        notice = stored  # the stored notice is applied
    if known.is_settled or (isinstance(notice, Unreadable) and known.response_status is not None):
        return applying.stored_response(known, repeated=True)
    event = ProviderEvent.objects.select_for_update(of=("self",)).select_related("account").get(pk=known.pk)
    if event.is_settled:
        return applying.stored_response(event, repeated=True)
    origin = applying.notice_origin(incoming.account)
    if event.status == ProviderEvent.Status.DEAD:
        applying.reopen(event, origin, reason="sent again")
    return applying.apply(event, notice, dialect, origin)


def _stored_notice(known: StoredNotice) -> ParsedNotice | None:
    """The stored notice, which may have arrived by another channel; None after its body was dropped."""
    event = ProviderEvent.objects.select_related("account").get(pk=known.pk)
    body = event.body
    return None if body is None else read(DIALECTS[channel_of(event)], body, event.received_at, event.body_sha256)


def _handle_contradiction(
    incoming: IncomingNotice, notice: ParsedNotice, dialect: Dialect, digest: str
) -> NoticeResponse:
    identity = _identity(notice) | {"event_id": f"{notice.event_id[:140]}:{digest[:16]}"}
    event = incoming.event(digest=digest, **identity)
    known, _ = find_or_lock(incoming.account.pk, event.event_id, None)
    if known is not None:
        return applying.stored_response(known, repeated=True)
    answer = applying.contradict(event, ANOTHER, dialect)
    with joined() as writes:
        add_insert(writes, incoming, event)
    return answer


def _keep_for_retry(incoming: IncomingNotice, notice: ParsedNotice, digest: str, error: Exception) -> None:
    """Store a notice that could not be applied, in a separate transaction."""
    with transaction.atomic():
        event = incoming.event(digest=digest, **_identity(notice))
        known = insert(incoming, event)
        applying.fail(event.pk if known is None else known.pk, error, applying.notice_origin(incoming.account))
