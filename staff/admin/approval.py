"""Admin page of approvals by a second person."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core.admin import EMPTY, ReadOnlyAdmin, ReadOnlyInline, badge, breakable, column, moment, object_link
from staff.admin.proposal import described
from staff.models import AccountProposal, Approval, Vote
from staff.services import account
from staff.services import approval as approval_service

STATUS_COLOURS = {
    Approval.Status.PENDING: "warning",
    Approval.Status.APPROVED: "success",
    Approval.Status.REJECTED: "danger",
    Approval.Status.CANCELLED: "",
}

_KINDS = {"ledger.adjustment": _("Adjustment of the books"), account.KIND: _("Account that approves")}
_subject = column("subject", _("about"), lambda approval: object_link(approval.subject))


def _what(approval: Approval) -> str:
    """What an account would be granted; other kinds are described on the object's page."""
    if approval.kind != account.KIND:
        return EMPTY
    proposal = AccountProposal.objects.filter(public_id=approval.subject).select_related("user", "group").first()
    return EMPTY if proposal is None else described(proposal)


_kind = column("kind", _("action"), lambda approval: _KINDS.get(approval.kind, approval.kind), order="kind")
_action = column(
    "action",
    _("action"),
    lambda a: _what(a) if a.kind == account.KIND else _KINDS.get(a.kind, a.kind),
    order="kind",
)


class VoteInline(ReadOnlyInline):
    model = Vote
    fields = [
        moment("created_at", _("when"), seconds=True),
        badge("decision", {Vote.Decision.APPROVE: "success", Vote.Decision.REJECT: "danger"}, _("decision")),
        "user",
        "comment",
    ]


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    """List of approvals. Each line links to the object's page, which has the buttons."""

    list_filter = ["status"]
    search_fields = ["public_id__exact", "subject__exact", "maker__username"]
    list_select_related = ["maker"]
    inlines = [VoteInline]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [
            _action,
            _subject,
            badge("status", STATUS_COLOURS, _("status")),
            "maker",
            moment("created_at", _("proposed")),
            moment("expires_at", _("expires")),
            _who_may_decide(),
        ]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = [
            ("public_id", badge("status", STATUS_COLOURS, _("status"))),
            (_kind, _subject),
            column("what", _("what is granted"), _what),
            ("maker", moment("created_at", _("proposed"))),
            (moment("expires_at", _("expires")), moment("resolved_at", _("decided"))),
            _who_may_decide(),
            column("sha256", _("SHA-256 of the content"), lambda approval: breakable(approval.content_sha256)),
        ]
        return [(None, {"fields": fields})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return flatten_fieldsets(self.get_fieldsets(request, obj))


def _who_may_decide() -> Any:
    """A column with the accounts that may decide, without barred ones; queries the permission once per page."""
    names: list[tuple[int, str]] = []

    def show(approval: Approval) -> str:
        if approval.status != Approval.Status.PENDING:
            return EMPTY
        if not names:
            names.extend((user.pk, user.get_username()) for user in approval_service.deciders())
        barred = approval_service.barred(approval)
        others = [name for pk, name in names if pk not in barred]
        return ", ".join(others[:5]) + (" …" if len(others) > 5 else "") if others else str(_("no eligible account"))

    return column("deciders", _("who may decide"), show)
