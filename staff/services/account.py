"""Changes of staff accounts, with their actor; changes that make an approver need a second person.

The database records every change with the actor set by ``acting``, and refuses making an approver without an approved
``AccountProposal`` (``staff.models.account``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db import connection, transaction
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core import clock
from core.db import transaction_required
from staff.models import AccountChange, AccountProposal, Approval
from staff.services import approval

KIND = "staff.make_approver"
DECIDE = approval.DECIDE
OPERATOR = "operator"
"""Actor of commands on the host, instead of a user."""

_DECIDES = {"content_type__app_label": "staff", "codename": "decide_approval"}
_FLAGS = {
    AccountChange.Kind.ACTIVE: "is_active",
    AccountChange.Kind.STAFF: "is_staff",
    AccountChange.Kind.SUPERUSER: "is_superuser",
}
_WORDS = {
    AccountChange.Kind.SUPERUSER: gettext_lazy("superuser: may do everything and decide approvals"),
    AccountChange.Kind.STAFF: gettext_lazy("access to the back office, with the right to decide approvals"),
    AccountChange.Kind.ACTIVE: gettext_lazy("account active again, with the right to decide approvals"),
    AccountChange.Kind.PASSWORD: gettext_lazy("new password for an account that decides approvals"),
}


@contextmanager
def acting(who: User | str) -> Iterator[None]:
    """A transaction in which account changes are recorded with actor ``who``: a user or ``OPERATOR``."""
    with _setting("payments.actor", who if isinstance(who, str) else str(who.pk)):
        yield


def as_operator(run: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """``execute_wrapper`` for commands: attributes each write to the operator, without a transaction around prompts."""
    if not sql.startswith(("INSERT", "UPDATE")):
        return run(sql, params, many, context)
    with acting(OPERATOR):
        return run(sql, params, many, context)


def decides(user: User) -> bool:
    """True if the account has the permission to decide approvals, even while inactive."""
    permission = Permission.objects.filter(**_DECIDES)
    held = Q(is_superuser=True) | Q(user_permissions__in=permission) | Q(groups__permissions__in=permission)
    return User.objects.filter(held, pk=user.pk).exists()


def deciding_groups() -> set[str]:
    """Names of the groups whose members may decide approvals."""
    return set(
        Group.objects.filter(permissions__in=Permission.objects.filter(**_DECIDES)).values_list("name", flat=True)
    )


def label(permission: Permission) -> str:
    """``app.codename``, as ``User.has_perm`` takes it."""
    return f"{permission.content_type.app_label}.{permission.codename}"


@transaction.atomic
def propose(target: User | Group, grants: Sequence[str], maker: User, *, password: str = "") -> AccountProposal:
    """Propose ``grants`` (see ``AccountProposal``) to a second person; ``password`` is the hash of a reset.

    Raises ``DecisionNotAllowed`` if the maker may not propose.
    """
    wanted = AccountProposal(
        user=target if isinstance(target, User) else None,
        group=target if isinstance(target, Group) else None,
        grants=sorted(grants),
        password=password,
        maker=maker,
    )
    approval.request(KIND, wanted.public_id, content(wanted), maker)
    wanted.save(force_insert=True)
    return wanted


def content(proposal: AccountProposal) -> dict[str, Any]:
    """The content to approve, as JSON, including the permissions of granted groups and the group's members."""
    groups = Group.objects.filter(name__in=[detail for kind, detail in split(proposal) if kind == "group"])
    return {
        "id": proposal.public_id,
        "user": proposal.user.get_username() if proposal.user else None,
        "group": proposal.group.name if proposal.group else None,
        "members": _members(proposal.group) if proposal.group else [],
        "grants": proposal.grants,
        "groups": {group.name: _permissions(group) for group in groups},
        "password": hashlib.sha256(proposal.password.encode()).hexdigest() if proposal.password else None,
        "maker": proposal.maker_id,
    }


def split(proposal: AccountProposal) -> list[tuple[str, str]]:
    """The grants as pairs of an ``AccountChange.Kind`` and its detail."""
    return [(kind, detail) for kind, _separator, detail in (grant.partition(":") for grant in proposal.grants)]


def approval_of(proposal: AccountProposal) -> Approval | None:
    """The approval of the proposal."""
    return approval.of(KIND, proposal.public_id)


def lines(proposal: AccountProposal) -> list[str]:
    """Description of each grant."""
    target = (
        _("account %(name)s") % {"name": proposal.user.get_username()}
        if proposal.user
        else _("all members of the group %(name)s") % {"name": proposal.group}
    )
    said = []
    for kind, detail in split(proposal):
        if kind == AccountChange.Kind.GROUP:
            said.append(_("member of the group %(name)s, which decides approvals") % {"name": detail})
        elif kind == AccountChange.Kind.PERMISSION:
            said.append(_("permission to decide approvals"))
        else:
            said.append(str(_WORDS[AccountChange.Kind(kind)]))
    return [f"{target}: {text}" for text in said]


def register() -> None:
    """Register the approval kind."""
    approval.register(
        approval.Kind(
            KIND,
            title=gettext_lazy("Account that approves"),
            page="staff_accountproposal",
            content_of=lambda public_id: content(_found(public_id)),
            on_approved=_on_approved,
            on_closed=_on_closed,
            describe=lambda public_id: lines(_found(public_id)),
        )
    )


def _on_approved(given: Approval) -> None:
    proposal = _locked(given)
    with acting(proposal.maker), _setting("payments.proposal", proposal.public_id):
        if proposal.user is not None:
            _grant(proposal, User.objects.select_for_update().get(pk=proposal.user.pk))
        if proposal.group is not None:
            proposal.group.permissions.add(*_named(detail for _kind, detail in split(proposal)))
    proposal.applied_at = clock.now()
    proposal.password = ""
    proposal.save(update_fields=["applied_at", "password"])


def _grant(proposal: AccountProposal, user: User) -> None:
    for kind, detail in split(proposal):
        if kind == AccountChange.Kind.GROUP:
            user.groups.add(Group.objects.get(name=detail))
        elif kind == AccountChange.Kind.PERMISSION:
            user.user_permissions.add(*_named([detail]))
        elif kind == AccountChange.Kind.PASSWORD:
            user.password = proposal.password
        else:
            setattr(user, _FLAGS[AccountChange.Kind(kind)], True)
    user.save(update_fields=["password", *_FLAGS.values()])


def _on_closed(given: Approval) -> None:
    proposal = _locked(given)
    proposal.password = ""
    proposal.save(update_fields=["password"])


def _found(public_id: str) -> AccountProposal:
    proposal = AccountProposal.objects.filter(public_id=public_id).select_related("user", "group").first()
    if proposal is None:
        raise LookupError(public_id)
    return proposal


def _locked(given: Approval) -> AccountProposal:
    found = AccountProposal.objects.select_related("user", "group", "maker")
    return found.select_for_update(of=("self",), no_key=True).get(public_id=given.subject)


def _named(labels: Any) -> list[Permission]:
    found = []
    for text in labels:
        app, _separator, codename = text.partition(".")
        found.append(Permission.objects.get(content_type__app_label=app, codename=codename))
    return found


def _members(group: Group) -> list[str]:
    return sorted(group.user_set.values_list("username", flat=True))


def _permissions(group: Group) -> list[str]:
    return sorted(label(permission) for permission in group.permissions.select_related("content_type"))


@contextmanager
def _setting(name: str, value: str) -> Iterator[None]:
    """Set a transaction-local setting and restore it at the end; a rollback restores it too."""
    with transaction.atomic():
        before = _set(name, value)
        yield
        if not connection.needs_rollback:
            _set(name, before)


@transaction_required
def _set(name: str, value: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s, true)", [name])
        (before,) = cursor.fetchone()
        cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
    return before or ""
