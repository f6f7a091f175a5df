"""The inbox: every authentic notice is stored, applied once, and answered the same however often it is sent.

What needs no look at what is stored is stored, settled, by one statement. Everything else is one transaction of two
exchanges: the first finds the notice if it is known, else locks what it is about; the second writes the notice and its
effect, and commits. Of two that look at once, the second is refused by a unique key, and looks again.
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
"""Overtaken once, the second look finds whatever overtook; more often only where rows come and go."""

_MAX_RECENT = 10_000
_recent: set[tuple[int, str]] = set()
"""Notices that came to this process lately. A hint where to look first, and no more: what is stored decides."""

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
    """Store and apply one authentic notice; the answer stands for a committed transaction.

    A repetition of what is settled gets the first answer and changes nothing. One of what still waits for the worker is
    tried at once, and changes nothing if that fails. A notice with a known id that would book something else is
    kept beside the first as a conflict. If applying fails unexpectedly, its effect is rolled back, the notice is kept
    for another try, and the error is raised: the provider hears 5xx and sends it again.
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
    """The stored answer, by one statement without a transaction, if it is likely to be there: this process gave it."""
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
    """The answer, if nothing in what is stored stands against the notice; else None, and nothing was written."""
    event = incoming.event(digest=digest, **_identity(notice))
    return group_commit.submit(QueuedNotice(incoming, notice, dialect, event, applying.decide(event, notice, dialect)))


def _individually(incoming: IncomingNotice, notice: ParsedNotice, dialect: Dialect, digest: str) -> NoticeResponse:
    """Raises ``Overtaken``, and writes nothing, if the same notice or the same money is stored in this moment."""
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
    """A known id: the answer that is stored, another try of what is still open, or a conflict beside it."""
    if known.body_sha256 != digest:
        stored = _stored_notice(known)
        if stored is None or stored.effect != notice.effect:
            return _handle_contradiction(incoming, notice, dialect, digest)
        notice = stored  # what is applied is what is stored
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
    """What the stored bytes say, which may have come by another way than these; None once they were dropped."""
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
    """Store the notice although applying it failed, in a transaction of its own."""
    with transaction.atomic():
        event = incoming.event(digest=digest, **_identity(notice))
        known = insert(incoming, event)
        applying.fail(event.pk if known is None else known.pk, error, applying.notice_origin(incoming.account))
