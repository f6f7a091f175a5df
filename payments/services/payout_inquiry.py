"""Inquiries to the provider about payouts with an unknown outcome or without a notice.

An inquiry follows after 15 s, 1 m, 5 m, 15 m, 1 h, 3 h, then every hour for a day and once a day
(``settings.PAYOUT_INQUIRIES``). From three payouts of one operating day on, one list answers for all of them.
"Not found" is a failure only after the window, with two equal answers, and if the closed day's list lacks the order.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from core import calendar, clock
from core.db import transaction_forbidden
from core.errors import ProviderError, ProviderNotContacted
from core.state import Origin, TransitionRow
from core.unit_of_work import joined
from payments.models import Payout, ProviderAccount
from payments.providers.payout import OrderState
from payments.services import payout_outcome, provider_client
from payments.services.payout import lock, order_of
from payments.services.provider_account import company_accounts

logger = logging.getLogger(__name__)

LIST_FROM = 3
"""The number of payouts of one operating day from which on its list is read instead of each order."""
BATCH = 1_000
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_CLAIM_QUESTIONS = 6
"""The maximum number of inquiries about a final payout after a notice that would change it."""
_ASKED = ("inquiries", "next_attempt_at", "not_found_at")


@transaction_forbidden
def ask_due() -> int:
    """Inquire about every payout that is due; return the number of payouts that changed."""
    states = Payout.Status
    asked = Q(status=states.PROCESSING, send_outcome__in=["accepted", "unknown"]) | Q(
        status__in=[states.COMPLETED, states.RETURNED, states.FAILED, states.CANCELLED, states.REJECTED]
    )
    due = Payout.objects.filter(asked, next_attempt_at__lte=clock.now(), operating_date__isnull=False)
    # Unknown outcomes first: they can be resolved in no other way.
    rows = due.select_related("provider_account").order_by("-delayed", "next_attempt_at")[:BATCH]
    groups: dict[tuple[int, date], list[Payout]] = defaultdict(list)
    for payout in rows:
        if payout.operating_date is not None:
            groups[company_accounts(payout.provider_account)[0].pk, payout.operating_date].append(payout)
    return sum(_ask_about(payouts, day) for (_account, day), payouts in groups.items())


@transaction_forbidden
def find_in_list(payout: Payout) -> OrderState | None:
    """The payout's order in the complete list of its operating day; None if that lacks it. Raises ``ProviderError``."""
    if payout.operating_date is None:
        return None
    return _listed(payout.provider_account, payout.operating_date).get(payout.tracking_key)


def apply(payout_id: int, order: OrderState) -> bool:
    """Apply the provider's state of the order to the payout. False if nothing changes."""
    with transaction.atomic():
        payout = lock(payout_id)
        payout.provider_account = ProviderAccount.objects.get(pk=payout.provider_account_id)
        _schedule_next(payout)
        if order.is_of(order_of(payout)):
            changed = payout_outcome.follow(payout, order, origin=_origin(payout))
        else:
            changed = payout_outcome.set_aside(payout, "order_differs", origin=_origin(payout))
        if not changed:  # the inquiry still counts, or it would be due for ever and use up the quota
            with joined() as writes:
                writes.update(payout, "order_id", *_ASKED)
        return changed


def _ask_about(payouts: Sequence[Payout], day: date) -> int:
    account = payouts[0].provider_account
    if not provider_client.can_connect(account):
        return 0
    if len(payouts) >= LIST_FROM:
        try:
            listed = _listed(account, day)
        except ProviderError as error:
            return _no_answer(payouts, error)
        return sum(_take(payout, listed.get(payout.tracking_key), in_list=True) for payout in payouts)
    changed = 0
    for payout in payouts:
        client = provider_client.connect_for_payouts(account, about=payout.public_id)
        try:
            order = client.find_sent(payout.tracking_key, day, today=calendar.operating_date(clock.now()))
        except ProviderError as error:
            changed += _no_answer([payout], error)
        else:
            changed += _take(payout, order, in_list=False)
    return changed


def _listed(account: ProviderAccount, day: date) -> dict[str, OrderState]:
    client = provider_client.connect_for_payouts(account)
    pages = client.list_sent(day, today=calendar.operating_date(clock.now()))
    return {order.tracking_key: order for page in pages for order in page}


def _take(payout: Payout, order: OrderState | None, *, in_list: bool) -> int:
    if order is not None:
        return apply(payout.pk, order)
    return _not_found(payout.pk, in_list=in_list)


def _not_found(payout_id: int, *, in_list: bool) -> int:
    """The provider has no such order: accepted as final after the window, if the closed day's list lacks it."""
    now = clock.now()
    with transaction.atomic():
        payout = lock(payout_id)
        first = payout.not_found_at
        payout.not_found_at = first or now
        _schedule_next(payout)
        with joined() as writes:
            writes.update(payout, *_ASKED)
        believed = (
            payout.status == Payout.Status.PROCESSING
            and first is not None
            and now - first >= settings.PAYOUT_NOT_FOUND_APART
            and payout.send_started_at is not None
            and now - payout.send_started_at >= settings.PAYOUT_NOT_FOUND_WINDOW
            and payout.operating_date is not None
            and payout.operating_date < calendar.operating_date(now)
        )
    if not believed:
        return 0
    if not in_list:
        payout = Payout.objects.select_related("provider_account").get(pk=payout_id)
        try:
            order = find_in_list(payout)
        except ProviderError as error:
            return _no_answer([payout], error)
        if order is not None:
            return apply(payout_id, order)
    with transaction.atomic():
        payout = lock(payout_id)
        if payout.not_found_at is None:
            return 0
        return payout_outcome.fail(
            payout,
            code="not_executed",
            message=_("The provider never carried it out."),
            origin=_origin(payout),
        )


def _no_answer(payouts: Sequence[Payout], error: ProviderError) -> int:
    """An inquiry without an answer proves nothing about the order: it is repeated."""
    logger.warning("payouts could not be asked about", extra={"count": len(payouts), "why": str(error)})
    for payout in payouts:
        with transaction.atomic():
            locked = lock(payout.pk)
            if isinstance(error, ProviderNotContacted):  # does not count as an inquiry
                locked.next_attempt_at = clock.now() + timedelta(minutes=1)
            else:
                _schedule_next(locked)
            with joined() as writes:
                writes.update(locked, "inquiries", "next_attempt_at")
    return 0


def _schedule_next(payout: Payout) -> None:
    """Count an inquiry and return when the next one is due; None for a final payout at its maximum."""
    payout.inquiries += 1
    now, plan = clock.now(), settings.PAYOUT_INQUIRIES
    if payout.status != Payout.Status.PROCESSING and payout.inquiries >= _CLAIM_QUESTIONS:
        payout.next_attempt_at = None
        return
    since: datetime = payout.send_started_at or now
    if payout.inquiries < len(plan):
        payout.next_attempt_at = now + plan[payout.inquiries]
    else:
        payout.next_attempt_at = now + (_HOUR if now - since < _DAY else _DAY)


def _origin(payout: Payout) -> Origin:
    return Origin(TransitionRow.Cause.WORKER, "inquiry", payout.order_id or payout.tracking_key)
