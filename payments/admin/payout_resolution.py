"""Admin pages of resolutions of payouts, and the checklist for people who look at a payout."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminRadioSelectWidget, UnfoldAdminTextareaWidget

from core.admin import EMPTY, badge, breakable, column, format_moment, id_column, label, moment, object_link, related
from core.forms import MomentField
from payments.admin.payout_words import why_staff
from payments.admin.provider_call import outcome_label
from payments.models import Payout, PayoutResolution, ProviderCall
from payments.services import payout_outcome
from payments.services import payout_resolution as service
from staff.admin.decision import DecisionAdmin
from staff.admin.evidence import EvidenceMixin, evidence_link
from staff.models import Approval
from staff.services import approval

STATUS_COLOURS = {
    PayoutResolution.Status.PROPOSED: "warning",
    PayoutResolution.Status.APPLIED: "success",
    PayoutResolution.Status.REJECTED: "danger",
}


def resolution_form(possible: list[str]) -> type[forms.Form]:
    """Form for a resolution, with the decisions that can be made now."""
    choices = [(value, text) for value, text in PayoutResolution.Decision.choices if value in possible]

    class ResolutionForm(forms.Form):
        decision = forms.ChoiceField(
            label=gettext_lazy("decision"), choices=choices, widget=UnfoldAdminRadioSelectWidget()
        )
        happened_at = MomentField(
            label=gettext_lazy("when it happened"),
            required=False,
            help_text=gettext_lazy(
                "When the money was settled or came back, in Mexico City time, as the provider says. Now if empty."
            ),
        )
        reason = forms.CharField(
            label=gettext_lazy("evidence in words"),
            max_length=500,
            help_text=gettext_lazy("Who confirmed it at the provider, how, and with which reference. It is kept."),
            widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        )
        file = forms.FileField(
            label=gettext_lazy("evidence"),
            required=False,
            help_text=gettext_lazy("JPEG, PNG or PDF, at most 10 MiB."),
            widget=UnfoldAdminFileFieldWidget,
        )

    return ResolutionForm


def checklist(payout: Payout) -> dict[str, Any]:
    """What is known of the payout, what happens by itself, and what people may decide now, as a table."""
    known = service.evidence(payout)
    question = known.last_question
    rows = [
        [_("Why a person must look"), why_staff(payout) or _("no reason at present"), EMPTY],
        [_("Calls that sent it"), _calls(known), format_moment(payout.send_started_at, seconds=True)],
        [_("The provider's words"), breakable(payout.send_detail) if payout.send_detail else EMPTY, EMPTY],
        [
            _("Last question about it alone"),
            outcome_label(question) if question else _("none: the list of a day answers for several"),
            format_moment(question.began_at, seconds=True) if question else EMPTY,
        ],
        [_("Questions so far"), _("asked %(number)d times") % {"number": payout.inquiries}, EMPTY],
        [_("The provider lacks the order"), _lacks(payout), format_moment(payout.not_found_at, seconds=True)],
        [_("Next step by itself"), _next(payout), format_moment(payout.next_attempt_at, seconds=True)],
    ]
    if known.fails_from is not None:
        rows.append(
            [
                _("Fails by itself"),
                _("not before then: after two answers that it lacks the order, and the day's list without it"),
                format_moment(known.fails_from, seconds=True),
            ]
        )
    for decision, text in PayoutResolution.Decision.choices:
        why = known.refusals[decision]
        shown = why or label(_("possible, by two people with evidence"), "success")
        rows.append([_("To decide: %(decision)s") % {"decision": text}, shown, EMPTY])
    return {"title": _("Checklist"), "headers": [_("check"), _("finding"), _("when")], "rows": rows}


def resolutions_of(payout: Payout) -> dict[str, Any]:
    """The payout's resolutions as a table."""
    rows = [
        [
            object_link(one.public_id),
            one.get_decision_display(),
            label(one.get_status_display(), STATUS_COLOURS[PayoutResolution.Status(one.status)]),
            one.maker.get_username(),
            format_moment(one.created_at, seconds=True),
        ]
        for one in payout.resolutions.select_related("maker").order_by("id")
    ]
    headers = [_("resolution"), _("decision"), _("status"), _("proposed by"), _("proposed")]
    return {"title": _("Resolutions"), "headers": headers, "rows": rows}


def _calls(known: service.Evidence) -> str:
    texts = {**dict(ProviderCall.Outcome.choices), service.OPEN_CALL: _("no response yet")}
    return ", ".join(f"{number} {texts[outcome]}" for outcome, number in known.calls.items()) or _("none")


def _lacks(payout: Payout) -> str:
    return _("said once; a second answer must agree") if payout.not_found_at else _("it has not said so")


def _next(payout: Payout) -> str:
    if payout.next_attempt_at is None or payout.needs_staff == payout_outcome.REPORTED_UNSENT:
        return _("nothing")
    if payout.status == Payout.Status.PENDING or payout.send_outcome == Payout.SendOutcome.NOT_SENT:
        return _("it is sent, if nothing delays it")
    return _("the provider is asked")


@admin.register(PayoutResolution)
class PayoutResolutionAdmin(EvidenceMixin, DecisionAdmin):
    """What people decided, or want to decide, about a payout."""

    list_display = [
        id_column(),
        moment("created_at", gettext_lazy("proposed")),
        related("payout", gettext_lazy("payout")),
        "decision",
        badge("status", STATUS_COLOURS, gettext_lazy("status")),
        "maker",
        moment("resolved_at", gettext_lazy("decided")),
    ]
    list_filter = ["status", "decision"]
    search_fields = ["public_id__exact", "payout__public_id__exact", "maker__username"]
    list_select_related = ["payout", "maker"]
    change_form_outer_after_template = "backoffice/trail.html"
    titles = {
        "approve": gettext_lazy("Approve resolution"),
        "reject": gettext_lazy("Reject resolution"),
        "withdraw": gettext_lazy("Withdraw resolution"),
    }
    texts = {
        "approve": gettext_lazy("It is carried out and booked at once, and cannot be undone."),
        "reject": gettext_lazy("The payout stays as it is. Say why."),
        "withdraw": gettext_lazy("The payout stays as it is."),
    }
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", related("payout", gettext_lazy("payout"))),
                    ("decision", badge("status", STATUS_COLOURS, gettext_lazy("status"))),
                    moment("happened_at", gettext_lazy("when it happened"), seconds=True),
                    "reason",
                    (evidence_link, column("sha256", "SHA-256", lambda r: breakable(r.evidence_sha256 or EMPTY))),
                    ("maker", moment("created_at", gettext_lazy("proposed"), seconds=True)),
                ]
            },
        )
    ]

    def approval_of(self, obj: PayoutResolution) -> Approval | None:
        return service.approval_of(obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        decides = all(request.user.has_perm(name) for name in ("payments.resolve_payout", approval.DECIDE))
        return decides or super().has_view_permission(request, obj)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = self.get_object(request, object_id)
        trail: list[dict[str, Any]] = []
        if found is not None and self.has_view_permission(request, found):
            asked = self.approval_of(found)
            trail = [*([self.decision_table(asked)] if asked is not None else []), checklist(found.payout)]
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "trail": trail})
