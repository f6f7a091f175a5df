"""Returned transfers: incoming money that returns a payout of ours is matched to that payout.

It lies in suspense with a review case, and nothing is decided about it until the provider's list of deposits shows it
(its notice has no signature). Then it is matched automatically if its tracking key and amount are those of a payout.
Otherwise people match it, or say that it is no return. The payout's return is booked once, whether this or a state
notice comes first.

Lock order: review case, deposit, payout, ledger accounts.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, time

from django.db import OperationalError
from django.db.models import Q
from django.utils.translation import gettext as _

from core import calendar, clock, ids
from core.db import transaction_forbidden, transaction_required
from core.errors import FieldError, IllegalTransition, InvalidRequest
from core.state import Origin, TransitionRow
from core.unit_of_work import joined, unit_of_work
from ledger.services.journal import PostingTime
from ledger.services.postings import pay_in
from payments.models import Deposit, Payout, ProviderAccount, ReviewCase
from payments.models.payout import INTERNAL_KINDS
from payments.services import payout_outcome
from payments.services.payout_lock import lock
from payments.services.provider_account import company_accounts
from payments.services.transition import record_deposit, record_review_case

logger = logging.getLogger(__name__)

PROPOSED_DAYS = 10
"""Banking days after sending in which a transfer of the same bank and amount may be the payout's return."""
PROPOSED_MOST = 20
_states = Payout.Status


@dataclass(frozen=True, slots=True)
class Match:
    """What matching a returned transfer to ``payout`` does, with centavos.

    ``to_merchant`` is what the merchant gets back: 0 if the books have it back already.
    """

    payout: Payout
    amount: int
    to_merchant: int


@transaction_forbidden
def confirm(account: ProviderAccount, deposit_keys: Collection[str]) -> int:
    """The provider's list shows these returned transfers: match those that can be; return their number.

    It may be repeated. Raises ``OperationalError`` after trying all of them if the database was busy for one.
    """
    cases = ReviewCase.objects.filter(
        deposit__provider_account=company_accounts(account)[0],
        deposit__deposit_key__in=deposit_keys,
        status=ReviewCase.Status.TO_MATCH,
    )
    cases.filter(listed_at=None).update(listed_at=clock.now())
    return _match_each(cases.values_list("pk", flat=True))


@transaction_forbidden
def match_key(account: ProviderAccount, tracking_key: str) -> int:
    """The provider names this transfer as the return of a payout: match it, if it is here and listed.

    It may be repeated, and raises as ``confirm`` does.
    """
    cases = ReviewCase.objects.filter(
        status=ReviewCase.Status.TO_MATCH,
        resolved_at=None,
        listed_at__isnull=False,
        deposit__provider_account=company_accounts(account)[0],
        deposit__tracking_key=tracking_key,
    )
    return _match_each(cases.values_list("pk", flat=True))


def match(case_id: int, target: str, *, origin: Origin, reason: str) -> ReviewCase:
    """A person says that the money is the return of the payout with the public id ``target``.

    Raises ``InvalidRequest`` without a reason or for a payout that it cannot be, ``IllegalTransition`` if the case is
    resolved or the provider's list has not shown the transfer yet.
    """
    with unit_of_work():
        case = _waiting(case_id, reason)
        payout = lock(_find(case, target).pk)
        _require_possible(case, payout)
        _book(case, payout, origin, reason)
        return case


def deny(case_id: int, *, origin: Origin, reason: str) -> ReviewCase:
    """A person says that the money returns no payout: from now on it is credited or assigned like any other.

    Raises ``InvalidRequest`` without a reason, ``IllegalTransition`` if that is decided already or the provider's list
    has not shown the transfer yet.
    """
    with unit_of_work() as writes:
        case = _waiting(case_id, reason)
        if case.status != ReviewCase.Status.TO_MATCH:
            raise IllegalTransition("This money is not taken for a return.")
        before = case.status
        case.is_no_return()
        writes.update(case, "status")
        record_review_case(case, from_status=before, origin=origin, reason=reason)
        return case


def undo_refusal(payout: Payout) -> str:
    """Why no match of the payout can be undone, for people; "" if one can."""
    if not ReviewCase.objects.filter(payout=payout).exists():
        return _("No transfer was matched to it.")
    if payout.refund_id is not None or payout.status != _states.RETURNED or payout.return_cause is not None:
        return _("Only the match that made a merchant's payout returned can be undone.")
    return ""


@transaction_required
def lock_match(payout_id: int) -> ReviewCase:
    """The case, with its deposit, whose money was matched to the payout, locked; the payout is locked after it.

    Raises ``IllegalTransition`` if there is none.
    """
    found = ReviewCase.objects.filter(payout_id=payout_id).values_list("pk", flat=True).first()
    if found is None:
        raise IllegalTransition("No transfer was matched to it.")
    return _locked(found)


@transaction_required
def undo(payout: Payout, *, resolution: str, origin: Origin, reason: str) -> None:
    """Undo the match of a transfer to the payout, which is locked: two people found that it was not its return.

    The money is in suspense again with an open case, and is not matched automatically any more. ``resolution`` is the
    public id of the decision. Raises ``IllegalTransition`` if there is no such match.
    """
    case = lock_match(payout.pk)
    with joined() as writes:
        payout_outcome.undo_return(payout, source=resolution, origin=origin)
        case.deposit.undo_match()
        writes.update(case.deposit, "status")
        record_deposit(case.deposit, from_status=Deposit.Status.MATCHED, origin=origin, reason=reason)
        case.undo_match()
        writes.update(case, "status", "payout", "resolved_at")
        record_review_case(case, from_status=ReviewCase.Status.MATCHED, origin=origin, reason=reason)


def preview(case: ReviewCase, target: str) -> Match:
    """What ``match`` would do. Raises as ``match`` does."""
    _require_listed(case)
    payout = _find(case, target)
    _require_possible(case, payout)
    comes_back = payout.status == _states.COMPLETED
    return Match(payout, payout.amount, payout_outcome.coming_back(payout) if comes_back else 0)


def proposals(case: ReviewCase) -> list[Payout]:
    """Payouts that the money may return, newest first: the tracking key, or bank and amount and ten banking days."""
    deposit = case.deposit
    accounts = [account.pk for account in company_accounts(deposit.provider_account)]
    first = deposit.operating_date
    for _number in range(PROPOSED_DAYS):
        first = calendar.previous_banking_day(first)
    sent_from = datetime.combine(first, time(), tzinfo=clock.MEXICO_CITY)
    alike = Q(amount=deposit.amount, destination_bank=deposit.payer_institution, send_started_at__gte=sent_from)
    known = Payout.objects.filter(provider_account__in=accounts, return_cases=None).exclude(kind__in=INTERNAL_KINDS)
    rows = known.filter(alike | _by_key(case)).exclude(status__in=[_states.PENDING_APPROVAL, _states.PENDING])
    return list(rows.select_related("merchant").order_by("-id")[:PROPOSED_MOST])


def _by_key(case: ReviewCase) -> Q:
    """The condition of the payouts that the transfer names, or that the provider says it returns."""
    named = Q(tracking_key=case.return_of) if case.return_of else Q(pk=None)
    return named | Q(return_tracking_key=case.deposit.tracking_key) & ~Q(return_tracking_key="")


def _match_each(case_ids: Iterable[int]) -> int:
    """Match each case on its own, so that one fault does not keep the others from being matched."""
    matched, busy = 0, None
    for case_id in case_ids:
        try:
            matched += _match_by_key(case_id)
        except OperationalError as error:
            logger.warning("a returned transfer is locked", exc_info=error, extra={"case": case_id})
            busy = error
        except Exception:
            logger.exception("a returned transfer could not be matched", extra={"case": case_id})
    if busy is not None:
        raise busy  # the caller reads the list, or asks about the payout, again
    return matched


def _match_by_key(case_id: int) -> bool:
    """Match a listed transfer to the one payout with its tracking key and amount, if there is one."""
    with unit_of_work():
        case = _locked(case_id)
        if case.status != ReviewCase.Status.TO_MATCH:
            return False
        accounts = [account.pk for account in company_accounts(case.deposit.provider_account)]
        rows = Payout.objects.filter(_by_key(case), provider_account__in=accounts, amount=case.deposit.amount)
        found = list(rows.values_list("pk", flat=True)[:2])
        if len(found) != 1:
            return False
        payout = lock(found[0])
        origin = Origin(TransitionRow.Cause.WORKER, "returns", case.deposit.provider_event)
        if payout.status in (_states.PENDING_APPROVAL, _states.PENDING):
            payout_outcome.set_aside(payout, payout_outcome.REPORTED_UNSENT, origin=origin)
            return False
        if _refusal(case, payout):
            return False
        _book(case, payout, origin, "")
        return True


def _book(case: ReviewCase, payout: Payout, origin: Origin, reason: str) -> None:
    """Book the return, of a payout that was completed from suspense to the merchant; all rows are locked.

    Else the merchant's money never left its balance, or is back there: the money in suspense is cash of ours.
    """
    deposit, now = case.deposit, clock.now()
    was_completed = payout.status == _states.COMPLETED
    before = case.status
    with joined() as writes:
        payout_outcome.come_back(
            payout, at=deposit.paid_at, cause=None, origin=origin, cash="suspense", tracking_key=deposit.tracking_key
        )
        if not was_completed:
            pay_in.return_cleared(
                livemode=deposit.livemode,
                source=deposit.public_id,
                amount=deposit.amount,
                when=PostingTime(now, calendar.operating_date(now)),
            )
        deposit.match()
        writes.update(deposit, "status")
        record_deposit(deposit, from_status=Deposit.Status.SUSPENDED, origin=origin, reason=reason)
        case.match(payout, at=now)
        writes.update(case, "status", "payout", "resolved_at")
        record_review_case(case, from_status=before, origin=origin, reason=reason)


def _find(case: ReviewCase, target: str) -> Payout:
    accounts = [account.pk for account in company_accounts(case.deposit.provider_account)]
    rows = Payout.objects.filter(provider_account__in=accounts).select_related("merchant")
    found = rows.filter(public_id=target).first() if ids.is_id(target, "payout") else None
    if found is None:
        raise _wrong_target("There is no payout with this id in this mode.")
    return found


def _require_possible(case: ReviewCase, payout: Payout) -> None:
    if why := _refusal(case, payout):
        raise _wrong_target(why)
    if payout.status == _states.PROCESSING:
        raise _wrong_target(
            "The outcome of this payout is not known yet. Wait for the provider's answer, or let two people resolve it."
        )


def _refusal(case: ReviewCase, payout: Payout) -> str:
    """Why the transfer cannot be this payout's return; "" if it can."""
    if payout.amount != case.deposit.amount:
        return "The payout has another amount: this is not its return."
    if ReviewCase.objects.filter(payout=payout).exists():
        return "Another transfer returned this payout already."
    if payout.kind in INTERNAL_KINDS:
        return "Payouts of this kind cannot be matched."
    if payout.status in (_states.PENDING_APPROVAL, _states.PENDING, _states.REJECTED):
        return "This payout was never sent."
    return ""


def _waiting(case_id: int, reason: str) -> ReviewCase:
    if not reason.strip():
        raise InvalidRequest("Enter a reason.", errors=[FieldError("reason", "required", "Enter a reason.")])
    case = _locked(case_id)
    if not case.is_waiting:
        raise IllegalTransition("This case is resolved already.")
    _require_listed(case)
    return case


def _require_listed(case: ReviewCase) -> None:
    if not case.is_proven:
        raise IllegalTransition(
            "The provider's list of deposits does not show this transfer yet. Its notice alone does not prove it: "
            "wait until the list, read every five minutes, confirms it."
        )


def _locked(case_id: int) -> ReviewCase:
    case = ReviewCase.objects.select_for_update(of=("self",)).get(pk=case_id)
    deposits = Deposit.objects.select_for_update(of=("self",)).select_related("provider_account")
    case.deposit = deposits.get(pk=case.deposit_id)
    return case


def _wrong_target(message: str) -> InvalidRequest:
    return InvalidRequest(message, errors=[FieldError("target", "invalid", message)])
