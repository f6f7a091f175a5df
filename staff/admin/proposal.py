"""Admin pages of account proposals and of recorded account changes."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy

from core.admin import ReadOnlyAdmin, badge, column, moment
from staff.admin.decision import DecisionAdmin
from staff.models import AccountChange, AccountProposal, Approval
from staff.services import account


def described(proposal: AccountProposal) -> str:
    """The grants as HTML, one per line."""
    return format_html_join("", "<p>{}</p>", ((text,) for text in account.lines(proposal)))


@admin.register(AccountProposal)
class AccountProposalAdmin(DecisionAdmin):
    """Visible to users who may decide approvals, and to those with view permission."""

    list_display = [
        "public_id",
        column("what", gettext_lazy("what is granted"), described),
        "maker",
        moment("created_at", gettext_lazy("proposed")),
        moment("applied_at", gettext_lazy("carried out")),
    ]
    search_fields = ["public_id__exact", "user__username", "group__name", "maker__username"]
    list_select_related = ["user", "group", "maker"]
    change_form_outer_after_template = "backoffice/trail.html"
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "public_id",
                    column("what", gettext_lazy("what is granted"), described),
                    ("maker", moment("created_at", gettext_lazy("proposed"))),
                    moment("applied_at", gettext_lazy("carried out")),
                ]
            },
        )
    ]
    titles = {
        "approve": gettext_lazy("Approve account change"),
        "reject": gettext_lazy("Reject account change"),
        "withdraw": gettext_lazy("Withdraw account change"),
    }
    texts = {
        "approve": gettext_lazy("It takes effect at once."),
        "reject": gettext_lazy("The account stays as it is. Say why."),
        "withdraw": gettext_lazy("The account stays as it is."),
    }

    def approval_of(self, obj: AccountProposal) -> Approval | None:
        return account.approval_of(obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) or request.user.has_perm(account.DECIDE)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = self.get_object(request, object_id)
        asked = account.approval_of(found) if found is not None and self.has_view_permission(request, found) else None
        trail = [self.decision_table(asked)] if asked is not None else []
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "trail": trail})


@admin.register(AccountChange)
class AccountChangeAdmin(ReadOnlyAdmin):
    """Recorded account changes, from which barred votes are computed."""

    list_display = [
        moment("created_at", gettext_lazy("when"), seconds=True),
        "user",
        column("what", gettext_lazy("change"), lambda change: change.what),
        badge("source", {AccountChange.Source.UNKNOWN: "danger"}, gettext_lazy("source")),
        "actor",
    ]
    list_filter = ["kind", "source"]
    search_fields = ["user__username", "actor__username"]
    list_select_related = ["user", "actor"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("user", column("what", gettext_lazy("change"), lambda change: change.what)),
                    (badge("source", {AccountChange.Source.UNKNOWN: "danger"}, gettext_lazy("source")), "actor"),
                    moment("created_at", gettext_lazy("when"), seconds=True),
                ]
            },
        )
    ]
