"""Admin pages of refunds: the list, and one refund with its attempts and the action that tries it again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action
from unfold.paginator import InfinitePaginator

from core.admin import (
    EMPTY,
    DayRangeFilter,
    ModeFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    action_page,
    badge,
    column,
    id_column,
    in_one_line,
    label,
    masked,
    mode,
    moment,
    money,
    object_link,
    object_or_404,
    related,
    staff_origin,
    transition_fields,
)
from core.money import format_mxn
from core.mx import clabe
from payments.admin.payout import STATUS_COLOURS as PAYOUT_COLOURS
from payments.admin.payout_words import return_cause, why_staff
from payments.models import Payout, Refund, RefundTransition
from payments.services import refund as service
from staff.services import approval

STATUS_COLOURS = {
    Refund.Status.PENDING: "warning",
    Refund.Status.PROCESSING: "info",
    Refund.Status.COMPLETED: "success",
    Refund.Status.FAILED: "danger",
    Refund.Status.CANCELLED: "",
    Refund.Status.RETURNED: "danger",
}


def _why(payout: Payout) -> str:
    """Why the attempt failed or came back, or what it waits for; a mark for people first."""
    if why := why_staff(payout):
        return label(why, "danger")
    if payout.status == Payout.Status.RETURNED:
        return return_cause(payout)
    if payout.failure_code and payout.status in (Payout.Status.FAILED, Payout.Status.REJECTED):
        return payout.failure_message or payout.failure_code
    return payout.get_waiting_for_display() if payout.waiting_for else EMPTY


def _origin_account(refund: Refund) -> str:
    return clabe.mask(refund.deposit.payer_account) or EMPTY


def _left(refund: Refund) -> str:
    return in_one_line(format_mxn(refund.deposit.amount_refundable))


class AttemptInline(ReadOnlyInline):
    model = Payout
    verbose_name_plural = _("attempts")
    fields = [
        column("attempt", _("attempt"), lambda p: object_link(p.public_id)),
        moment("created_at", _("created"), seconds=True),
        badge("status", PAYOUT_COLOURS, _("status")),
        column("why", _("reason"), _why),
        "tracking_key",
    ]
    ordering = ["id"]


class RefundTransitionInline(ReadOnlyInline):
    model = RefundTransition
    fields = transition_fields(Refund.Status, STATUS_COLOURS)
    verbose_name_plural = _("history")


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    """Refunds. Their attempts are payouts, which have pages of their own."""

    paginator = InfinitePaginator
    list_display = [
        id_column(),
        moment("created_at", _("created")),
        related("merchant", _("merchant")),
        money("amount", _("amount")),
        "destination_name",
        badge("status", STATUS_COLOURS, _("status")),
        "reason",
        mode(),
    ]
    list_filter = [
        ("created_at", DayRangeFilter),
        ("status", ChoicesDropdownFilter),
        ("origin", ChoicesDropdownFilter),
        ("merchant", RelatedDropdownFilter),
        ModeFilter,
    ]
    search_fields = ["public_id__exact", "payment__public_id__exact", "deposit__public_id__exact"]
    search_help_text = _("Id of the refund, the payment or the deposit")
    list_select_related = ["merchant"]
    ordering = ["-id"]
    inlines = [AttemptInline, RefundTransitionInline]
    actions_detail = ["retry"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", related("merchant", _("merchant"))),
                    (badge("status", STATUS_COLOURS, _("status")), mode()),
                    (money("amount", _("amount")), "origin"),
                    ("reason", "external_id"),
                    moment("created_at", _("created"), seconds=True),
                ]
            },
        ),
        (
            _("Where it came from"),
            {
                "fields": [
                    (related("payment", _("payment")), related("deposit", _("deposit"))),
                    (
                        column("paid_by", _("payer"), lambda r: r.deposit.payer_name or EMPTY),
                        column("paid_from", _("payer's account"), _origin_account),
                    ),
                    (
                        column("received", _("received"), lambda r: in_one_line(format_mxn(r.deposit.amount))),
                        column("left", _("still refundable"), _left),
                    ),
                ]
            },
        ),
        (
            _("Where it goes"),
            {
                "fields": [
                    ("destination_name", masked("destination_clabe", _("destination"))),
                    (
                        "to_payer",
                        column(
                            "bank",
                            _("bank"),
                            lambda r: clabe.institution_name(r.destination_bank) or r.destination_bank,
                        ),
                    ),
                ]
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Refund]:
        return super().get_queryset(request).select_related("merchant", "payment", "deposit")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        found = self.get_object(request, str(object_id))
        if found is None or found.status not in service.RETRIED:
            return []
        return list(super().get_actions_detail(request, object_id))

    @action(
        description=_("Try again"),
        permissions=["payments.retry_refund", approval.PROPOSE],
        url_path="retry",
        icon="replay",
    )
    def retry(self, request: HttpRequest, object_id: str) -> HttpResponse:
        refund = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> None:
            service.try_again(refund.public_id, maker=request.user, origin=staff_origin(request))  # type: ignore[arg-type]

        text = _(
            "%(amount)s of %(merchant)s are held again. Nothing is sent until a second person approves it; it goes to "
            "the same account."
        ) % {"amount": format_mxn(refund.amount), "merchant": refund.merchant.name}
        return action_page(self, request, refund, title=_("Try refund again"), run=run, text=text)
