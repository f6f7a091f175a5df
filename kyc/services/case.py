"""Life cycle of a case: open, submit, approve, reject, reopen. Every step writes a transition row."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction
from django_fsm import TransitionNotAllowed

from core.db import transaction_required
from core.errors import FieldError, IllegalTransition, InvalidRequest
from core.state import Origin
from kyc.models import Case, CaseTransition
from merchants.models import Merchant

_approved: set[int] = set()
"""Cache of approved merchants. The state is final, so entries never become stale."""


def is_approved(merchant: Merchant) -> bool:
    """True if the merchant may take live payments."""
    if merchant.pk in _approved:
        return True
    approved = Case.objects.filter(merchant=merchant, status=Case.Status.APPROVED).exists()
    if approved:
        _approved.add(merchant.pk)
    return approved


def is_approved_now(merchant: Merchant) -> bool:
    """As ``is_approved``, asked of the database: for money that leaves."""
    return Case.objects.filter(merchant=merchant, status=Case.Status.APPROVED).exists()


def forget_approved() -> None:
    """Clear the cache, for tests with a new database."""
    _approved.clear()


@transaction.atomic
def open_case(merchant: Merchant, *, origin: Origin) -> Case:
    """The merchant's case; created as a draft if it does not exist."""
    case, created = Case.objects.get_or_create(merchant=merchant)
    if created:
        _record(case, "", origin)
    return case


@transaction.atomic
def submit(case_id: int, *, origin: Origin) -> Case:
    """Submit the case for a decision. Raises ``InvalidRequest`` if it has no documents, ``IllegalTransition``."""
    case = lock(case_id)
    if not case.documents.exists():
        raise InvalidRequest("Upload at least one document first.")
    return _move(case, case.submit, origin)


@transaction.atomic
def approve(case_id: int, *, reason: str, origin: Origin) -> Case:
    """Approve a submitted case. Raises ``InvalidRequest`` for an empty reason, ``IllegalTransition``."""
    case = lock(case_id)
    return _move(case, lambda: case.approve(reason=_given(reason), actor=origin.actor), origin, reason)


@transaction.atomic
def reject(case_id: int, *, reason: str, origin: Origin) -> Case:
    """Reject a submitted case. Raises ``InvalidRequest`` for an empty reason, ``IllegalTransition``."""
    case = lock(case_id)
    return _move(case, lambda: case.reject(reason=_given(reason), actor=origin.actor), origin, reason)


@transaction.atomic
def reopen(case_id: int, *, origin: Origin) -> Case:
    """Reopen a rejected case for more documents. Raises ``IllegalTransition``."""
    case = lock(case_id)
    return _move(case, case.reopen, origin)


@transaction_required
def lock(case_id: int) -> Case:
    """Lock and return the case's row."""
    return Case.objects.select_for_update(of=("self",)).select_related("merchant").get(pk=case_id)


def _move(case: Case, change: Callable[[], object], origin: Origin, reason: str = "") -> Case:
    before = case.status
    try:
        change()
    except TransitionNotAllowed as error:
        raise IllegalTransition(f"A case that is {case.get_status_display()} does not allow that.") from error
    case.save()
    _record(case, before, origin, reason)
    return case


def _record(case: Case, before: str, origin: Origin, reason: str = "") -> None:
    CaseTransition.objects.create(
        case=case,
        from_status=before,
        to_status=case.status,
        cause=origin.cause,
        actor=origin.actor,
        reference=origin.reference,
        reason=reason,
    )


def _given(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise InvalidRequest("Give a reason.", errors=[FieldError("reason", "required", "Give a reason.")])
    return reason[:500]
