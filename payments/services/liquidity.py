"""Spendable money of an account at a provider: its last known balance, less what was sent since.

All payouts of the account share one reading: requests are limited (``payments.services.provider_quota``).
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import Q

from core import clock
from core.db import transaction_forbidden
from core.errors import ProviderError
from core.writes import fetch
from payments.models import Payout, ProviderAccount, ProviderBalance
from payments.services import provider_client
from payments.services.provider_account import company_accounts

logger = logging.getLogger(__name__)

FRESH = timedelta(minutes=5)
"""A reading is renewed when it is older than this, as long as payouts are sent."""
FRESH_WHEN_SHORT = timedelta(minutes=1)
"""… or than this, if it does not cover the next payout."""
ASK_AGAIN = timedelta(seconds=15)
"""The minimum time between a request for one account that failed and the next one."""
READING = timedelta(seconds=10)
"""The maximum duration of a request."""
USABLE = timedelta(hours=1)
"""An older reading is ignored: payouts wait."""

_SPENDABLE = """
    SELECT (b.amount - b.pending - (
        SELECT coalesce(sum(p.amount), 0) FROM payments_payout p
        WHERE p.provider_account_id = ANY($2) AND p.send_started_at >= b.read_at - interval '60 seconds'
            AND p.status NOT IN ('failed', 'rejected')
    ))::bigint
    FROM payments_providerbalance b WHERE b.account_id = $1 AND b.read_at >= $3
"""
"""An order that was sent shortly before the reading may not be in it yet, so it is counted as sent since."""


def is_fresh(account: ProviderAccount) -> bool:
    """True if the account's balance need not be read before the next payout."""
    reading = ProviderBalance.objects.filter(account=account).first()
    if reading is None or reading.read_at is None:
        return False
    age = clock.now() - reading.read_at
    return age < FRESH and (age < FRESH_WHEN_SHORT or not _is_short(account))


def is_being_read(account: ProviderAccount) -> bool:
    """True while another process reads the account's balance, and no reading is usable yet: it is worth a moment."""
    reading = ProviderBalance.objects.filter(account=account, asked_at__gt=clock.now() - READING).first()
    return reading is not None and reading.read_at != reading.asked_at and spendable(account) is None


@transaction_forbidden
def read(account: ProviderAccount) -> bool:
    """Read the balance from the provider and store it; False, and the old reading stays, without an answer.

    One process reads at a time, and not again within ``ASK_AGAIN`` after a failure.
    """
    if not provider_client.can_connect(account) or not account.ordering_clabe:
        return False
    asked_at = clock.now()
    if not _may_ask(account, asked_at):
        return False
    try:
        balance = provider_client.connect_for_payouts(account).balance(account.ordering_clabe)
    except ProviderError as error:
        logger.warning("a balance was not had", extra={"account": account.public_id, "why": str(error)})
        ProviderBalance.objects.filter(account=account, asked_at=asked_at).update(asked_at=asked_at - READING)
        return False
    ProviderBalance.objects.filter(account=account).update(
        amount=balance.amount, pending=balance.pending, read_at=asked_at
    )
    return True


def spendable(account: ProviderAccount) -> int | None:
    """Centavos that can be sent now; None if the balance is not known. Later deposits are not counted."""
    company = [a.pk for a in company_accounts(account)]
    found = fetch(_SPENDABLE, [account.pk, company, clock.now() - USABLE])
    return int(found[0][0]) if found else None


def _may_ask(account: ProviderAccount, now: datetime) -> bool:
    """Take the lease on reading; False if another process holds it."""
    _, is_first = ProviderBalance.objects.get_or_create(account=account, defaults={"asked_at": now})
    free = Q(asked_at=None) | Q(asked_at__lt=now - ASK_AGAIN - READING)
    rows = ProviderBalance.objects.filter(free, account=account)
    return is_first or bool(rows.update(asked_at=now))


def _is_short(account: ProviderAccount) -> bool:
    return Payout.objects.filter(
        provider_account=account,
        status__in=[Payout.Status.PENDING, Payout.Status.PROCESSING],
        waiting_for=Payout.WaitingFor.LIQUIDITY,
        next_attempt_at__isnull=False,
    ).exists()
