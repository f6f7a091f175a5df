"""Admin pages of payouts: the list, the desk for those that need a person, and one payout with its actions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RadioFilter, RelatedDropdownFilter
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.paginator import InfinitePaginator

from core.admin import (
    EMPTY,
    DayRangeFilter,
    ModeFilter,
    ReadOnlyInline,
    action_page,
    badge,
    column,
    day,
    failure,
    id_column,
    label,
    mode,
    moment,
    money,
    object_link,
    object_or_404,
    related,
    staff_origin,
    transition_fields,
)
from core.errors import PaymentsError
from core.money import format_mxn
from core.mx import clabe
from core.search import search_rows
from core.unit_of_work import unit_of_work
from payments.admin.deposit import provider_account
from payments.admin.payout_form import PayoutForm
from payments.admin.payout_resolution import resolution_form
from payments.admin.payout_words import return_cause, why_staff
from payments.models import Payout, PayoutTransition
from payments.models.payout import APPROVAL_KIND, PAYOUT_SEARCH_TEXT
from payments.services import payout as service
from payments.services import payout_resolution
from staff.admin.decision import DecisionAdmin
from staff.models import Approval
from staff.services import approval

STATUS_COLOURS = {
    Payout.Status.PENDING_APPROVAL: "warning",
    Payout.Status.PENDING: "warning",
    Payout.Status.PROCESSING: "info",
    Payout.Status.COMPLETED: "success",
    Payout.Status.FAILED: "danger",
    Payout.Status.REJECTED: "danger",
    Payout.Status.CANCELLED: "",
    Payout.Status.RETURNED: "danger",
}
OUTCOME_COLOURS = {
    Payout.SendOutcome.ACCEPTED: "success",
    Payout.SendOutcome.REFUSED: "danger",
    Payout.SendOutcome.UNKNOWN: "danger",
}


def _going_on(payout: Payout) -> str:
    """Why a person must look, otherwise what the payout waits for."""
    if why := why_staff(payout):
        return label(why, "danger")
    return payout.get_waiting_for_display() if payout.waiting_for else EMPTY


def _bank(payout: Payout) -> str:
    return clabe.institution_name(payout.destination_bank) or payout.destination_bank


class AttentionFilter(RadioFilter):
    """Filter by what staff has to do: the desk of payouts that need a person."""

    title = _("to look at")
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("person", _("need a person")),
            ("unknown", _("outcome unknown")),
            ("delayed", _("delayed")),
            ("liquidity", _("wait for money at the provider")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Payout]) -> QuerySet[Payout]:
        return payout_resolution.narrowed(queryset, self.value() or "")


def _return_case(payout: Payout) -> str:
    case = payout.return_cases.first()
    return object_link(case.public_id) if case else EMPTY


class PayoutTransitionInline(ReadOnlyInline):
    model = PayoutTransition
    fields = transition_fields(Payout.Status, STATUS_COLOURS)
    verbose_name_plural = _("history")


@admin.register(Payout)
class PayoutAdmin(DecisionAdmin):
    """Payouts. What is decided about one is decided by the service and, where it must be, by a second person."""

    paginator = InfinitePaginator
    list_display = [
        id_column(),
        moment("created_at", _("created")),
        related("merchant", _("merchant")),
        money("amount", _("amount")),
        "destination_name",
        column("bank", _("bank"), _bank),
        badge("status", STATUS_COLOURS, _("status")),
        column("going_on", _("what it waits for"), _going_on),
        mode(),
    ]
    list_filter = [
        ("created_at", DayRangeFilter),
        AttentionFilter,
        ("status", ChoicesDropdownFilter),
        ("waiting_for", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("merchant", RelatedDropdownFilter),
        ModeFilter,
    ]
    search_fields = ["public_id"]
    search_help_text = _("Id, tracking key, CLABE, beneficiary or merchant's id")
    list_select_related = ["merchant"]
    ordering = ["-id"]
    inlines = [PayoutTransitionInline]
    actions_detail = ["approve", "reject", "withdraw", "resolve", "ask", "cancel"]
    titles = {"approve": _("Approve payout"), "reject": _("Reject payout"), "withdraw": _("Withdraw payout")}
    texts = {
        "approve": _("It is sent as soon as nothing else delays it."),
        "reject": _("Nothing is sent, and the money is available again. Say why."),
        "withdraw": _("Nothing is sent, and the money is available again."),
    }
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", related("merchant", _("merchant"))),
                    (badge("status", STATUS_COLOURS, _("status")), mode()),
                    (money("amount", _("amount")), "kind"),
                    related("refund", _("refund")),
                    (money("fee", _("fee")), money("fee_tax", _("IVA on the fee"))),
                    ("concept", "reference_number"),
                    ("external_id", failure()),
                    (moment("created_at", _("created"), seconds=True), moment("scheduled_for", _("scheduled for"))),
                ]
            },
        ),
        (
            _("Where it goes"),
            {
                "fields": [
                    ("destination_name", "destination_tax_id"),
                    ("destination_clabe", column("bank", _("bank"), _bank)),
                ]
            },
        ),
        (
            _("Sending"),
            {
                "fields": [
                    (column("going_on", _("what it waits for"), _going_on), moment("next_attempt_at", _("next step"))),
                    (badge("send_outcome", OUTCOME_COLOURS, _("outcome of sending")), "send_detail"),
                    ("tracking_key", day("operating_date", _("operating date"))),
                    (provider_account, "order_id"),
                    (moment("first_sent_at", _("first sent"), seconds=True), "sends"),
                ]
            },
        ),
        (
            _("Outcome"),
            {
                "fields": [
                    (
                        moment("liquidated_at", _("settled"), seconds=True),
                        moment("completed_at", _("completed at"), seconds=True),
                    ),
                    (
                        moment("returned_at", _("returned at"), seconds=True),
                        column("return_cause", _("cause of return"), return_cause),
                    ),
                    (
                        column("return_case", _("returning transfer"), _return_case),
                        column("return_key", _("its tracking key"), lambda p: p.return_tracking_key or EMPTY),
                    ),
                ]
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Payout]:
        return super().get_queryset(request).select_related("merchant", "provider_account")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Payout], search_term: str
    ) -> tuple[QuerySet[Payout], bool]:
        return search_rows(queryset, search_term, PAYOUT_SEARCH_TEXT), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return all(request.user.has_perm(name) for name in ("payments.add_payout", approval.PROPOSE))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        decides = all(request.user.has_perm(name) for name in ("payments.approve_payout", approval.DECIDE))
        return decides or super().has_view_permission(request, obj)

    def approval_of(self, obj: Payout) -> Approval | None:
        return approval.of(APPROVAL_KIND, obj.public_id)

    def offered(self, request: HttpRequest, obj: Payout) -> set[str]:
        names = super().offered(request, obj)
        if obj.status in service.OPEN and obj.kind == Payout.Kind.MERCHANT:
            names.add("cancel")
        if payout_resolution.may_be_asked(obj):
            names.add("ask")
        if payout_resolution.possible(obj):
            names.add("resolve")
        return names

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form with which a person proposes a payout. Refusals of the service are shown on it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = PayoutForm(request.POST) if request.method == "POST" else PayoutForm(initial={"livemode": "live"})
        for field in form.fields.values():
            field.label = capfirst(field.label)
        if request.method == "POST" and form.is_valid():
            try:
                with unit_of_work():
                    created = service.create(
                        form.cleaned_data["merchant"],
                        livemode=form.cleaned_data["livemode"],
                        wanted=form.wanted(),
                        maker=request.user,  # type: ignore[arg-type]
                        origin=staff_origin(request),
                    )
            except PaymentsError as refused:
                form.show(refused)
            else:
                self.log_addition(request, created, str(_("Propose payout")))
                return HttpResponseRedirect(reverse("admin:payments_payout_change", args=[created.public_id]))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Propose payout"),
            "question": _("Propose payout"),
            "text": _("The money is held at once. Nothing is sent until a second person approves it."),
            "opts": Payout._meta,
            "form": form,
            "back": reverse("admin:payments_payout_changelist"),
        }
        return TemplateResponse(request, "admin/action_page.html", context)

    @action(
        description=_("Ask the provider now"),
        permissions=["payments.resolve_payout"],
        url_path="ask",
        icon="contact_support",
    )
    def ask(self, request: HttpRequest, object_id: str) -> HttpResponse:
        payout = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> None:
            payout_resolution.ask_now(payout.pk)

        text = _(
            "The worker asks the provider about the order. The payout follows what the provider answers; the answer is "
            "among the provider calls below."
        )
        return action_page(self, request, payout, title=_("Ask the provider now"), run=run, text=text)

    @action(
        description=_("Cancel payout"),
        permissions=["payments.cancel_payout"],
        url_path="cancel",
        icon="cancel",
        variant=ActionVariant.DANGER,
    )
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        payout = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> None:
            service.cancel(payout.public_id, origin=staff_origin(request))

        text = _("Nothing is sent, and %(total)s are available to %(merchant)s again.") % {
            "total": format_mxn(payout.total),
            "merchant": payout.merchant.name,
        }
        return action_page(self, request, payout, title=_("Cancel payout"), run=run, text=text, danger=True)

    @action(
        description=_("Resolve"),
        permissions=["payments.resolve_payout", approval.PROPOSE],
        url_path="resolve",
        icon="gavel",
    )
    def resolve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        payout = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> HttpResponse:
            proposed = payout_resolution.propose(payout.pk, maker=request.user, **data)  # type: ignore[arg-type]
            return HttpResponseRedirect(reverse("admin:payments_payoutresolution_change", args=[proposed.public_id]))

        return action_page(
            self,
            request,
            payout,
            title=_("Resolve payout"),
            form_class=resolution_form(payout_resolution.possible(payout)),
            run=run,
            text=_("Nothing changes until a second person approves it. Read the checklist on the payout's page first."),
        )
