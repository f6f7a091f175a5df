"""The inbox: every authentic notice is stored, applied once, and answered the same however often it is sent."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import OperationalError, transaction

from core import clock
from payments.models import ProviderAccount
from payments.providers.base import Notice, Uninteresting
from payments.providers.conekta import messages as conekta
from payments.providers.errors import UnreadableNotice
from payments.providers.stp import notices as stp
from payments.services import notice as notice_service
from webhooks.inbound.models import ProviderEvent

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of notice is read and what its provider wants to hear."""

    parse: Callable[..., Notice]
    confirm: dict[str, Any]
    refuse_status: int
    refuse: dict[str, Any]


STP_DEPOSIT = Dialect(stp.parse_deposit, stp.CONFIRM, 400, stp.refuse(stp.MISSING_INFORMATION))
CONEKTA_EVENT = Dialect(conekta.parse_event, {"received": True}, 200, {"received": True})

_DIALECTS = {ProviderAccount.Provider.STP: STP_DEPOSIT, ProviderAccount.Provider.CONEKTA: CONEKTA_EVENT}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider is told. ``repeated`` if it had been told before."""

    status: int
    body: dict[str, Any]
    repeated: bool = False


def receive(account: ProviderAccount, raw: bytes, *, remote_address: str | None) -> Answer:
    """Store and apply one authentic notice; the answer stands for a committed transaction.

    A repetition gets the first answer and changes nothing. If applying fails unexpectedly, its effect is rolled back,
    the notice is kept for another try, and the error is raised: the provider hears 5xx and sends it again.
    """
    dialect = _DIALECTS[ProviderAccount.Provider(account.provider)]
    received_at = clock.now()
    digest = hashlib.sha256(raw).hexdigest()
    notice, unreadable = _parse(dialect, raw, received_at, digest)
    try:
        with transaction.atomic():
            event = _store(account, notice, raw, digest, remote_address, received_at)
            if event.body_sha256 != digest:
                logger.warning("a known notice came with another body", extra={"provider_event": event.public_id})
            if event.is_settled:
                return _answer(event, repeated=True)
            if event.body_sha256 != digest:  # what is applied is what is stored
                notice, unreadable = _parse(dialect, bytes(event.body), event.received_at, event.body_sha256)
            return _apply(event, account, notice, dialect, unreadable)
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
        notice, unreadable = _parse(dialect, bytes(event.body), event.received_at, event.body_sha256)
        _apply(event, event.account, notice, dialect, unreadable)
        return True


def _parse(dialect: Dialect, raw: bytes, received_at: datetime, digest: str) -> tuple[Notice, bool]:
    try:
        return dialect.parse(raw, received_at=received_at), False
    except UnreadableNotice as error:
        return Uninteresting(f"sha256:{digest}", "unreadable", error.message), True


def _store(
    account: ProviderAccount,
    notice: Notice,
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
                event_id=notice.event_id,
                event_type=notice.event_type[:64],
                body=raw,
                body_sha256=digest,
                remote_address=remote_address,
                received_at=received_at,
            )
        ],
        ignore_conflicts=True,
    )
    return ProviderEvent.objects.select_for_update().get(account=account, event_id=notice.event_id)


def _apply(
    event: ProviderEvent, account: ProviderAccount, notice: Notice, dialect: Dialect, unreadable: bool
) -> Answer:
    outcome = notice_service.apply(account, notice, event_id=event.public_id)
    settle = event.process if outcome.applied else event.ignore
    settle(reason=outcome.reason, object_id=outcome.object_id)
    event.response_status = dialect.refuse_status if unreadable else 200
    event.response_body = dialect.refuse if unreadable else dialect.confirm
    event.save(
        update_fields=[
            "status",
            "attempts",
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
    notice: Notice,
    raw: bytes,
    digest: str,
    remote_address: str | None,
    received_at: datetime,
    error: Exception,
) -> None:
    """Store the notice although applying it failed, in a transaction of its own."""
    with transaction.atomic():
        event = _store(account, notice, raw, digest, remote_address, received_at)
    _fail(event.pk, error)


@transaction.atomic
def _fail(event_pk: int, error: Exception) -> None:
    event = ProviderEvent.objects.select_for_update().get(pk=event_pk)
    logger.error("a provider's notice could not be applied", exc_info=error, extra={"provider_event": event.public_id})
    if not event.is_settled:
        event.fail(error=type(error).__name__)
        event.save(update_fields=["status", "attempts", "last_error"])
