"""Admin page of approvals by a second person."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from core.admin import EMPTY, ReadOnlyAdmin, ReadOnlyInline, badge, breakable, column, moment, object_link, short_id
from staff.models import Approval, Vote
from staff.services import approval as approval_service

STATUS_COLOURS = {
    Approval.Status.PENDING: "warning",
    Approval.Status.APPROVED: "success",
    Approval.Status.REJECTED: "danger",
    Approval.Status.CANCELLED: "",
    Approval.Status.EXPIRED: "",
}


def _title(approval: Approval) -> str:
    kind = approval_service.kind_of(approval.kind)
    return approval.kind if kind is None else str(kind.title)


def _subject(approval: Approval, text: str = "") -> str:
    kind = approval_service.kind_of(approval.kind)
    if kind is None:
        return text or approval.subject
    url = reverse(f"admin:{kind.page}_change", args=[approval.subject])
    return format_html('<a href="{}" class="text-link">{}</a>', url, text or approval.subject)


def _lines(approval: Approval) -> list[tuple[str]]:
    return [(line,) for line in approval_service.describe(approval)]


def _what(approval: Approval) -> str:
    return format_html_join("", "<p>{}</p>", _lines(approval)) or EMPTY


def _action(approval: Approval) -> str:
    return format_html("{}{}", _title(approval), format_html_join("", "<p>{}</p>", _lines(approval)))


def _maker(approval: Approval, text: str = "") -> str:
    return approval.maker.get_username() if approval.maker else object_link(approval.maker_key, text)


def _issuers(approval: Approval) -> str:
    issuers = User.objects.filter(pk__in=filter(None, approval.issuers)).order_by("username")
    names = [user.get_username() for user in issuers]
    if None in approval.issuers:
        names.append(str(_("command on the host")))
    return ", ".join(names) or EMPTY


def _approvals(approval: Approval) -> str:
    given = sum(given.decision == Vote.Decision.APPROVE for given in approval.votes.all())
    return str(_("%(given)d of %(needed)d") % {"given": given, "needed": approval.approvers})


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
    """List of approvals of every kind. Each line links to the object's page, which has the buttons."""

    list_filter = ["status"]
    search_fields = ["public_id__exact", "subject__exact", "maker__username", "maker_key__exact"]
    list_select_related = ["maker"]
    inlines = [VoteInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Approval]:
        return super().get_queryset(request).prefetch_related("votes")

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [
            column("kind", _("action"), _action, order="kind"),
            column("subject", _("about"), lambda a: _subject(a, short_id(a.subject))),
            badge("status", STATUS_COLOURS, _("status")),
            column("maker", _("proposed by"), lambda a: _maker(a, short_id(a.maker_key)), order="maker__username"),
            moment("expires_at", _("expires")),
            column("approvals", _("approvals"), _approvals),
            _who_may_decide(),
        ]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = [
            ("public_id", badge("status", STATUS_COLOURS, _("status"))),
            (column("kind", _("action"), _title), column("subject", _("about"), _subject)),
            column("what", _("what would be done"), _what),
            (column("maker", _("proposed by"), _maker), moment("created_at", _("proposed"))),
            column("issuers", _("API key issued by"), _issuers),
            (moment("expires_at", _("expires")), moment("resolved_at", _("decided"))),
            (column("approvals", _("approvals"), _approvals), _who_may_decide()),
            column("sha256", _("SHA-256 of the content"), lambda approval: breakable(approval.content_sha256)),
        ]
        return [(None, {"fields": fields})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return flatten_fieldsets(self.get_fieldsets(request, obj))


def _who_may_decide() -> Any:
    """A column with the accounts that may still vote, without barred ones; queries the permissions once per page."""
    names: dict[str, list[tuple[int, str]]] = {}

    def show(approval: Approval) -> str:
        if approval.status != Approval.Status.PENDING:
            return EMPTY
        if approval.kind not in names:
            deciders = approval_service.deciders(approval.kind)
            names[approval.kind] = [(user.pk, user.get_username()) for user in deciders]
        barred = approval_service.barred(approval)
        others = [name for pk, name in names[approval.kind] if pk not in barred]
        return ", ".join(others[:5]) + (" …" if len(others) > 5 else "") if others else str(_("no eligible account"))

    return column("deciders", _("who may decide"), show)
