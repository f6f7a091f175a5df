"""Sending payouts: the checks before each attempt, the call, and its result.

An order takes effect at most once. The attempt is committed first (``send_started_at``, then the ``ProviderCall``) and
the provider is called outside any transaction. A payout is sent again, under the same tracking key, only if every
earlier call provably had no effect.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from core import calendar, clock, jobs
from core.backoff import backoff
from core.db import transaction_forbidden
from core.errors import ProviderError
from core.state import Origin, TransitionRow
from core.unit_of_work import joined
from core.writes import fetch
from kyc.services import case as kyc_case
from ledger.services import gate
from merchants.models import Merchant
from payments.models import Payout, ProviderAccount
from payments.providers.calls import Outcome
from payments.providers.payout import SendReason, SendResult
from payments.services import liquidity, payout_inquiry, payout_outcome, provider_client
from payments.services.payout import is_approved, order_of
from payments.services.payout_lock import lock
from payments.services.refund_outcome import record_change

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
"""The maximum duration of a call: afterwards its process counts as dead."""
DELAYED_AFTER = timedelta(hours=1)
"""A payout whose calls all had no effect is marked as delayed after this time."""
_RETRY, _RETRY_MOST = timedelta(seconds=2), timedelta(minutes=20)
_LOOK_AGAIN = timedelta(minutes=1)
"""When a waiting payout is checked again, if the end of its reason is not known."""
_SOON = timedelta(seconds=1)
_PAUSE = (time(17, 55), time(18, 5))
"""Mexico City: the provider changes its operating day, and nothing is sent."""
_WAITING = ("status", "waiting_for", "next_attempt_at")
_SENDING = ("send_started_at", "first_sent_at", "sends", "send_outcome", "operating_date")
_RESULT = ("send_outcome", "send_detail", "order_id", "delayed", "needs_staff")
_reasons = Payout.WaitingFor
_outcomes = Payout.SendOutcome


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a payout is not sent now, and when to check again."""

    reason: Payout.WaitingFor
    until: datetime


@transaction_forbidden
def advance(payout_id: int) -> None:
    """Take a payout's next step: send it, wait, or inquire. Idempotent; safe in concurrent processes."""
    payout = Payout.objects.select_related("provider_account").get(pk=payout_id)
    if _must_be_asked(payout):
        payout_inquiry.ask_due()
        return
    account = payout.provider_account
    if not liquidity.is_fresh(account) and not liquidity.read(account) and liquidity.is_being_read(account):
        _come_back(payout)
        return
    begun = _begin(payout_id)
    if begun is None and _is_ready_on_another_day(payout_id) and _is_absent(payout):
        begun = _begin(payout_id, absent_on=payout.operating_date)
    if begun is None:
        return
    started = begun.send_started_at
    client = provider_client.connect_for_payouts(
        begun.provider_account, about=begun.public_id, before_send=lambda: _require_lease(payout_id, started)
    )
    try:
        result = client.send(order_of(begun))
    except ValueError as error:  # an order that cannot be written: a person must mend the account's settings
        result = SendResult(Outcome.NOT_SENT, SendReason.CONFIGURATION, detail=str(error)[:300])
    _finish(payout_id, started, result)


def _come_back(payout: Payout) -> None:
    """Look again in a moment: another process reads the balance that this payout needs."""
    jobs.defer(
        "payments.advance_payout",
        queueing_lock=f"soon:{payout.public_id}",
        schedule_at=clock.now() + _SOON,
        payout_id=payout.pk,
    )


def pause(now: datetime) -> datetime | None:
    """The end of a closed period of live providers (change of day 17:55 to 18:05, bank holidays), else None."""
    local = now.astimezone(clock.MEXICO_CITY)
    if local.date() in calendar.holidays(local.year):
        return datetime.combine(local.date() + timedelta(days=1), time(), tzinfo=clock.MEXICO_CITY)
    begins, ends = _PAUSE
    if begins <= local.time() < ends:
        return datetime.combine(local.date(), ends, tzinfo=clock.MEXICO_CITY)
    return None


def advance_due(limit: int = 500) -> int:
    """Enqueue the payouts whose next step is overdue, because a job or process was lost; return their number."""
    due = Payout.objects.filter(next_attempt_at__lte=clock.now()).order_by("next_attempt_at")
    found = list(due.values_list("pk", "public_id")[:limit])
    for pk, public_id in found:
        jobs.defer("payments.advance_payout", queueing_lock=f"payout:{public_id}", payout_id=pk)
    return len(found)


def _must_be_asked(payout: Payout) -> bool:
    if payout.status == Payout.Status.PROCESSING:
        return payout.send_outcome in (_outcomes.ACCEPTED, _outcomes.UNKNOWN)
    return payout.status != Payout.Status.PENDING


def _is_ready_on_another_day(payout_id: int) -> bool:
    """True if only the list of the payout's old operating day is missing before it may be sent again."""
    payout = Payout.objects.get(pk=payout_id)
    return (
        payout.status == Payout.Status.PROCESSING
        and payout.send_outcome == _outcomes.NOT_SENT
        and payout.waiting_for == _reasons.NOTHING
        and payout.operating_date != calendar.operating_date(clock.now())
    )


def _is_absent(payout: Payout) -> bool:
    """True if the complete list of the payout's old operating day lacks it: it may be sent on another day."""
    asked_at = clock.now()
    try:
        found = payout_inquiry.find_in_list(payout)
    except ProviderError as error:
        logger.warning("the day's list was not had", extra={"payout": payout.public_id, "why": str(error)})
        Payout.objects.filter(pk=payout.pk).update(next_attempt_at=clock.now() + _RETRY_MOST)
        return False
    if found is None:
        return True
    payout_inquiry.apply(payout.pk, found, asked_at=asked_at)
    return False


def _begin(payout_id: int, *, absent_on: date | None = None) -> Payout | None:
    """Commit that the payout is about to be sent and return it; None if it is not to be sent now.

    On another operating day it is sent only if the complete list of the old one, ``absent_on``, lacks it.
    """
    with transaction.atomic():
        payout = lock(payout_id)
        payout.provider_account = ProviderAccount.objects.get(pk=payout.provider_account_id)
        now = clock.now()
        if payout.status == Payout.Status.PROCESSING and payout.send_outcome == _outcomes.SENDING:
            if payout.send_started_at is not None and payout.send_started_at > now - LEASE:
                return None
            if provider_client.may_have_sent(payout.public_id):
                _unknown(payout, now)
                return None
        elif not (
            payout.status == Payout.Status.PENDING
            or (payout.status == Payout.Status.PROCESSING and payout.send_outcome == _outcomes.NOT_SENT)
        ):
            return None
        wait = _why_wait(payout, now)
        if wait is not None:
            _keep_waiting(payout, wait, now)
            return None
        before = payout.status
        day = calendar.operating_date(now)
        if before == Payout.Status.PENDING:
            payout.start(at=now, operating_date=day)
        elif payout.operating_date not in (day, absent_on):
            _await_list(payout, now)
            return None
        else:
            payout.operating_date = day
        payout.sends += 1
        payout.send_started_at, payout.send_outcome = now, _outcomes.SENDING
        payout.waiting_for, payout.next_attempt_at = _reasons.NOTHING, now + LEASE
        with joined() as writes:
            writes.update(payout, *_WAITING, *_SENDING)
            if before != payout.status:
                record_change(payout, from_status=before, origin=_worker(payout), event_type="payout.processing")
        return payout


def _await_list(payout: Payout, now: datetime) -> None:
    """Every call so far had no effect; nothing but the old day's list is missing, which is read without a lock."""
    payout.send_outcome, payout.waiting_for, payout.next_attempt_at = _outcomes.NOT_SENT, _reasons.NOTHING, now
    with joined() as writes:
        writes.update(payout, "send_outcome", *_WAITING)


def _require_lease(payout_id: int, started: datetime | None) -> None:
    """Called after the call is recorded and before it is sent: a process that was taken over must not send.

    Waits for the process that is taking over. Raises ``provider_client.TakenOver``.
    """
    query = "SELECT send_started_at, send_outcome FROM payments_payout WHERE id = $1 FOR NO KEY UPDATE"
    with transaction.atomic():
        row = fetch(query, [payout_id])[0]
    if row != (started, _outcomes.SENDING):
        raise provider_client.TakenOver("Another process sends this payout.")


def _why_wait(payout: Payout, now: datetime) -> Wait | None:
    soon = now + _LOOK_AGAIN
    if payout.needs_staff == payout_outcome.REPORTED_UNSENT:
        return Wait(_reasons.GATE, soon)
    if payout.scheduled_for is not None and payout.scheduled_for > now:
        return Wait(_reasons.SCHEDULE, payout.scheduled_for)
    merchant = payout.merchant
    if merchant.status != Merchant.Status.ACTIVE or (payout.livemode and not kyc_case.is_approved_now(merchant)):
        return Wait(_reasons.MERCHANT, soon)
    if payout.kind == Payout.Kind.MERCHANT:
        query = "SELECT usable_at FROM payments_destination WHERE merchant_id = $1 AND livemode = $2 AND clabe = $3"
        usable_at = fetch(query, [merchant.pk, payout.livemode, payout.destination_clabe])[0][0]
        if usable_at > now:
            return Wait(_reasons.DESTINATION, usable_at)
    if not is_approved(payout):
        return Wait(_reasons.APPROVAL, soon)
    if payout.livemode and (until := pause(now)) is not None:
        return Wait(_reasons.OPERATING_DAY, until)
    account = payout.provider_account
    try:
        gate.require_open(merchant, livemode=payout.livemode, provider_account=account.public_id)
    except gate.GateClosed:
        return Wait(_reasons.GATE, soon)
    if not provider_client.can_connect(account) or not account.ordering_clabe:
        return Wait(_reasons.PROVIDER, soon)
    spendable = liquidity.spendable(account)
    if spendable is None:
        return Wait(_reasons.PROVIDER, soon)
    if spendable < payout.amount:
        return Wait(_reasons.LIQUIDITY, soon)
    return None


def _keep_waiting(payout: Payout, wait: Wait, now: datetime) -> None:
    previous = payout.waiting_for
    payout.waiting_for, payout.next_attempt_at = wait.reason, wait.until
    with joined() as writes:
        writes.update(payout, *_WAITING)
        if previous != payout.waiting_for:
            record_change(
                payout,
                from_status=payout.status,
                origin=_worker(payout),
                event_type="payout.updated",
                previous={"waiting_for": previous or None},
            )


def _finish(payout_id: int, started: datetime | None, result: SendResult) -> None:
    """Record the call's result, without overwriting the effect of a notice that arrived meanwhile."""
    with transaction.atomic():
        payout = lock(payout_id)
        now = clock.now()
        if payout.order_id is None and result.order_id:
            payout.order_id = result.order_id
        if payout.status != Payout.Status.PROCESSING or (payout.send_started_at, payout.send_outcome) != (
            started,
            _outcomes.SENDING,
        ):
            if result.outcome == Outcome.ACCEPTED:
                with joined() as writes:
                    writes.update(payout, "order_id")
            return
        payout.send_detail = f"{result.code} {result.detail}".strip()[:300]
        if result.needs_staff:
            payout.needs_staff = str(result.reason)
            logger.error("a payout needs a person", extra={"payout": payout.public_id, "why": str(result.reason)})
        match result.outcome:
            case Outcome.ACCEPTED:
                payout.send_outcome = _outcomes.ACCEPTED
                payout.next_attempt_at = now if payout.claim else now + settings.PAYOUT_INQUIRIES[1]
                with joined() as writes:
                    writes.update(payout, *_WAITING, *_RESULT)
                if payout.claim:  # a notice overtook this answer; there was nothing to ask about yet
                    jobs.defer("payments.advance_payout", queueing_lock=f"ask:{payout.public_id}", payout_id=payout.pk)
            case Outcome.REFUSED:
                payout.send_outcome = _outcomes.REFUSED
                payout_outcome.fail(
                    payout,
                    code=str(result.reason) or "provider_rejected",
                    message=result.detail or _("The provider refused the transfer."),
                    origin=_worker(payout),
                    needs_staff=payout.needs_staff,
                )
            # A claim, or a call that may have left, contradicts it: ask instead of sending again.
            case Outcome.NOT_SENT if not (payout.claim or provider_client.may_have_sent(payout.public_id)):
                _try_again(payout, result.reason, now)
            case _:
                _unknown(payout, now)


def _try_again(payout: Payout, reason: SendReason, now: datetime) -> None:
    payout.send_outcome = _outcomes.NOT_SENT
    payout.waiting_for = _reasons.PROVIDER
    payout.next_attempt_at = now + backoff(payout.sends - 1, first=_RETRY, most=_RETRY_MOST, jitter=0.1)
    if reason == SendReason.WRONG_OPERATING_DATE:
        payout.waiting_for = _reasons.OPERATING_DAY
        payout.next_attempt_at = now + _RETRY_MOST
    late = payout.first_sent_at is not None and now - payout.first_sent_at > DELAYED_AFTER
    _write_delay(payout, late)


def _unknown(payout: Payout, now: datetime) -> None:
    """The outcome is unknown: defer an inquiry, and never send the order again."""
    payout.send_outcome = _outcomes.UNKNOWN
    payout.waiting_for = _reasons.NOTHING
    payout.next_attempt_at = now + settings.PAYOUT_INQUIRIES[0]
    _write_delay(payout, True)
    jobs.defer("payments.advance_payout", schedule_at=payout.next_attempt_at, payout_id=payout.pk)


def _write_delay(payout: Payout, late: bool) -> None:
    first, payout.delayed = late and not payout.delayed, payout.delayed or late
    with joined() as writes:
        writes.update(payout, *_WAITING, *_RESULT)
        if first:
            record_change(
                payout,
                from_status=payout.status,
                origin=_worker(payout),
                event_type="payout.delayed",
                previous={"delayed": False},
            )
    if payout.send_outcome == _outcomes.NOT_SENT and payout.next_attempt_at is not None:
        jobs.defer(
            "payments.advance_payout",
            queueing_lock=f"payout:{payout.public_id}",
            schedule_at=payout.next_attempt_at,
            payout_id=payout.pk,
        )


def _worker(payout: Payout) -> Origin:
    return Origin(TransitionRow.Cause.WORKER, "payouts", payout.tracking_key)
