from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from core import calendar, clock
from core.admin import (
    ModeFilter,
    badge,
    breakable,
    column,
    day,
    format_moment,
    id_column,
    in_one_line,
    mode,
    moment,
    object_link,
    related,
)
from core.errors import RequestRefused
from core.forms import show_refusal
from core.money import format_mxn
from ledger.admin.account import account_link
from ledger.admin.adjustment_form import AdjustmentForm, accounts_offered, said_to_people
from ledger.models import Account, Adjustment, Transaction
from ledger.services import adjustment as service
from staff.admin.decision import DecisionAdmin
from staff.admin.evidence import EvidenceMixin, evidence_link
from staff.models import Approval

STATUS_COLOURS = {
    Adjustment.Status.PROPOSED: "warning",
    Adjustment.Status.POSTED: "success",
    Adjustment.Status.REJECTED: "danger",
}

_amount = column("amount", _("amount"), lambda a: in_one_line(format_mxn(service.debits(a))))


@admin.register(Adjustment)
class AdjustmentAdmin(EvidenceMixin, DecisionAdmin):
    list_display = [
        id_column(),
        moment("created_at", _("proposed")),
        badge("status", STATUS_COLOURS, _("status")),
        _amount,
        "description",
        "maker",
        mode(),
    ]
    list_filter = ["status", ModeFilter]
    search_fields = ["public_id__exact", "description", "reason", "maker__username"]
    list_select_related = ["maker"]
    titles = {
        "approve": _("Approve adjustment"),
        "reject": _("Reject adjustment"),
        "withdraw": _("Withdraw adjustment"),
    }
    texts = {
        "approve": _("It is posted in the books at once and cannot be undone, only reversed."),
        "reject": _("The books stay as they are. Say why."),
        "withdraw": _("The proposal is closed without a decision; the books stay as they are."),
    }
    refusals = staticmethod(said_to_people)
    change_form_outer_after_template = "backoffice/trail.html"
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", mode()),
                    (badge("status", STATUS_COLOURS, _("status")), _amount),
                    ("description", related("reverses", _("reverses"))),
                    "reason",
                    (evidence_link, column("sha256", "SHA-256", lambda a: breakable(a.evidence_sha256))),
                    (moment("effective_at", _("effective")), day("operating_date", _("operating date"))),
                    ("maker", moment("created_at", _("proposed"))),
                ]
            },
        )
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return all(request.user.has_perm(p) for p in ("ledger.add_adjustment", "staff.add_approval"))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form for an adjustment. Refusals of the service are shown on it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = AdjustmentForm(request.POST, request.FILES) if request.method == "POST" else _empty_form(request)
        for field in form.fields.values():
            field.label = capfirst(field.label)
        if request.method == "POST" and form.is_valid():
            try:
                with said_to_people():
                    proposed = service.propose(maker=request.user, **form.cleaned_data)  # type: ignore[arg-type]
            except RequestRefused as refused:
                show_refusal(form, refused)
            else:
                self.log_addition(request, proposed, str(_("Propose adjustment")))
                return HttpResponseRedirect(reverse("admin:ledger_adjustment_change", args=[proposed.public_id]))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Propose adjustment"),
            "opts": Adjustment._meta,
            "form": form,
            "accounts": accounts_offered(),
            "back": reverse("admin:ledger_adjustment_changelist"),
        }
        return TemplateResponse(request, "ledger/adjustment_form.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = self.get_object(request, object_id)
        shown = found is not None and self.has_view_permission(request, found)
        context = {**(extra_context or {}), "trail": _trail(self, found) if shown else []}
        return super().change_view(request, object_id, form_url, context)

    def approval_of(self, obj: Adjustment) -> Approval | None:
        return service.approval_of(obj)


def _empty_form(request: HttpRequest) -> AdjustmentForm:
    """A form with the current time, and with the account and mode of the page that links to it."""
    now = timezone.localtime(clock.now(), clock.MEXICO_CITY)
    initial = {
        "effective_at": now.replace(second=0, microsecond=0),
        "operating_date": calendar.operating_date(now),
        "account_0": request.GET.get("account", ""),
        "livemode": "test" if request.GET.get("mode") == "test" else "live",
    }
    return AdjustmentForm(initial=initial)


def _trail(admin_page: AdjustmentAdmin, found: Adjustment) -> list[dict[str, Any]]:
    """Tables below the page: legs, votes and the posted transaction."""
    opened = {a.code: a for a in Account.objects.filter(code__in=[leg["account"] for leg in found.legs])}
    legs = [
        [
            account_link(opened[leg["account"]]) if leg["account"] in opened else leg["account"],
            format_mxn(leg["amount"]) if leg["amount"] > 0 else "",
            format_mxn(-leg["amount"]) if leg["amount"] < 0 else "",
        ]
        for leg in found.legs
    ]
    tables = [{"title": _("Legs"), "headers": [_("account"), _("debit"), _("credit")], "rows": legs}]
    asked = service.approval_of(found)
    if asked is not None:
        tables.append(admin_page.decision_table(asked))
    posted = [
        [object_link(t.public_id), format_moment(t.recorded_at, seconds=True)]
        for t in Transaction.objects.filter(source=found.public_id)
    ]
    if posted:
        tables.append({"title": _("Ledger transactions"), "headers": [_("transaction"), _("recorded")], "rows": posted})
    return tables
