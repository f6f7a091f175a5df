"""Who works here, and what waits for a second person.

Only a superuser changes accounts: whoever may edit users could make a superuser of anybody.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from core.admin import EMPTY, ReadOnlyAdmin, ReadOnlyInline, badge, breakable, column, moment, object_link
from core.admin_list import ListAdmin
from staff.models import Approval, Vote
from staff.services import approval as approval_service

admin.site.unregister(User)
admin.site.unregister(Group)


class SuperuserOnly(ListAdmin):
    """Others may look, if their permissions say so."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(SuperuserOnly, DjangoUserAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    actions = None


@admin.register(Group)
class GroupAdmin(SuperuserOnly, DjangoGroupAdmin):
    actions = None


STATUS_COLOURS = {
    Approval.Status.PENDING: "warning",
    Approval.Status.APPROVED: "success",
    Approval.Status.REJECTED: "danger",
    Approval.Status.CANCELLED: "",
}

_KINDS = {"ledger.adjustment": _("Adjustment of the books")}
_kind = column("kind", _("action"), lambda approval: _KINDS.get(approval.kind, approval.kind), order="kind")
_subject = column("subject", _("about"), lambda approval: object_link(approval.subject))


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
    """The inbox: each line leads to what is to be decided about, where the buttons are."""

    list_filter = ["status"]
    search_fields = ["public_id__exact", "subject__exact", "maker__username"]
    list_select_related = ["maker"]
    inlines = [VoteInline]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [
            _kind,
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
            ("maker", moment("created_at", _("proposed"))),
            (moment("expires_at", _("expires")), moment("resolved_at", _("decided"))),
            _who_may_decide(),
            column("sha256", _("SHA-256 of the content"), lambda approval: breakable(approval.content_sha256)),
        ]
        return [(None, {"fields": fields})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return flatten_fieldsets(self.get_fieldsets(request, obj))


def _who_may_decide() -> Any:
    """A column with everybody but the maker who may decide; looked up once for all lines."""
    names: list[tuple[int, str]] = []

    def show(approval: Approval) -> str:
        if approval.status != Approval.Status.PENDING:
            return EMPTY
        if not names:
            names.extend((user.pk, user.get_username()) for user in approval_service.deciders())
        others = [name for pk, name in names if pk != approval.maker_id]
        return ", ".join(others[:5]) + (" …" if len(others) > 5 else "") if others else str(_("nobody yet"))

    return column("deciders", _("who may decide"), show)
