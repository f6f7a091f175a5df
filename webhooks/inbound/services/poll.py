"""Polling: notices that did not arrive as webhooks are requested from the providers and put into the inbox.

A lost webhook thus delays a payment by a few minutes. Notices that the inbox knows by their id are skipped; the others
take the usual path. Only the worker polls: requests to STP are signed with a key that the web process does not have.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import OperationalError
from django.db.models import F

from core import calendar, clock
from core.db import transaction_forbidden
from core.errors import ProviderError
from payments.models import ProviderAccount
from payments.providers.base import MoneyReceived
from payments.services import payout_return, provider_account, provider_client
from webhooks.inbound.models import Channel, ProviderEvent, ProviderPoll
from webhooks.inbound.services import inbox
from webhooks.inbound.services.dialect import DIALECTS, listed_channel, read

logger = logging.getLogger(__name__)

FURTHEST = timedelta(days=7)
OVERLAP = timedelta(hours=1)
"""Period that each poll requests again, because providers list some notices late."""


@transaction_forbidden
def poll_all() -> int:
    """Poll every account that accepts notices, once per company; returns how many notices were missing.

    A failure of one account does not stop the others.
    """
    heard = ProviderAccount.objects.filter(hears_notices=True).order_by("-takes_new", "pk")
    asked = dict[int, ProviderAccount]()
    for account in sorted(heard, key=provider_client.can_connect, reverse=True):
        asked.setdefault(provider_account.company_accounts(account)[0].pk, account)
    return sum(poll(account) for account in asked.values())


@transaction_forbidden
def poll(account: ProviderAccount) -> int:
    """Request the notices since the last poll, with ``OVERLAP``; returns how many were missing in the inbox."""
    now = clock.now()
    state, _ = ProviderPoll.objects.get_or_create(account=provider_account.company_accounts(account)[0])
    if not provider_client.can_connect(account):
        return 0
    since = max((state.covered_until or now - FURTHEST) - OVERLAP, now - FURTHEST)
    until = now - settings.INBOX_POLL_GRACE
    found, error = 0, ""
    try:
        for page in provider_client.connect(account).list_notices(since, today=calendar.operating_date(now)):
            found += _take(account, listed_channel(account), page, until)
    except (ProviderError, ValueError) as failed:  # ValueError: an invalid key or address
        error = str(failed)
        logger.warning("a provider could not be asked", extra={"account": account.public_id, "why": error})
    except OperationalError as busy:  # a row that is locked for long must not stop polling other providers
        error = "The database was busy; what is missing is asked for again."
        logger.warning("a provider's answer could not be taken in", exc_info=busy, extra={"account": account.public_id})
    if found:
        logger.warning("notices never came and were asked for", extra={"account": account.public_id, "count": found})
    covered = {} if error else {"covered_until": until}
    ProviderPoll.objects.filter(pk=state.pk).update(
        asked_at=now, last_error=error[:300], found=F("found") + found, **covered
    )
    return found


def _take(account: ProviderAccount, channel: Channel, page: list[bytes], until: datetime) -> int:
    """Receive the missing notices of a page. Those later than ``until`` are skipped: they may still arrive.

    Returned transfers on the page are confirmed by it.
    """
    now = clock.now()
    notices = [(raw, read(DIALECTS[channel], raw, now, hashlib.sha256(raw).hexdigest())) for raw in page]
    known = ProviderEvent.objects.filter(
        account__in=provider_account.company_accounts(account), event_id__in={notice.event_id for _, notice in notices}
    )
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
    returns = [notice.deposit_key for _, notice in notices if isinstance(notice, MoneyReceived) and notice.return_of]
    if returns:
        payout_return.confirm(account, returns)
    return taken
