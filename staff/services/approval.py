"""Approvals: a person or an API key proposes, other people decide; an approved action runs in the same transaction.

Apps register their kinds of action in ``ready()``, so staff imports none of them. The database enforces the same rule
(``staff.models.approval``).

Lock order: the approval first, then its subject. A decision locks them so, and so must an app that ends a subject of
its own: ``lock_of``, then its row, then ``discard``.

ApprovalRefused
├── DecisionNotAllowed  403  the permission is missing
├── OwnApproval         403  the voter proposed it, or issued the API key that did
├── VoterBarred         403  the account may be controlled by the maker or an earlier voter, or the reverse
├── AlreadyVoted        409  this person has voted; others must
├── AlreadyDecided      409  already approved, rejected, cancelled or expired
├── ApprovalExpired     409  the time to decide is over
└── ContentChanged      409  the object changed or is gone
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils.functional import Promise

from core import clock
from core.db import transaction_required
from core.errors import FieldError, InvalidRequest, RequestRefused
from core.unit_of_work import joined
from staff.models import Approval, Vote

logger = logging.getLogger(__name__)

PROPOSE = "staff.add_approval"
"""Permission that every person needs who proposes."""

DECIDE = "staff.decide_approval"
"""Permission that every voter needs, besides the one of the kind. Only two people can grant it."""

LIFETIME = timedelta(days=7)
"""How long a proposal waits for a decision, unless its kind says otherwise."""


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
    """Your account, the maker's or a voter's was created, reset or given rights too recently: another must decide."""

    code = "voter_barred"
    http_status = 403


class AlreadyVoted(ApprovalRefused):
    """You have voted already: another person must approve too."""

    code = "already_voted"


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
class Kind:
    """A kind of action that needs approval. Its functions are called inside the transaction of the decision.

    ``content_of`` returns the content to approve, as JSON, by the subject's public id, or raises ``LookupError``.
    ``on_approved`` executes the action; an exception rolls back the vote. ``on_closed`` closes the subject when the
    approval ends in another way; its status says how: rejected, cancelled or expired.
    """

    name: str
    """``app.noun``; the database's guards and stored approvals use it, so it never changes."""
    title: str | Promise
    page: str
    """Name of the admin's pages of the subject, as in ``ledger_adjustment``."""
    content_of: Callable[[str], Any]
    on_approved: Callable[[Approval], object]
    on_closed: Callable[[Approval], object]
    describe: Callable[[str], Sequence[str]]
    """What would be done, in sentences without full stop, by the subject's public id."""
    approvers: int = 1
    """How many people must approve."""
    lifetime: timedelta = LIFETIME
    permission: str = ""
    """Permission that a voter needs besides ``DECIDE``; "" for none."""


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Register ``kind``; ``ValueError`` if its name is registered with other contents."""
    if _kinds.setdefault(kind.name, kind) != kind:
        raise ValueError(f"the approval of {kind.name} is registered already")


def kind_of(name: str) -> Kind | None:
    """The registered kind; None if no app registers it any more."""
    return _kinds.get(name)


@transaction_required
def request(kind: str, subject: str, content: Any, maker: User | str) -> Approval:
    """Request other people's decision. Joins the open unit of work.

    ``content`` is the JSON that the kind's ``content_of`` returns. ``maker`` is a person or the public id of an API
    key, whose rights the caller has checked. Raises ``DecisionNotAllowed`` if a person may not propose, ``KeyError``
    for an unregistered kind.
    """
    registered = _kinds[kind]
    if isinstance(maker, User) and not maker.has_perm(PROPOSE):
        raise DecisionNotAllowed
    now = clock.now()
    asked = Approval(
        kind=kind,
        subject=subject,
        content_sha256=digest(content),
        maker=maker if isinstance(maker, User) else None,
        maker_key="" if isinstance(maker, User) else maker,
        approvers=registered.approvers,
        created_at=now,
        expires_at=now + registered.lifetime,
    )
    with joined() as writes:
        writes.insert(asked)
    return asked


@transaction.atomic
def vote(approval_id: int, user: User, decision: str, comment: str) -> Vote:
    """Vote on an approval. The last vote it needs executes the action in this transaction; one rejection ends it.

    ``decision`` is one of ``Vote.Decision``; a rejection needs a comment (``InvalidRequest``). Raises a subclass of
    ``ApprovalRefused`` or the action's own error; then nothing has changed.
    """
    comment = _checked(decision, comment)
    approval = lock(approval_id)
    kind = _kinds[approval.kind]
    _refuse_voter(approval, kind, user)
    _require_unchanged(approval, kind)
    given = Vote.objects.create(approval=approval, user=user, decision=decision, comment=comment)
    if decision == Vote.Decision.REJECT:
        approval.reject()
        _save(approval)
        kind.on_closed(approval)
    elif _votes(approval, decision) >= approval.approvers:
        approval.approve()
        _save(approval)
        kind.on_approved(approval)
    return given


@transaction.atomic
def cancel(approval_id: int, user: User) -> Approval:
    """Withdraw a proposal. Raises ``DecisionNotAllowed`` unless the user made it, and ``AlreadyDecided``."""
    approval = lock(approval_id)
    if approval.maker_id != user.pk:
        raise DecisionNotAllowed("Only the person who proposed it can withdraw it.")
    discard(approval)
    _kinds[approval.kind].on_closed(approval)
    return approval


@transaction_required
def discard(approval: Approval) -> None:
    """Cancel an approval that the caller has locked, because its own app ends the subject. Joins the open unit of work.

    Calls nothing: the caller changes the subject. Raises ``AlreadyDecided``.
    """
    if approval.status != Approval.Status.PENDING:
        raise AlreadyDecided
    approval.cancel()
    _save(approval)


def close_expired() -> int:
    """End expired approvals, each in its own transaction with what its kind does about it; return how many.

    One whose subject cannot be closed stays pending, is logged, and does not delay the others.
    """
    closed = 0
    for pk in Approval.objects.filter(status=Approval.Status.PENDING, expires_at__lt=clock.now()).values_list("pk"):
        try:
            with transaction.atomic():
                approval = lock(pk[0])
                if approval.status != Approval.Status.PENDING:
                    continue
                approval.expire()
                _save(approval)
                _kinds[approval.kind].on_closed(approval)
                closed += 1
        except Exception:
            logger.exception("an expired approval could not be closed", extra={"approval": pk[0]})
    return closed


def of(kind: str, subject: str) -> Approval | None:
    """The newest approval of the subject."""
    return Approval.objects.filter(kind=kind, subject=subject).select_related("maker").order_by("-id").first()


@transaction_required
def lock_of(kind: str, subject: str) -> Approval | None:
    """The newest approval of the subject, locked until the transaction ends; lock the subject after it."""
    found = of(kind, subject)
    return None if found is None else lock(found.pk)


def describe(approval: Approval) -> Sequence[str]:
    """What would be done, in sentences without full stop; nothing if its kind or its subject is gone."""
    kind = kind_of(approval.kind)
    try:
        return kind.describe(approval.subject) if kind is not None else ()
    except LookupError:
        return ()


def may_decide(approval: Approval, user: User) -> bool:
    """True if ``vote`` would accept this user's vote now."""
    kind = kind_of(approval.kind)
    if kind is None:
        return False
    try:
        _refuse_voter(approval, kind, user)
    except ApprovalRefused:
        return False
    return True


def deciders(kind: str) -> list[User]:
    """Accounts with the permissions to decide, by name; some may be ``barred`` from a given approval."""
    registered = kind_of(kind)
    found = User.objects.with_perm(DECIDE).filter(is_staff=True)
    if registered is not None and registered.permission:
        found &= User.objects.with_perm(registered.permission)
    return list(found.order_by("username"))


def barred(approval: Approval) -> set[int]:
    """Ids of accounts that cannot vote: of the maker, of earlier voters, and those that these may control.

    Computed by the SQL function ``staff_barred_from``, which the database's guards use too.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT public.staff_barred_from(%s)", [approval.pk])
        return {account for (account,) in cursor.fetchall()}


@transaction_required
def lock(approval_id: int) -> Approval:
    """The approval, with its row locked until the transaction ends."""
    return Approval.objects.select_for_update(of=("self",), no_key=True).get(pk=approval_id)


def digest(content: Any) -> str:
    """SHA-256 of a JSON value in canonical form."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _refuse_voter(approval: Approval, kind: Kind, user: User) -> None:
    if approval.maker_id == user.pk:
        raise OwnApproval
    if user.pk in approval.issuers:
        raise OwnApproval("You issued the API key that proposed this: another person must decide.")
    if not all(user.has_perm(name) for name in (DECIDE, kind.permission) if name):
        raise DecisionNotAllowed
    if approval.status != Approval.Status.PENDING:
        raise AlreadyDecided
    if approval.expires_at < clock.now():
        raise ApprovalExpired
    if approval.votes.filter(user=user).exists():
        raise AlreadyVoted
    if None in approval.issuers:
        raise VoterBarred("The issuer of the API key that proposed this is unknown: no one can decide about it.")
    if user.pk in barred(approval):
        raise VoterBarred


def _votes(approval: Approval, decision: str) -> int:
    """How many people's votes count, by the database's rule."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT public.staff_votes(%s, %s)", [approval.pk, decision])
        return int(cursor.fetchone()[0])


def _save(approval: Approval) -> None:
    with joined() as writes:
        writes.update(approval, "status", "resolved_at")


def _require_unchanged(approval: Approval, kind: Kind) -> None:
    try:
        content = kind.content_of(approval.subject)
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
