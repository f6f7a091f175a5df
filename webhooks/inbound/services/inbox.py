"""The inbox: every authentic notice is stored, applied once, and answered the same however often it is sent."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import OperationalError, transaction

from core import clock
from payments.models import ProviderAccount
from payments.providers.base import MoneyReceived, Notice, OrderClosed
from payments.providers.conekta import messages as conekta
from payments.providers.errors import UnreadableNotice
from payments.providers.stp import notices as stp
from payments.services import notice as notice_service
from webhooks.inbound.models import ProviderEvent

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of notice is read and what its provider wants to hear.

    ``give_back`` builds the answer that sends the money back for a cause; None if the provider knows no such answer:
    what cannot be booked then stays open until it can. ``identify`` reads id and type of an otherwise unreadable one.
    """

    parse: Callable[..., Notice]
    confirm: dict[str, Any]
    give_back: Callable[[int], dict[str, Any]] | None
    identify: Callable[[bytes], tuple[str, str]]


STP_DEPOSIT = Dialect(stp.parse_deposit, stp.CONFIRM, stp.refuse, lambda raw: ("", ""))
CONEKTA_EVENT = Dialect(conekta.parse_event, {"received": True}, None, conekta.identify)

_DIALECTS = {ProviderAccount.Provider.STP: STP_DEPOSIT, ProviderAccount.Provider.CONEKTA: CONEKTA_EVENT}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An authentic notice that cannot be read: what is known of it, and what is wrong."""

    event_id: str
    event_type: str
    fault: str


Read = Notice | Unreadable


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider is told. ``repeated`` if it had been told before."""

    status: int
    body: dict[str, Any]
    repeated: bool = False


def receive(account: ProviderAccount, raw: bytes, *, remote_address: str | None) -> Answer:
    """Store and apply one authentic notice; the answer stands for a committed transaction.

    A repetition gets the first answer and changes nothing. A notice with a known id that would book something else is
    kept beside the first as a conflict. If applying fails unexpectedly, its effect is rolled back, the notice is kept
    for another try, and the error is raised: the provider hears 5xx and sends it again.
    """
    dialect = _DIALECTS[ProviderAccount.Provider(account.provider)]
    received_at = clock.now()
    digest = hashlib.sha256(raw).hexdigest()
    notice = _read(dialect, raw, received_at, digest)
    try:
        with transaction.atomic():
            event = _store(account, notice.event_id, notice.event_type, raw, digest, remote_address, received_at)
            if event.body_sha256 != digest:
                stored = _read(dialect, bytes(event.body), event.received_at, event.body_sha256)
                if _what_it_books(stored) != _what_it_books(notice):
                    beside = f"{notice.event_id[:140]}:{digest[:16]}"
                    event = _store(account, beside, notice.event_type, raw, digest, remote_address, received_at)
                    return _contradict(event, "another notice with this id said something else", "", dialect)
                notice = stored  # what is applied is what is stored
            if event.is_settled:
                return _answer(event, repeated=True)
            return _apply(event, account, notice, dialect)
    except OperationalError:
        raise
    except Exception as error:
        _keep_for_retry(account, notice, raw, digest, remote_address, received_at, error)
        raise


def retry_open(*, limit: int = 500) -> int:
    """Apply stored notices that are still open, the least tried first; return how many were settled.

    One that fails again stops none of the others.
    """
    settled = 0
    still_open = [ProviderEvent.Status.RECEIVED, ProviderEvent.Status.RETRY]
    rows = ProviderEvent.objects.filter(status__in=still_open).order_by("attempts", "pk")
    for pk in rows.values_list("pk", flat=True)[:limit]:
        try:
            settled += retry(pk)
        except OperationalError:
            raise
        except Exception as error:
            _fail(pk, error)
    return settled


def retry(event_pk: int) -> bool:
    """Apply a stored notice that is still open. False if it is settled already or somebody else holds it."""
    with transaction.atomic():
        event = (
            ProviderEvent.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("account")
            .filter(pk=event_pk)
            .first()
        )
        if event is None or event.is_settled:
            return False
        dialect = _DIALECTS[ProviderAccount.Provider(event.account.provider)]
        notice = _read(dialect, bytes(event.body), event.received_at, event.body_sha256)
        _apply(event, event.account, notice, dialect)
        return event.is_settled


def _read(dialect: Dialect, raw: bytes, received_at: datetime, digest: str) -> Read:
    try:
        return dialect.parse(raw, received_at=received_at)
    except UnreadableNotice as error:
        event_id, event_type = dialect.identify(raw)
        return Unreadable(event_id or f"sha256:{digest}", event_type or "unreadable", error.message)


def _what_it_books(notice: Read) -> tuple[object, ...]:
    """All of a notice that decides about money or a state. What differs beside it makes no other notice."""
    match notice:
        case MoneyReceived():
            return (
                notice.event_type,
                notice.deposit_key,
                notice.amount,
                notice.currency,
                notice.clabe,
                notice.order_id,
            )
        case OrderClosed():
            return (notice.event_type, notice.order_id)
        case _:
            return (notice.event_type,)


def _store(
    account: ProviderAccount,
    event_id: str,
    event_type: str,
    raw: bytes,
    digest: str,
    remote_address: str | None,
    received_at: datetime,
) -> ProviderEvent:
    """The inbox row of this notice, locked: inserted now, or the one that is there."""
    ProviderEvent.objects.bulk_create(
        [
            ProviderEvent(
                account=account,
                livemode=account.livemode,
                event_id=event_id,
                event_type=event_type[:64],
                body=raw,
                body_sha256=digest,
                remote_address=remote_address,
                received_at=received_at,
            )
        ],
        ignore_conflicts=True,
    )
    return ProviderEvent.objects.select_for_update().get(account=account, event_id=event_id)


def _apply(event: ProviderEvent, account: ProviderAccount, notice: Read, dialect: Dialect) -> Answer:
    if isinstance(notice, Unreadable):
        return _set_aside(event, notice, dialect)
    outcome = notice_service.apply(account, notice, event_id=event.public_id)
    if outcome.reason.startswith(notice_service.CONFLICT):
        return _contradict(event, outcome.reason, outcome.object_id, dialect)
    settle = event.process if outcome.applied else event.ignore
    settle(reason=outcome.reason, object_id=outcome.object_id)
    return _conclude(event, 200, dialect.confirm)


def _set_aside(event: ProviderEvent, notice: Unreadable, dialect: Dialect) -> Answer:
    """Unreadable: the money goes back if the provider can be told so, else the notice waits until it can be read."""
    if dialect.give_back is not None:
        event.ignore(reason=f"unreadable: {notice.fault}", object_id="")
        return _conclude(event, settings.STP_REFUSAL_STATUS, dialect.give_back(stp.MISSING_INFORMATION))
    event.fail(error=f"unreadable: {notice.fault}")
    return _conclude(event, 200, dialect.confirm)


def _contradict(event: ProviderEvent, reason: str, object_id: str, dialect: Dialect) -> Answer:
    """Nothing is booked twice or otherwise; money that can be sent back is."""
    if event.is_settled:
        return _answer(event, repeated=True)
    logger.warning("a notice contradicts what is stored", extra={"provider_event": event.public_id, "why": reason})
    event.contradict(reason=reason, object_id=object_id)
    if dialect.give_back is not None:
        return _conclude(event, settings.STP_REFUSAL_STATUS, dialect.give_back(stp.REPEATED_TRACKING_KEY))
    return _conclude(event, 200, dialect.confirm)


def _conclude(event: ProviderEvent, status: int, body: dict[str, Any]) -> Answer:
    event.response_status = status
    event.response_body = body
    event.save(
        update_fields=[
            "status",
            "attempts",
            "last_error",
            "reason",
            "object_id",
            "processed_at",
            "response_status",
            "response_body",
        ]
    )
    return _answer(event)


def _answer(event: ProviderEvent, *, repeated: bool = False) -> Answer:
    """The stored answer, the same bytes each time: the database keeps no order of keys."""
    return Answer(event.response_status or 200, dict(sorted(event.response_body.items())), repeated)


def _keep_for_retry(
    account: ProviderAccount,
    notice: Read,
    raw: bytes,
    digest: str,
    remote_address: str | None,
    received_at: datetime,
    error: Exception,
) -> None:
    """Store the notice although applying it failed, in a transaction of its own."""
    with transaction.atomic():
        event = _store(account, notice.event_id, notice.event_type, raw, digest, remote_address, received_at)
    _fail(event.pk, error)


@transaction.atomic
def _fail(event_pk: int, error: Exception) -> None:
    event = ProviderEvent.objects.select_for_update().get(pk=event_pk)
    logger.error("a provider's notice could not be applied", exc_info=error, extra={"provider_event": event.public_id})
    if not event.is_settled:
        event.fail(error=type(error).__name__)
        event.save(update_fields=["status", "attempts", "last_error"])
