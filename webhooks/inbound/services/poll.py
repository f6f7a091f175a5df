"""The safety net: what a provider says it knows is asked for and taken into the inbox like a notice.

A webhook that never came then changes nothing for the merchant but a few minutes. What the inbox knows by its id is
left alone; the rest takes the usual path. Only the worker asks: STP's questions are signed with a key that the web
process does not hold.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import OperationalError
from django.db.models import F

from core import calendar, clock
from core.db import transaction_forbidden
from core.errors import ProviderError
from payments.models import ProviderAccount
from payments.providers.conekta.client import ConektaClient
from payments.providers.stp.client import StpClient
from webhooks.inbound.models import Channel, ProviderEvent, ProviderPoll
from webhooks.inbound.services import inbox
from webhooks.inbound.services.dialect import DIALECTS, read

logger = logging.getLogger(__name__)

FURTHEST = timedelta(days=7)
OVERLAP = timedelta(hours=1)
"""Asked again each time: providers list some things late."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a provider can be asked for: the channel of what it says, and pages of raw notices since a moment."""

    channel: Channel
    pages: Iterator[list[bytes]]


@transaction_forbidden
def poll_all() -> int:
    """Ask every active account's provider; how many notices were missing. One that fails stops no other."""
    return sum(poll(account) for account in ProviderAccount.objects.filter(is_active=True).order_by("pk"))


@transaction_forbidden
def poll(account: ProviderAccount) -> int:
    """Ask for what happened since the last time, with some overlap; how many notices were missing in the inbox."""
    now = clock.now()
    state, _ = ProviderPoll.objects.get_or_create(account=account)
    since = max((state.covered_until or now - FURTHEST) - OVERLAP, now - FURTHEST)
    until = now - settings.INBOX_POLL_GRACE
    found, error = 0, ""
    try:
        source = _source(account, since)
        if source is None:
            return 0
        for page in source.pages:
            found += _take(account, source.channel, page, until)
    except (ProviderError, ValueError) as failed:  # ValueError: a key or address that no request could carry
        error = str(failed)
        logger.warning("a provider could not be asked", extra={"account": account.public_id, "why": error})
    except OperationalError as busy:  # a row that somebody holds for long: no reason not to ask the next provider
        error = "The database was busy; what is missing is asked for again."
        logger.warning("a provider's answer could not be taken in", exc_info=busy, extra={"account": account.public_id})
    if found:
        logger.warning("notices never came and were asked for", extra={"account": account.public_id, "count": found})
    covered = {} if error else {"covered_until": until}
    ProviderPoll.objects.filter(pk=state.pk).update(
        asked_at=now, last_error=error[:300], found=F("found") + found, **covered
    )
    return found


def _source(account: ProviderAccount, since: datetime) -> Source | None:
    """None if this account cannot be asked: no address, credential or signing key."""
    if not account.base_url:
        return None
    if account.provider == ProviderAccount.Provider.CONEKTA:
        key = account.credentials.get("api_key")
        if not key:
            return None
        return Source(Channel.CONEKTA_LIST, ConektaClient(key, account.base_url).list_events(since))
    pem = _signing_key(account)
    if pem is None:
        return None
    client = StpClient(account.name, pem, account.base_url, password=settings.STP_SIGNING_PASSWORD)
    now = clock.now()
    last = calendar.operating_date(now)
    return Source(Channel.STP_CONCILIATION, client.list_deposits(clock.mexico_city_date(since), last))


def _signing_key(account: ProviderAccount) -> bytes | None:
    """The account's key, from a folder that only the worker can read; None if it has none."""
    if settings.STP_SIGNING_KEYS is None:
        return None
    try:
        return bytes((settings.STP_SIGNING_KEYS / f"{account.public_id}.pem").read_bytes())
    except FileNotFoundError:
        return None


def _take(account: ProviderAccount, channel: Channel, page: list[bytes], until: datetime) -> int:
    """Take in what is missing. A notice younger than ``until`` may still come by itself."""
    now = clock.now()
    notices = [(raw, read(DIALECTS[channel], raw, now, hashlib.sha256(raw).hexdigest())) for raw in page]
    known = ProviderEvent.objects.filter(account=account, event_id__in={notice.event_id for _, notice in notices})
    known_ids = set(known.values_list("event_id", flat=True))
    taken = 0
    for raw, notice in notices:
        happened = getattr(notice, "paid_at", None)
        if notice.event_id in known_ids or (happened is not None and happened > until):
            continue
        try:
            taken += not inbox.receive(account, raw, channel=channel, remote_address=None).repeated
        except OperationalError:
            raise
        except Exception:
            logger.exception("what a provider was asked for could not be applied", extra={"event_id": notice.event_id})
            taken += 1
    return taken
