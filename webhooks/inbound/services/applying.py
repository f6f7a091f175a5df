"""Applying a notice: on arrival, on repetition, by the worker or by staff. The caller has locked its row."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import OperationalError, transaction

from core import clock
from core.backoff import backoff
from core.db import transaction_required
from core.errors import FieldError, IllegalTransition, InvalidRequest
from core.state import Origin, TransitionRow
from core.unit_of_work import joined, separately
from core.writes import Writes
from payments.providers.stp import notices as stp
from payments.services import notice as notice_service
from payments.services.notice import NoticeTarget, Outcome
from webhooks.inbound.models import ProviderEvent, ProviderEventTransition
from webhooks.inbound.services.dialect import Dialect, ParsedNotice, Unreadable
from webhooks.inbound.services.store import IncomingNotice, StoredNotice, add_insert

logger = logging.getLogger(__name__)

_SETTLED = [
    "status",
    "attempts",
    "last_error",
    "reason",
    "object_id",
    "processed_at",
    "response_status",
    "response_body",
    "next_at",
]


class NoContradiction(IllegalTransition):
    """This notice is not in conflict, or its conflict has been resolved already."""


@dataclass(frozen=True, slots=True)
class NoticeResponse:
    """The response to the provider. ``repeated``: it was sent before."""

    status: int
    body: dict[str, Any]
    repeated: bool = False


@transaction_required
def apply(
    event: ProviderEvent,
    notice: ParsedNotice,
    dialect: Dialect,
    origin: Origin,
    *,
    target: NoticeTarget[Any] | None = None,
    incoming: IncomingNotice | None = None,
) -> NoticeResponse:
    """Apply the notice and settle its row.

    ``incoming`` is given for a notice that is not stored yet: its row and its effect join the caller's unit of work.
    ``target`` is its target, if that is locked already. If the target does not exist yet, the notice is retried later:
    it may have overtaken the response to our own request.
    """
    with _writing(event, origin, incoming):
        if isinstance(notice, Unreadable):
            return _settle_unreadable(event, notice, dialect, by_worker=_is_worker(origin))
        outcome = notice_service.apply(event.account, notice, event_id=event.public_id, target=target)
        return _settle(event, outcome, dialect, by_worker=_is_worker(origin))


def decide(event: ProviderEvent, notice: ParsedNotice, dialect: Dialect) -> NoticeResponse | None:
    """Settle a row that is not stored yet, if its outcome does not depend on stored data; else None."""
    if isinstance(notice, Unreadable):
        return None
    outcome = notice_service.early_outcome(event.account, notice)
    return None if outcome is None else _settle(event, outcome, dialect)


@transaction_required
def contradict(event: ProviderEvent, reason: str, dialect: Dialect) -> NoticeResponse:
    """Settle a row that is not stored yet as a conflict: nothing is booked, and money is sent back where possible."""
    return _conflict(event, reason, "", dialect)


def stored_response(event: ProviderEvent | StoredNotice, *, repeated: bool = False) -> NoticeResponse:
    """The stored response, with sorted keys: the same bytes each time."""
    return NoticeResponse(event.response_status or 200, dict(sorted(event.response_body.items())), repeated)


@transaction.atomic
def fail(event_pk: int, error: Exception | str, origin: Origin) -> None:
    """Record a failed attempt that was rolled back: the worker retries later, or gives up after its last attempt.

    A failed repetition of a notice that waits already changes nothing. An error of the database connection never counts
    as the last attempt, because it has nothing to do with the notice.
    """
    event = ProviderEvent.objects.select_for_update().get(pk=event_pk)
    cause = error if isinstance(error, Exception) else None
    logger.error("a provider's notice could not be applied", exc_info=cause, extra={"provider_event": event.public_id})
    if event.is_settled or event.status == ProviderEvent.Status.DEAD:
        return
    passing = isinstance(error, OperationalError)
    with _writing(event, origin):
        _retry_or_give_up(
            event,
            error if isinstance(error, str) else type(error).__name__,
            by_worker=_is_worker(origin),
            may_give_up=not passing,
        )


@transaction_required
def reopen(event: ProviderEvent, origin: Origin, *, reason: str) -> None:
    """Reopen an ignored, conflicting, resolved or dead notice; the row must be locked."""
    before, why = event.status, event.reason or event.last_error
    event.reopen(next_at=clock.now())
    with separately() as writes:  # applying it afterwards changes the row again
        writes.update(event, *_SETTLED)
        _record_transition(event, before, origin, f"{reason} ← {why}" if why else reason, writes)


@transaction.atomic
def resolve(event_pk: int, *, origin: Origin, reason: str) -> None:
    """Mark a conflict as resolved by a person; nothing is booked by this.

    Raises ``NoContradiction``, and ``InvalidRequest`` without a reason.
    """
    if not reason.strip():
        raise InvalidRequest("Enter a reason.", errors=[FieldError("reason", "required", "Enter a reason.")])
    event = ProviderEvent.objects.select_for_update().get(pk=event_pk)
    if event.status != ProviderEvent.Status.CONFLICT:
        raise NoContradiction
    before = event.status
    event.resolve()
    with joined() as writes:
        writes.update(event, "status")
        _record_transition(event, before, origin, reason, writes)


def _settle(event: ProviderEvent, outcome: Outcome, dialect: Dialect, *, by_worker: bool = False) -> NoticeResponse:
    if outcome.reason.startswith(notice_service.CONFLICT):
        return _conflict(event, outcome.reason, outcome.object_id, dialect)
    if outcome.wait and not _is_last_try(event, by_worker=by_worker):
        _postpone(event, outcome.reason, by_worker=by_worker)
    else:
        settle = event.process if outcome.applied else event.ignore
        settle(reason=outcome.reason, object_id=outcome.object_id)
    return _respond(event, 200, dialect.confirm)


def _settle_unreadable(
    event: ProviderEvent, notice: Unreadable, dialect: Dialect, *, by_worker: bool
) -> NoticeResponse:
    """Send the money of an unreadable notice back if the provider supports that, else retry it later."""
    if dialect.give_back is not None:
        event.ignore(reason=f"unreadable: {notice.fault}", object_id="")
        return _respond(event, settings.STP_REFUSAL_STATUS, dialect.give_back(stp.MISSING_INFORMATION))
    _retry_or_give_up(event, f"unreadable: {notice.fault}", by_worker=by_worker)
    return _respond(event, 200, dialect.confirm)


def _conflict(event: ProviderEvent, reason: str, object_id: str, dialect: Dialect) -> NoticeResponse:
    logger.warning("a notice contradicts what is stored", extra={"provider_event": event.public_id, "why": reason})
    event.contradict(reason=reason, object_id=object_id)
    if dialect.give_back is not None:
        return _respond(event, settings.STP_REFUSAL_STATUS, dialect.give_back(stp.REPEATED_TRACKING_KEY))
    return _respond(event, 200, dialect.confirm)


def _respond(event: ProviderEvent, status: int, body: dict[str, Any]) -> NoticeResponse:
    """The first response stays; a later outcome of the notice does not change it."""
    if event.response_status is None:
        event.response_status = status
        event.response_body = body
    return stored_response(event)


def _retry_or_give_up(event: ProviderEvent, error: str, *, by_worker: bool, may_give_up: bool = True) -> None:
    if not may_give_up or not _is_last_try(event, by_worker=by_worker):
        _postpone(event, error, by_worker=by_worker)
        return
    event.give_up(error=error, counts=by_worker)
    logger.error("a provider's notice was given up", extra={"provider_event": event.public_id, "tries": event.attempts})


def _is_worker(origin: Origin) -> bool:
    return origin.cause == TransitionRow.Cause.WORKER


def _is_last_try(event: ProviderEvent, *, by_worker: bool) -> bool:
    """Only attempts of the worker count, not the arrival or repetitions."""
    return event.attempts + by_worker >= settings.INBOX_TRIES


def _postpone(event: ProviderEvent, error: str, *, by_worker: bool) -> None:
    """Schedule a retry by the worker. A repetition or a replay does not move a retry that is scheduled already."""
    if by_worker or event.status == ProviderEvent.Status.RECEIVED:
        event.postpone(error=error, next_at=_next_try(event.attempts + by_worker), counts=by_worker)


def _next_try(tries: int) -> datetime:
    """2, 4, 8 … seconds from now, at most an hour, with 20 % jitter to spread a backlog."""
    return clock.now() + backoff(tries, first=settings.INBOX_RETRY_FIRST, most=settings.INBOX_RETRY_MOST, jitter=0.2)


@contextmanager
def _writing(event: ProviderEvent, origin: Origin, incoming: IncomingNotice | None = None) -> Iterator[None]:
    """Write the effect, the row and a transition row of the notice by one statement at the end of the block.

    A notice that is settled when it is inserted gets no transition row. A stored row that did not change is not
    written.
    """
    before, unchanged = event.status, _fields(event)
    with joined() as writes:
        yield
        if incoming is None and _fields(event) == unchanged:
            return
        if incoming is None:
            writes.update(event, *_SETTLED)
        else:
            add_insert(writes, incoming, event)
        if incoming is None or not event.is_settled:
            _record_transition(event, before, origin, event.reason if event.is_settled else event.last_error, writes)


def _fields(event: ProviderEvent) -> list[Any]:
    return [getattr(event, name) for name in _SETTLED]


def _record_transition(event: ProviderEvent, before: str, origin: Origin, reason: str, writes: Writes) -> None:
    writes.insert(
        ProviderEventTransition(
            event=event,
            from_status=before,
            to_status=event.status,
            cause=origin.cause,
            actor=origin.actor,
            reference=origin.reference,
            reason=reason[:500],
        )
    )


def notice_origin(event_or_account: Any) -> Origin:
    """The provider's account as the origin of a change."""
    account = getattr(event_or_account, "account", event_or_account)
    return Origin(TransitionRow.Cause.NOTICE, account.public_id)


WORKER_ORIGIN = Origin(TransitionRow.Cause.WORKER, "inbox")
