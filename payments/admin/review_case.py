"""The review queue: deposits in suspense that staff must decide about, sorted by due date."""

from __future__ import annotations

from typing import Any

from django import forms
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
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

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
    show_refusal,
    staff_origin,
    transition_fields,
)
from core.errors import RequestRefused
from core.money import format_mxn
from core.mx import clabe
from core.search import public_id
from payments.models import Deposit, ReviewCase, ReviewCaseTransition
from payments.services import review_case as service

STATUS_COLOURS = {
    ReviewCase.Status.OPEN: "warning",
    ReviewCase.Status.CREDITED: "success",
    ReviewCase.Status.ASSIGNED: "success",
}


def _of_deposit(name: str, title: Any, show: Any) -> Any:
    return column(name, title, lambda case: show(case.deposit))


def _age(case: ReviewCase) -> str:
    return in_one_line(timesince(case.created_at, case.resolved_at or clock.now(), depth=1))


def _due(case: ReviewCase) -> str:
    """The time left or overdue; empty if it is resolved."""
    if case.status != ReviewCase.Status.OPEN:
        return EMPTY
    now = clock.now()
    if case.due_at <= now:
        return label(_("overdue by %(time)s") % {"time": timesince(case.due_at, now, depth=1)}, "danger")
    return label(_("%(time)s left") % {"time": timesince(now, case.due_at, depth=1)}, "info")


def _asked(case: ReviewCase) -> str:
    return in_one_line(format_mxn(case.payment.amount)) if case.payment else EMPTY


def _went_to(deposit: Any) -> Any:
    if deposit.status != deposit.Status.CREDITED:
        return EMPTY
    credited_to = deposit.payment or deposit.reusable_clabe
    return object_link(credited_to.public_id) if credited_to else EMPTY


_amount = _of_deposit("amount", _("amount"), lambda d: in_one_line(format_mxn(d.amount)))


class DueFilter(RadioFilter):
    """Filter by due date."""

    title = _("due")
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("overdue", _("overdue")), ("in_time", _("in time"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        waiting = queryset.filter(status=ReviewCase.Status.OPEN)
        if self.value() == "overdue":
            return waiting.filter(due_at__lte=clock.now())
        return waiting.filter(due_at__gt=clock.now()) if self.value() == "in_time" else queryset


class ReasonForm(forms.Form):
    """Form for the reason of a decision."""

    reason = forms.CharField(
        label=_("reason"),
        max_length=500,
        help_text=_("Stored permanently with the case: what you checked and who confirmed it."),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )


class TargetForm(ReasonForm):
    """Form for another destination."""

    target = forms.CharField(
        label=_("payment, CLABE or merchant"),
        max_length=40,
        help_text=_(
            "Its id: pay_…, clb_… or mer_…. For a CLABE or a merchant, a new payment is created; money for a funding "
            "CLABE is a top-up of the balance, without a fee."
        ),
        widget=UnfoldAdminTextInputWidget,
    )
    field_order = ["target", "reason"]

    def clean_target(self) -> str:
        target = str(self.cleaned_data["target"])
        return public_id(target) or target.strip()


class ReviewCaseTransitionInline(ReadOnlyInline):
    model = ReviewCaseTransition
    fields = transition_fields(ReviewCase.Status, STATUS_COLOURS, Deposit.SuspenseReason)
    verbose_name_plural = _("history")


@admin.register(ReviewCase)
class ReviewCaseAdmin(ReadOnlyAdmin):
    """Each action requires a reason and shows its exact effect before it is confirmed."""

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
    actions_detail = ["credit", "assign"]
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
                "deposit__reusable_clabe__merchant",
            )
        )

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        case = self.get_object(request, str(object_id))
        return super().get_actions_detail(request, object_id) if case and case.status == case.Status.OPEN else []

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
            destination=lambda case, data: service.original_destination(case),
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
            destination=lambda case, data: service.other_destination(case, data["target"]),
            run=lambda case, data: service.assign(
                case.pk, data["target"], origin=staff_origin(request), reason=data["reason"]
            ),
        )

    def _decide(
        self, request: HttpRequest, object_id: str, *, title: Any, form_class: Any, destination: Any, run: Any
    ) -> HttpResponse:
        """Ask for a reason, show the effect, and execute it if the form was ``confirmed``."""
        case = object_or_404(self, request, object_id)
        form = form_class(request.POST) if request.method == "POST" else form_class()
        for field in form.fields.values():
            field.label = capfirst(field.label)
        to = None
        if request.method == "POST" and form.is_valid():
            try:
                to = destination(case, form.cleaned_data)
                if request.POST.get("confirmed") == "yes":
                    with transaction.atomic():
                        run(case, form.cleaned_data)
                    return self._done(request, case, title)
            except RequestRefused as refused:
                to = None
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
            "to": to,
            "figures": [
                (_("amount"), format_mxn(case.deposit.amount)),
                (_("fee"), format_mxn(to.fee)),
                (_("IVA on the fee"), format_mxn(to.fee_tax)),
                (_("net for the merchant"), format_mxn(to.net)),
            ]
            if to
            else [],
        }
        return TemplateResponse(request, "payments/review_case_decision.html", context)

    def _done(self, request: HttpRequest, case: ReviewCase, title: Any) -> HttpResponse:
        self.log_change(request, case, str(title))
        messages.success(request, _("Done: %(action)s.") % {"action": title})
        return HttpResponseRedirect(reverse("admin:payments_reviewcase_change", args=[case.public_id]))
