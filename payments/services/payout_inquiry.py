"""Inquiries to the provider about payouts with an unknown outcome or without a notice.

An inquiry follows after 15 s, 1 m, 5 m, 15 m, 1 h, 3 h, then every hour for a day and once a day
(``settings.PAYOUT_INQUIRIES``). From three payouts of one operating day on, one list answers for all of them.
"Not found" is a failure only after the window, with two equal answers, and if the closed day's list lacks the order.

What a notice claims (``Payout.claim``) is asked about at once. If the answer does not confirm it, the same intervals
follow, six inquiries in all: the answer may lag behind the notice, and a forged notice must not use up the quota.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Q, Value, When
from django.utils.translation import gettext as _

from core import calendar, clock, jobs
from core.db import transaction_forbidden, transaction_required
from core.errors import ProviderError, ProviderNotContacted
from core.state import Origin, TransitionRow
from core.unit_of_work import joined
from payments.models import Payout, ProviderAccount
from payments.providers.payout import OrderState, OrderStatus
from payments.services import payout_outcome, payout_return, provider_client
from payments.services.payout import order_of
from payments.services.payout_lock import lock
from payments.services.provider_account import company_accounts
from payments.services.provider_quota import Use

logger = logging.getLogger(__name__)

LIST_FROM = 3
"""The number of payouts of one operating day from which on its list is read instead of each order."""
BATCH = 1_000
_FAULT, _HOUR, _DAY = timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)
_UNKNOWN = Q(status=Payout.Status.PROCESSING, send_outcome=Payout.SendOutcome.UNKNOWN)
LEASE = timedelta(minutes=1)
"""The time for which a process has an inquiry for itself: no other one asks meanwhile. Renewed before each request."""
_CLAIM_INQUIRIES = 6
"""The maximum number of inquiries about what a notice claims."""
_ASKED = ("inquiries", "next_attempt_at", "not_found_at", "claim", "claimed_at")


@transaction_forbidden
def ask_due() -> int:
    """Inquire about every payout that is due; return the number of payouts that changed."""
    groups: dict[tuple[int, date], list[Payout]] = defaultdict(list)
    for payout in _take_due():
        if payout.operating_date is not None:
            groups[company_accounts(payout.provider_account)[0].pk, payout.operating_date].append(payout)
    changed = 0
    for (_account, day), payouts in groups.items():
        with _apart(payouts, again_in=_FAULT):
            changed += _ask_about(payouts, day)
    return changed


def _take_due() -> list[Payout]:
    """The due payouts, most urgent first. No other process takes them within ``LEASE``."""
    states, now = Payout.Status, clock.now()
    asked = Q(status=states.PROCESSING, send_outcome__in=["accepted", "unknown"]) | Q(
        status__in=[states.COMPLETED, states.RETURNED, states.FAILED, states.CANCELLED, states.REJECTED]
    )
    due = Payout.objects.filter(asked, next_attempt_at__lte=now, operating_date__isnull=False)
    urgency = Case(When(_UNKNOWN, then=Value(0)), When(~Q(claim=""), then=Value(1)), default=Value(2))
    with transaction.atomic():
        free = due.select_for_update(skip_locked=True, of=("self",), no_key=True).select_related("provider_account")
        return _lease(list(free.order_by(urgency, "next_attempt_at")[:BATCH]))


def _renew(payouts: Sequence[Payout]) -> list[Payout]:
    """The payouts that are still leased to this process, for another ``LEASE``.

    The others were taken by another process after the lease ended, or a notice has planned their inquiry anew.
    """
    with transaction.atomic():
        rows = Payout.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
        planned = dict(rows.filter(pk__in=[payout.pk for payout in payouts]).values_list("pk", "next_attempt_at"))
        return _lease([payout for payout in payouts if planned.get(payout.pk) == payout.next_attempt_at])


@transaction_required
def _lease(payouts: list[Payout]) -> list[Payout]:
    until = clock.now() + LEASE
    Payout.objects.filter(pk__in=[payout.pk for payout in payouts]).update(next_attempt_at=until)
    for payout in payouts:
        payout.next_attempt_at = until
    return payouts


@transaction_forbidden
def find_in_list(payout: Payout) -> OrderState | None:
    """The payout's order in the complete list of its operating day; None if that lacks it. Raises ``ProviderError``."""
    if payout.operating_date is None:
        return None
    return _listed(payout.provider_account, payout.operating_date, Use.UNKNOWN).get(payout.tracking_key)


def apply(payout_id: int, order: OrderState, *, asked_at: datetime) -> bool:
    """Apply the provider's state of the order, asked for at ``asked_at``, to the payout. False if nothing changes."""
    with transaction.atomic():
        payout = lock(payout_id)
        payout.provider_account = ProviderAccount.objects.get(pk=payout.provider_account_id)
        _schedule_next(payout, asked_at)
        if order.is_of(order_of(payout)):
            changed = payout_outcome.follow(payout, order, origin=_origin(payout))
        else:
            changed = payout_outcome.set_aside(payout, "order_differs", origin=_origin(payout))
        if not changed:  # the inquiry still counts, or it would be due for ever and use up the quota
            if payout.claim and payout_outcome.is_known(payout, payout.claim):
                payout_outcome.drop_claim(payout)
            with joined() as writes:
                writes.update(payout, "order_id", *_ASKED)
        _ask_again_soon(payout)
    if order.return_tracking_key:  # also if nothing changed: the last attempt to match it may have failed
        payout_return.match_key(payout.provider_account, order.return_tracking_key)
    return changed


def _ask_about(payouts: Sequence[Payout], day: date) -> int:
    account = payouts[0].provider_account
    if not provider_client.can_connect(account):
        return 0
    if len(payouts) >= LIST_FROM:
        payouts = _renew(payouts)
    if len(payouts) >= LIST_FROM:
        asked_at = clock.now()
        try:
            listed = _listed(account, day, min(map(_use, payouts)))
        except ProviderError as error:
            return _no_answer(payouts, error, asked_at)
        return sum(_take(payout, listed.get(payout.tracking_key), asked_at, in_list=True) for payout in payouts)
    changed = 0
    for payout in payouts:
        if not _renew([payout]):
            continue
        asked_at = clock.now()
        client = provider_client.connect_for_payouts(account, about=payout.public_id, use=_use(payout))
        try:
            order = client.find_sent(payout.tracking_key, day, today=calendar.operating_date(clock.now()))
        except ProviderError as error:
            changed += _no_answer([payout], error, asked_at)
        else:
            changed += _take(payout, order, asked_at, in_list=False)
    return changed


def _use(payout: Payout) -> Use:
    """The inquiry's right to the quota."""
    if payout.status == Payout.Status.PROCESSING and payout.send_outcome == Payout.SendOutcome.UNKNOWN:
        return Use.UNKNOWN
    return Use.CLAIM if payout.claim else Use.ROUTINE


def _listed(account: ProviderAccount, day: date, use: Use) -> dict[str, OrderState]:
    client = provider_client.connect_for_payouts(account, use=use)
    pages = client.list_sent(day, today=calendar.operating_date(clock.now()))
    return {order.tracking_key: order for page in pages for order in page}


def _take(payout: Payout, order: OrderState | None, asked_at: datetime, *, in_list: bool) -> int:
    with _apart([payout], again_in=_HOUR):  # each time costs a request of the quota
        if order is not None:
            return apply(payout.pk, order, asked_at=asked_at)
        return _not_found(payout.pk, asked_at, in_list=in_list)
    return 0


@contextmanager
def _apart(payouts: Sequence[Payout], *, again_in: timedelta) -> Iterator[None]:
    """Context in which a fault is logged and does not stop inquiries about other payouts; these are due later."""
    try:
        yield
    except Exception:
        found = [payout.public_id for payout in payouts[:10]]
        logger.exception("inquiries about payouts failed", extra={"payouts": found, "count": len(payouts)})
        due = Payout.objects.filter(pk__in=[payout.pk for payout in payouts])
        due.update(next_attempt_at=clock.now() + again_in)


def _not_found(payout_id: int, asked_at: datetime, *, in_list: bool) -> int:
    """The provider has no such order: accepted as final after the window, if the closed day's list lacks it."""
    now = clock.now()
    with transaction.atomic():
        payout = lock(payout_id)
        first = payout.not_found_at
        payout.not_found_at = first or now
        _schedule_next(payout, asked_at)
        with joined() as writes:
            writes.update(payout, *_ASKED)
        _ask_again_soon(payout)
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
        asked_at = clock.now()
        try:
            order = find_in_list(payout)
        except ProviderError as error:
            return _no_answer([payout], error, asked_at)
        if order is not None:
            return apply(payout_id, order, asked_at=asked_at)
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


def _no_answer(payouts: Sequence[Payout], error: ProviderError, asked_at: datetime) -> int:
    """An inquiry without an answer proves nothing about the order: it is repeated."""
    logger.warning("payouts could not be asked about", extra={"count": len(payouts), "why": str(error)})
    for payout in payouts:
        with transaction.atomic():
            locked = lock(payout.pk)
            if isinstance(error, ProviderNotContacted):  # does not count as an inquiry
                locked.next_attempt_at = clock.now() + timedelta(minutes=1)
            else:
                _schedule_next(locked, asked_at)
            with joined() as writes:
                writes.update(locked, *_ASKED)
    return 0


def _schedule_next(payout: Payout, asked_at: datetime) -> None:
    """Count an inquiry and plan the next one; none is planned for a final payout without a claim.

    An inquiry that began before the claim arrived says nothing about it: another one is still due.
    """
    if payout.claimed_at is not None and payout.claimed_at >= asked_at:
        return
    payout.inquiries += 1
    now, plan = clock.now(), settings.PAYOUT_INQUIRIES
    if payout.claim == OrderStatus.UNKNOWN or payout.inquiries >= _CLAIM_INQUIRIES:
        payout_outcome.drop_claim(payout)
    since: datetime = payout.send_started_at or now
    if payout.claim:
        payout.next_attempt_at = now + plan[min(payout.inquiries, len(plan)) - 1]
    elif payout.status != Payout.Status.PROCESSING:
        payout.next_attempt_at = None
    elif payout.inquiries < len(plan):
        payout.next_attempt_at = now + plan[payout.inquiries]
    else:
        payout.next_attempt_at = now + (_HOUR if now - since < _DAY else _DAY)


def _ask_again_soon(payout: Payout) -> None:
    """Defer the next inquiry about a claim if it is due before the worker's next round."""
    due = payout.next_attempt_at
    if payout.claim and due is not None and due < clock.now() + LEASE:
        jobs.defer(
            "payments.advance_payout",
            queueing_lock=f"again:{payout.public_id}",
            schedule_at=due,
            payout_id=payout.pk,
        )


def _origin(payout: Payout) -> Origin:
    return Origin(TransitionRow.Cause.WORKER, "inquiry", payout.order_id or payout.tracking_key)
