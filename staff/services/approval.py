"""Approvals: one person proposes, a second one decides; an approved action runs in the same transaction.

Apps register actions in ``ready()``, so staff imports none of them. The database enforces the same rules
(``staff.models.approval``).

ApprovalRefused
├── DecisionNotAllowed  403  the permission is missing
├── OwnApproval         403  the maker votes on their own proposal
├── VoterBarred         403  the account was recently controlled by the maker, or the reverse
├── AlreadyDecided      409  already approved, rejected or cancelled
├── ApprovalExpired     409  the time to decide is over
└── ContentChanged      409  the object changed or is gone
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction

from core import clock
from core.db import transaction_required
from core.errors import FieldError, InvalidRequest, RequestRefused
from staff.models import Approval, Vote


class ApprovalRefused(RequestRefused):
    """This cannot be decided."""

    code = "approval_refused"
    http_status = 409


class DecisionNotAllowed(ApprovalRefused):
    """You do not have the permission for this."""

    code = "decision_not_allowed"
    http_status = 403


class OwnApproval(ApprovalRefused):
    """You cannot decide about your own proposal: a second person must."""

    code = "own_approval"
    http_status = 403


class VoterBarred(ApprovalRefused):
    """Your account or the maker's was created, reset or given rights too recently: another person must decide."""

    code = "voter_barred"
    http_status = 403


class AlreadyDecided(ApprovalRefused):
    """This was decided already."""

    code = "already_decided"


class ApprovalExpired(ApprovalRefused):
    """The time to decide is over; it must be proposed again."""

    code = "approval_expired"


class ContentChanged(ApprovalRefused):
    """What was proposed has changed since; it must be proposed again."""

    code = "content_changed"


@dataclass(frozen=True, slots=True)
class Action:
    """An action that can be approved. Its functions are called inside the transaction of the decision.

    ``content_of`` returns the content to approve, as JSON, by the subject's public id, or raises ``LookupError``.
    ``on_approved`` executes the action; an exception rolls back the vote. ``on_rejected`` closes the subject, also when
    the approval is withdrawn or expires.
    """

    on_approved: Callable[[Approval], object]
    on_rejected: Callable[[Approval], object]
    content_of: Callable[[str], Any]


_actions: dict[str, Action] = {}


def register(
    kind: str,
    on_approved: Callable[[Approval], object],
    on_rejected: Callable[[Approval], object],
    content_of: Callable[[str], Any],
) -> None:
    """Register the action of ``kind``; ``ValueError`` if it is registered with other functions."""
    action = Action(on_approved, on_rejected, content_of)
    if _actions.setdefault(kind, action) != action:
        raise ValueError(f"the approval of {kind} is registered already")


@transaction_required
def request(kind: str, subject: str, content: Any, maker: User) -> Approval:
    """Request a second person's decision; it expires after ``settings.APPROVAL_LIFETIME``.

    ``content`` is the JSON that the action's ``content_of`` returns. Raises ``DecisionNotAllowed`` if the maker may not
    propose, ``KeyError`` for an unregistered kind.
    """
    _actions[kind]
    if not maker.has_perm("staff.add_approval"):
        raise DecisionNotAllowed
    now = clock.now()
    return Approval.objects.create(
        kind=kind,
        subject=subject,
        content_sha256=digest(content),
        maker=maker,
        created_at=now,
        expires_at=now + settings.APPROVAL_LIFETIME,
    )


@transaction.atomic
def vote(approval_id: int, user: User, decision: str, comment: str) -> Vote:
    """Vote on an approval. One vote decides; approving executes the action in this transaction.

    ``decision`` is one of ``Vote.Decision``; a rejection needs a comment (``InvalidRequest``). Raises a subclass of
    ``ApprovalRefused`` or the action's own error; then nothing has changed.
    """
    comment = _checked(decision, comment)
    approval = lock(approval_id)
    if approval.maker_id == user.pk:
        raise OwnApproval
    if not user.has_perm("staff.decide_approval"):
        raise DecisionNotAllowed
    if user.pk in barred(approval):
        raise VoterBarred
    if approval.status != Approval.Status.PENDING:
        raise AlreadyDecided
    if approval.expires_at < clock.now():
        raise ApprovalExpired
    action = _actions[approval.kind]
    _require_unchanged(approval, action)
    given = Vote.objects.create(approval=approval, user=user, decision=decision, comment=comment)
    if decision == Vote.Decision.APPROVE:
        approval.approve()
        approval.save(update_fields=["status", "resolved_at"])
        action.on_approved(approval)
    else:
        approval.reject()
        approval.save(update_fields=["status", "resolved_at"])
        action.on_rejected(approval)
    return given


@transaction.atomic
def cancel(approval_id: int, user: User) -> Approval:
    """Withdraw a proposal. Raises ``DecisionNotAllowed`` unless the user made it, and ``AlreadyDecided``."""
    approval = lock(approval_id)
    if approval.maker_id != user.pk:
        raise DecisionNotAllowed("Only the person who proposed it can withdraw it.")
    if approval.status != Approval.Status.PENDING:
        raise AlreadyDecided
    return _close(approval)


def close_expired() -> int:
    """Cancel expired approvals, each in its own transaction; return how many."""
    closed = 0
    for pk in Approval.objects.filter(status=Approval.Status.PENDING, expires_at__lt=clock.now()).values_list("pk"):
        with transaction.atomic():
            approval = lock(pk[0])
            if approval.status == Approval.Status.PENDING:
                _close(approval)
                closed += 1
    return closed


def may_decide(approval: Approval, user: User) -> bool:
    """True if ``vote`` would accept this user's vote now."""
    return (
        approval.status == Approval.Status.PENDING
        and approval.maker_id != user.pk
        and approval.expires_at >= clock.now()
        and user.has_perm("staff.decide_approval")
        and user.pk not in barred(approval)
    )


def deciders() -> list[User]:
    """Accounts with the permission to decide, by name; some may be ``barred`` from a given approval."""
    return list(User.objects.with_perm("staff.decide_approval").filter(is_staff=True).order_by("username"))


def barred(approval: Approval) -> set[int]:
    """Ids of accounts that cannot vote: the maker's, and those that the maker may control.

    Computed by the SQL function ``staff_barred``, which the database's guards use too.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT public.staff_barred(ARRAY[%s]::integer[])", [approval.maker_id])
        return {account for (account,) in cursor.fetchall()}


@transaction_required
def lock(approval_id: int) -> Approval:
    """The approval, with its row locked until the transaction ends."""
    return Approval.objects.select_for_update(of=("self",), no_key=True).get(pk=approval_id)


def digest(content: Any) -> str:
    """SHA-256 of a JSON value in canonical form."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _close(approval: Approval) -> Approval:
    approval.cancel()
    approval.save(update_fields=["status", "resolved_at"])
    _actions[approval.kind].on_rejected(approval)
    return approval


def _require_unchanged(approval: Approval, action: Action) -> None:
    try:
        content = action.content_of(approval.subject)
    except LookupError as error:
        raise ContentChanged from error
    if digest(content) != approval.content_sha256:
        raise ContentChanged


def _checked(decision: str, comment: str) -> str:
    comment = comment.strip()
    if decision not in Vote.Decision.values:
        raise _invalid("decision", "Approve or reject.")
    if decision == Vote.Decision.REJECT and not comment:
        raise _invalid("comment", "Say why you reject it.")
    if len(comment) > 500:
        raise _invalid("comment", "A comment has at most 500 characters.")
    return comment


def _invalid(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, errors=[FieldError(field, "invalid", message)])
