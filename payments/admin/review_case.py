"""The review queue: deposits in suspense that staff must decide about, sorted by due date."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.timesince import timesince
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RadioFilter, RelatedDropdownFilter
from unfold.decorators import action
from unfold.paginator import InfinitePaginator

from core import clock
from core.admin import (
    EMPTY,
    DayRangeFilter,
    ModeFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    badge,
    column,
    day,
    id_column,
    in_one_line,
    label,
    mode,
    moment,
    object_link,
    object_or_404,
    related,
    staff_origin,
    transition_fields,
)
from core.errors import RequestRefused
from core.forms import show_refusal
from core.money import format_mxn
from core.mx import clabe
from payments.admin.review_case_decision import PayoutForm, ReasonForm, TargetForm, credited, matched, proposals
from payments.models import Deposit, ReviewCase, ReviewCaseTransition
from payments.services import payout_return
from payments.services import review_case as service

STATUS_COLOURS = {
    ReviewCase.Status.TO_MATCH: "warning",
    ReviewCase.Status.OPEN: "warning",
    ReviewCase.Status.CREDITED: "success",
    ReviewCase.Status.ASSIGNED: "success",
    ReviewCase.Status.MATCHED: "success",
}
ACTIONS = {
    ReviewCase.Status.TO_MATCH: ["match", "deny"],
    ReviewCase.Status.OPEN: ["credit", "assign", "match"],
}
"""Status of a case -> what people may do, once the money is proven. A possible return is first decided about."""


def _of_deposit(name: str, title: Any, show: Any) -> Any:
    return column(name, title, lambda case: show(case.deposit))


def _age(case: ReviewCase) -> str:
    return in_one_line(timesince(case.created_at, case.resolved_at or clock.now(), depth=1))


def _due(case: ReviewCase) -> str:
    """The time left or overdue; empty if it is resolved."""
    if not case.is_waiting:
        return EMPTY
    now = clock.now()
    if case.due_at <= now:
        return label(_("overdue by %(time)s") % {"time": timesince(case.due_at, now, depth=1)}, "danger")
    return label(_("%(time)s left") % {"time": timesince(now, case.due_at, depth=1)}, "info")


def _asked(case: ReviewCase) -> str:
    return in_one_line(format_mxn(case.payment.amount)) if case.payment else EMPTY


def _went_to(deposit: Any) -> Any:
    if deposit.status == deposit.Status.MATCHED:
        return object_link(deposit.review_case.payout.public_id)
    if deposit.status != deposit.Status.CREDITED:
        return EMPTY
    credited_to = deposit.payment or deposit.reusable_clabe
    return object_link(credited_to.public_id) if credited_to else EMPTY


def _returned_key(case: ReviewCase) -> str:
    """The tracking key of a payout that the transfer names; empty if it is the transfer's own."""
    return case.return_of if case.return_of != case.deposit.tracking_key else EMPTY


def _listed(case: ReviewCase) -> Any:
    """When the provider's list showed the transfer, or that nothing can be decided before."""
    if not case.is_proven:
        return _("not yet: it can be decided once the list, read every five minutes, shows it")
    return moment("listed_at", "", seconds=True)(case)


_amount = _of_deposit("amount", _("amount"), lambda d: in_one_line(format_mxn(d.amount)))


class DueFilter(RadioFilter):
    """Filter by due date."""

    title = _("due")
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("waiting", _("to be decided")), ("overdue", _("overdue")), ("in_time", _("in time"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        waiting = queryset.filter(resolved_at=None)
        if self.value() == "waiting":
            return waiting
        if self.value() == "overdue":
            return waiting.filter(due_at__lte=clock.now())
        return waiting.filter(due_at__gt=clock.now()) if self.value() == "in_time" else queryset


class ReviewCaseTransitionInline(ReadOnlyInline):
    model = ReviewCaseTransition
    fields = transition_fields(ReviewCase.Status, STATUS_COLOURS, Deposit.SuspenseReason)
    verbose_name_plural = _("history")


@admin.register(ReviewCase)
class ReviewCaseAdmin(ReadOnlyAdmin):
    """Each action requires a reason and shows its exact effect before it is confirmed."""

    change_form_outer_after_template = "backoffice/trail.html"
    paginator = InfinitePaginator
    list_display = [
        id_column(),
        column("due", _("due"), _due, order="due_at"),
        column("age", _("age"), _age, order="created_at"),
        _amount,
        "reason",
        related("merchant", _("merchant")),
        _of_deposit("payer", _("payer"), lambda d: d.payer_name or EMPTY),
        badge("status", STATUS_COLOURS, _("status")),
        mode(),
    ]
    list_filter = [
        ("status", ChoicesDropdownFilter),
        DueFilter,
        ("reason", ChoicesDropdownFilter),
        ("merchant", RelatedDropdownFilter),
        ("created_at", DayRangeFilter),
        ModeFilter,
    ]
    search_fields = [
        "public_id__exact",
        "deposit__public_id__exact",
        "deposit__tracking_key__exact",
        "deposit__clabe__exact",
        "payment__public_id__exact",
        "deposit__payer_name",
    ]
    list_select_related = ["merchant", "deposit", "payment"]
    ordering = ["due_at"]
    inlines = [ReviewCaseTransitionInline]
    actions_detail = ["credit", "assign", "match", "deny"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", mode()),
                    (badge("status", STATUS_COLOURS, _("status")), "reason"),
                    (column("due", _("due"), _due), column("age", _("age"), _age)),
                    (moment("created_at", _("created")), moment("resolved_at", _("resolved"))),
                ]
            },
        ),
        (
            _("The money"),
            {
                "fields": [
                    (_amount, _of_deposit("deposit", _("deposit"), lambda d: object_link(d.public_id))),
                    (
                        _of_deposit("payer", _("payer"), lambda d: d.payer_name or EMPTY),
                        _of_deposit(
                            "payer_account", _("payer's account"), lambda d: clabe.mask(d.payer_account) or EMPTY
                        ),
                    ),
                    (
                        _of_deposit(
                            "payer_bank",
                            _("payer's bank"),
                            lambda d: clabe.institution_name(d.payer_institution) or EMPTY,
                        ),
                        _of_deposit("concept", _("concept"), lambda d: d.concept or EMPTY),
                    ),
                    (
                        _of_deposit("clabe", _("CLABE"), lambda d: d.clabe or EMPTY),
                        _of_deposit("tracking_key", _("tracking key"), lambda d: d.tracking_key or EMPTY),
                    ),
                    (
                        _of_deposit("paid", _("paid"), lambda d: moment("paid_at", "", seconds=True)(d)),
                        _of_deposit("operating_date", _("operating date"), lambda d: day("operating_date", "")(d)),
                    ),
                    (
                        _of_deposit("event", _("provider event"), lambda d: object_link(d.provider_event)),
                        _of_deposit("credited_to", _("credited to"), _went_to),
                    ),
                    (
                        column("return_of", _("tracking key of the payout"), _returned_key),
                        column("listed_at", _("confirmed by the provider's list"), _listed),
                    ),
                ]
            },
        ),
        (
            _("Sent to"),
            {
                "fields": [
                    (related("merchant", _("merchant")), related("payment", _("payment"))),
                    (
                        column("asked", _("asked for"), _asked),
                        column(
                            "payment_status",
                            _("status of the payment"),
                            lambda c: c.payment.get_status_display() if c.payment else EMPTY,
                        ),
                    ),
                    (
                        column(
                            "expires",
                            _("expires"),
                            lambda c: moment("expires_at", "", seconds=True)(c.payment) if c.payment else EMPTY,
                        ),
                        column(
                            "cancelled",
                            _("cancelled at"),
                            lambda c: moment("cancelled_at", "", seconds=True)(c.payment) if c.payment else EMPTY,
                        ),
                    ),
                    (
                        column(
                            "received",
                            _("received"),
                            lambda c: in_one_line(format_mxn(c.payment.amount_received)) if c.payment else EMPTY,
                        ),
                        _of_deposit(
                            "reusable_clabe",
                            _("reusable CLABE"),
                            lambda d: object_link(d.reusable_clabe.public_id) if d.reusable_clabe else EMPTY,
                        ),
                    ),
                ]
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> Any:
        return (
            super()
            .get_queryset(request)
            .select_related(
                "merchant",
                "payment",
                "deposit__payment",
                "deposit__provider_account",
                "payout",
                "deposit__reusable_clabe__merchant",
            )
        )

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        case = self.get_object(request, str(object_id))
        possible = ACTIONS.get(case.status, []) if case and case.is_proven else []
        names = {f"payments_reviewcase_{name}" for name in possible}
        return [one for one in super().get_actions_detail(request, object_id) if one.action_name in names]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        case = self.get_object(request, object_id)
        trail = []
        if case is not None and case.is_waiting and request.user.has_perm("payments.view_payout"):
            found = payout_return.proposals(case)
            trail = [proposals(case, found)] if found or case.status == case.Status.TO_MATCH else []
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "trail": trail})

    @action(
        description=_("Credit where it was sent"),
        permissions=["payments.credit_reviewcase"],
        url_path="credit",
        icon="task_alt",
    )
    def credit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._decide(
            request,
            object_id,
            title=_("Credit where it was sent"),
            form_class=ReasonForm,
            effect=lambda case, data: credited(case, service.original_destination(case)),
            run=lambda case, data: service.credit(case.pk, origin=staff_origin(request), reason=data["reason"]),
        )

    @action(
        description=_("Assign to another"),
        permissions=["payments.assign_reviewcase"],
        url_path="assign",
        icon="forward",
    )
    def assign(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._decide(
            request,
            object_id,
            title=_("Assign to another"),
            form_class=TargetForm,
            effect=lambda case, data: credited(case, service.other_destination(case, data["target"])),
            run=lambda case, data: service.assign(
                case.pk, data["target"], origin=staff_origin(request), reason=data["reason"]
            ),
        )

    @action(
        description=_("Match to a payout"),
        permissions=["payments.match_reviewcase"],
        url_path="match",
        icon="link",
    )
    def match(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._decide(
            request,
            object_id,
            title=_("Match to a payout"),
            form_class=PayoutForm,
            effect=lambda case, data: matched(payout_return.preview(case, data["target"])),
            run=lambda case, data: payout_return.match(
                case.pk, data["target"], origin=staff_origin(request), reason=data["reason"]
            ),
        )

    @action(
        description=_("It returns no payout"),
        permissions=["payments.match_reviewcase"],
        url_path="deny",
        icon="link_off",
    )
    def deny(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._decide(
            request,
            object_id,
            title=_("It returns no payout"),
            form_class=ReasonForm,
            effect=lambda case, data: [
                (_("effect"), _("the money stays in suspense; it can be credited or assigned")),
            ],
            run=lambda case, data: payout_return.deny(case.pk, origin=staff_origin(request), reason=data["reason"]),
            moves=False,
        )

    def _decide(
        self,
        request: HttpRequest,
        object_id: str,
        *,
        title: Any,
        form_class: Any,
        effect: Any,
        run: Any,
        moves: bool = True,
    ) -> HttpResponse:
        """Ask for a reason, show the effect, and execute it if the form was ``confirmed``. ``moves``: money moves."""
        case = object_or_404(self, request, object_id)
        form = form_class(request.POST) if request.method == "POST" else form_class()
        for field in form.fields.values():
            field.label = capfirst(field.label)
        figures = None
        if request.method == "POST" and form.is_valid():
            try:
                figures = effect(case, form.cleaned_data)
                if request.POST.get("confirmed") == "yes":
                    with transaction.atomic():
                        run(case, form.cleaned_data)
                    return self._done(request, case, title)
            except RequestRefused as refused:
                figures = None
                show_refusal(form, refused)
        back = reverse("admin:payments_reviewcase_change", args=[case.public_id])
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": ReviewCase._meta,
            "original": case,
            "form": form,
            "question": title,
            "back": back,
            "amount": format_mxn(case.deposit.amount),
            "figures": figures,
            "moves": moves,
        }
        return TemplateResponse(request, "payments/review_case_decision.html", context)

    def _done(self, request: HttpRequest, case: ReviewCase, title: Any) -> HttpResponse:
        self.log_change(request, case, str(title))
        messages.success(request, _("Done: %(action)s.") % {"action": title})
        return HttpResponseRedirect(reverse("admin:payments_reviewcase_change", args=[case.public_id]))
