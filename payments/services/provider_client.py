"""Clients for provider accounts. Every call is recorded before and after it, outside of any transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

from django.conf import settings
from django.db import connection

from core import clock
from core.errors import ProviderNotContacted
from payments.models import ProviderAccount, ProviderCall
from payments.providers import registry
from payments.providers.base import Access, CashOrderClient, ProviderClient
from payments.providers.calls import Call, outcome_of
from payments.providers.payout import PayoutClient
from payments.services import provider_quota
from payments.services.provider_quota import Use

logger = logging.getLogger(__name__)


SEND = "send_payout"
"""Operation of the calls that send a payout."""

BeforeSend = Callable[[], None]


class TakenOver(ProviderNotContacted):
    """Another process has taken over what this one was about to send."""


def may_have_sent(payout_id: str) -> bool:
    """True unless every call that sent this payout (its public id) provably had no effect."""
    calls = ProviderCall.objects.filter(object_id=payout_id, operation=SEND)
    return calls.exclude(outcome=ProviderCall.Outcome.NOT_SENT).exists()


def can_connect(account: ProviderAccount) -> bool:
    """True if this process has the address, credentials and key for requests of the account."""
    return registry.provider(account.provider).can_connect(_access(account))


def connect(
    account: ProviderAccount, *, about: str = "", before_send: BeforeSend | None = None, use: Use = Use.KEPT
) -> ProviderClient:
    """A client of the account's provider. ``about`` is the public id of the object of its calls.

    Each request writes a ``ProviderCall`` in a separate transaction and holds no database connection while it waits.
    ``before_send`` is called after that row is committed and may raise ``ProviderNotContacted``: nothing is sent then.
    ``use`` says how urgent a request is that spends a quota.
    Raises ``ValueError`` for an invalid key or address, and for a live account at the simulators.
    """
    if account.livemode and settings.SANDBOX.url and account.base_url.startswith(settings.SANDBOX.url):
        raise ValueError("a live account must not use the simulators")
    return registry.provider(account.provider).connect(_access(account, about, before_send, use))


def connect_for_cash(account: ProviderAccount, *, about: str) -> CashOrderClient:
    """As ``connect``, for a provider whose method of payment needs orders."""
    if not registry.method_at(account.provider).needs_order:
        raise ValueError(f"{account.provider} knows no cash orders")
    return cast("CashOrderClient", connect(account, about=about))


def connect_for_payouts(
    account: ProviderAccount, *, about: str = "", before_send: BeforeSend | None = None, use: Use = Use.KEPT
) -> PayoutClient:
    """As ``connect``, for a provider that pays out. Only the worker's lane ``providers`` has its key."""
    if not registry.provider(account.provider).pays_out:
        raise ValueError(f"{account.provider} does not pay out")
    return cast("PayoutClient", connect(account, about=about, before_send=before_send, use=use))


def signing_key_faults() -> list[str]:
    """What is wrong with the signing keys that this process can read: a line for each account that cannot be called."""
    signing = [spec.name for spec in registry.PROVIDERS.values() if spec.signs]
    faults = []
    for account in ProviderAccount.objects.filter(provider__in=signing, hears_notices=True).order_by("pk"):
        try:
            if not can_connect(account):
                faults.append(f"{account.public_id}: no {account.public_id}.pem, or the account has no address")
            else:
                connect(account)
        except (OSError, ValueError) as error:
            faults.append(f"{account.public_id}: {error}")
    return faults


def _access(
    account: ProviderAccount, about: str = "", before_send: BeforeSend | None = None, use: Use = Use.KEPT
) -> Access:
    return Access(
        company=account.name,
        base_url=account.base_url,
        credentials=account.credentials,
        signing_key=_signing_key(account),
        signing_password=settings.STP_SIGNING_PASSWORD,
        record=partial(_recorded, account, about, before_send, use),
    )


def _signing_key(account: ProviderAccount) -> bytes | None:
    """The account's signing key, from a folder that only the worker can read; None if there is none."""
    if settings.STP_SIGNING_KEYS is None or not registry.provider(account.provider).signs:
        return None
    try:
        return bytes((settings.STP_SIGNING_KEYS / f"{account.public_id}.pem").read_bytes())
    except FileNotFoundError:
        return None


@contextmanager
def _recorded(
    account: ProviderAccount, about: str, before_send: BeforeSend | None, use: Use, call: Call
) -> Iterator[None]:
    """Commit the call's row, release the database connection during the call, then fill in the outcome."""
    if connection.in_atomic_block:
        raise RuntimeError("no provider is called inside a transaction")
    if call.quota and not provider_quota.spend(account, call.quota, use=use):
        raise ProviderNotContacted(f"The hour's quota of requests ({call.quota}) is spent.")
    row = ProviderCall.objects.create(
        account=account,
        livemode=account.livemode,
        operation=call.operation,
        object_id=about,
        request=call.request,
        began_at=clock.now(),
    )
    began, failure = time.monotonic(), None
    try:
        if before_send is not None:
            before_send()
        connection.close()  # back to the pool: because the call may take long
        yield
    except BaseException as error:
        failure = error
        raise
    finally:
        _fill(row, call, outcome_of(call, failure), round((time.monotonic() - began) * 1000))


def _fill(row: ProviderCall, call: Call, outcome: str, duration_ms: int) -> None:
    """Record the outcome. A database error is only logged and leaves the row open: the response matters more."""
    try:
        ProviderCall.objects.filter(pk=row.pk).update(
            outcome=outcome, status=call.status, answer=call.answer, duration_ms=duration_ms
        )
    except Exception:
        logger.exception("the outcome of a provider call was not recorded", extra={"call": row.pk, "outcome": outcome})
