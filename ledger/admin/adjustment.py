from __future__ import annotations

import logging
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget

from core import clock
from core.admin import (
    EMPTY,
    ModeFilter,
    ReadOnlyAdmin,
    action_page,
    badge,
    breakable,
    column,
    day,
    format_moment,
    found_object,
    in_one_line,
    mode,
    moment,
    object_link,
    related,
    show_refusal,
)
from core.errors import RequestRefused
from core.files import as_download
from core.money import format_mxn
from ledger.admin.account import account_link
from ledger.admin.adjustment_form import AdjustmentForm, accounts_offered, said_to_people
from ledger.models import Account, Adjustment, Transaction
from ledger.services import adjustment as service
from staff.models import Vote
from staff.services import approval as approval_service

logger = logging.getLogger(__name__)

STATUS_COLOURS = {
    Adjustment.Status.PROPOSED: "warning",
    Adjustment.Status.POSTED: "success",
    Adjustment.Status.REJECTED: "danger",
}

_amount = column("amount", _("amount"), lambda a: in_one_line(_debits(a)))
_evidence = column(
    "evidence",
    _("evidence"),
    lambda a: format_html(
        '<a class="text-link" href="{}">{}</a>',
        reverse("admin:ledger_adjustment_evidence", args=[a.public_id]),
        a.evidence_name,
    ),
)


def _debits(found: Adjustment) -> str:
    return format_mxn(sum(leg["amount"] for leg in found.legs if leg["amount"] > 0))


class CommentForm(forms.Form):
    """What a second person says to it."""

    comment = forms.CharField(
        label=_("comment"), required=False, max_length=500, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3})
    )


@admin.register(Adjustment)
class AdjustmentAdmin(ReadOnlyAdmin):
    list_display = [
        "public_id",
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
    actions_detail = ["approve", "reject", "withdraw"]
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
                    (_evidence, column("sha256", "SHA-256", lambda a: breakable(a.evidence_sha256))),
                    (moment("effective_at", _("effective")), day("operating_date", _("operating date"))),
                    ("maker", moment("created_at", _("proposed"))),
                ]
            },
        )
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return all(request.user.has_perm(p) for p in ("ledger.add_adjustment", "staff.add_approval"))

    def get_urls(self) -> list[URLPattern]:
        evidence = self.admin_site.admin_view(self.evidence)
        return [path("<str:public_id>/evidence/", evidence, name="ledger_adjustment_evidence"), *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Propose. What the service refuses is said on the form, and nothing is written."""
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
        context = {**(extra_context or {}), "trail": _trail(found) if shown else []}
        return super().change_view(request, object_id, form_url, context)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        found = self.get_object(request, str(object_id))
        asked = service.approval_of(found) if found is not None else None
        offered = set()
        if asked is not None and approval_service.may_decide(asked, request.user):  # type: ignore[arg-type]
            offered = {"approve", "reject"}
        elif asked is not None and asked.status == asked.Status.PENDING and asked.maker_id == request.user.pk:
            offered = {"withdraw"}
        steps = super().get_actions_detail(request, object_id)
        return [step for step in steps if step.method.original_function_name in offered]

    @action(
        description=_("Approve"),
        permissions=["staff.decide_approval"],
        url_path="approve",
        icon="check",
        variant=ActionVariant.SUCCESS,
    )
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        text = _("It is posted in the books at once and cannot be undone, only reversed.")
        return self._vote(request, object_id, _("Approve adjustment"), Vote.Decision.APPROVE, text)

    @action(
        description=_("Reject"),
        permissions=["staff.decide_approval"],
        url_path="reject",
        icon="close",
        variant=ActionVariant.DANGER,
    )
    def reject(self, request: HttpRequest, object_id: str) -> HttpResponse:
        text = _("The books stay as they are. Say why.")
        return self._vote(request, object_id, _("Reject adjustment"), Vote.Decision.REJECT, text)

    @action(description=_("Withdraw"), permissions=["staff.add_approval"], url_path="withdraw", icon="undo")
    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = found_object(self, request, object_id)

        def run(data: dict[str, Any]) -> None:
            approval_service.cancel(_approval_pk(found), request.user)  # type: ignore[arg-type]

        text = _("Nobody decides about it any more; the books stay as they are.")
        return action_page(self, request, found, title=_("Withdraw adjustment"), run=run, text=text)

    def evidence(self, request: HttpRequest, public_id: str) -> FileResponse:
        """The evidence, as a download that no browser runs. Who asked is logged, also if it is refused."""
        who = {"adjustment": public_id, "staff": request.user.get_username()}
        if not self.has_view_permission(request):
            logger.warning("evidence refused", extra=who)
            raise PermissionDenied
        found = Adjustment.objects.filter(public_id=public_id).first()
        if found is None:
            raise Http404
        try:
            content = found.evidence.open("rb")
        except FileNotFoundError:
            logger.error("evidence is missing in storage", extra=who)
            raise Http404 from None
        logger.info("evidence read", extra=who)
        return as_download(content, name=found.evidence_name, content_type=found.evidence_type)

    def _vote(self, request: HttpRequest, object_id: str, title: Any, decision: str, text: Any) -> HttpResponse:
        found = found_object(self, request, object_id)

        def run(data: dict[str, Any]) -> None:
            with said_to_people():
                approval_service.vote(_approval_pk(found), request.user, decision, data["comment"])  # type: ignore[arg-type]

        danger = decision == Vote.Decision.REJECT
        text = f"{found.description}: {_debits(found)}. {text}"
        return action_page(self, request, found, title=title, form_class=CommentForm, run=run, text=text, danger=danger)


def _approval_pk(found: Adjustment) -> int:
    asked = service.approval_of(found)
    if asked is None:
        raise Http404
    return asked.pk


def _empty_form(request: HttpRequest) -> AdjustmentForm:
    """A form for now; an account's page may name its account and mode."""
    now = timezone.localtime(clock.now(), clock.MEXICO_CITY)
    initial = {
        "effective_at": now.replace(second=0, microsecond=0),
        "operating_date": service.operating_date_of(now),
        "account_0": request.GET.get("account", ""),
        "livemode": "test" if request.GET.get("mode") == "test" else "live",
    }
    return AdjustmentForm(initial=initial)


def _trail(found: Adjustment) -> list[dict[str, Any]]:
    """Below the page: its legs, who decided what, and the transaction it became."""
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
        decided = [
            [
                format_moment(v.created_at, seconds=True),
                v.get_decision_display(),
                v.user.get_username(),
                v.comment or EMPTY,
            ]
            for v in asked.votes.select_related("user")
        ]
        if not decided and asked.status == asked.Status.PENDING:
            until = format_moment(asked.expires_at)
            waiting = _("until %(moment)s") % {"moment": until}
            decided = [["", str(_("waiting for a second person")), "", str(waiting)]]
        tables.append(
            {
                "title": _("Decision"),
                "headers": [_("when"), _("decision"), _("by"), _("comment")],
                "rows": decided,
            }
        )
    posted = [
        [object_link(t.public_id), format_moment(t.recorded_at, seconds=True)]
        for t in Transaction.objects.filter(source=found.public_id)
    ]
    if posted:
        tables.append({"title": _("Ledger transactions"), "headers": [_("transaction"), _("recorded")], "rows": posted})
    return tables
