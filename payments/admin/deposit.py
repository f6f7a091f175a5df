"""Admin pages of deposits."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.paginator import InfinitePaginator

from core.admin import (
    EMPTY,
    DayRangeFilter,
    ModeFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    badge,
    breakable,
    column,
    day,
    id_column,
    masked,
    mode,
    moment,
    money,
    object_link,
    related,
    transition_fields,
)
from core.mx import clabe
from payments.models import Deposit, DepositTransition, ReviewCase

STATUS_COLOURS = {
    Deposit.Status.CREDITED: "success",
    Deposit.Status.SUSPENDED: "danger",
    Deposit.Status.MATCHED: "info",
}

provider_account = related("provider_account", _("provider account"), lambda a: a.get_provider_display())
_payer_account = masked("payer_account", _("payer's account"))
_payer_bank = column(
    "payer_institution", _("payer's bank"), lambda d: clabe.institution_name(d.payer_institution) or EMPTY
)


def _review_case(deposit: Deposit) -> str:
    case = ReviewCase.objects.filter(deposit=deposit).first()
    return object_link(case.public_id) if case else EMPTY


class DepositTransitionInline(ReadOnlyInline):
    model = DepositTransition
    fields = transition_fields(Deposit.Status, STATUS_COLOURS, Deposit.SuspenseReason)
    verbose_name_plural = _("history")


@admin.register(Deposit)
class DepositAdmin(ReadOnlyAdmin):
    paginator = InfinitePaginator
    list_display = [
        id_column(),
        moment("created_at", _("created")),
        money("amount", _("amount")),
        badge("status", STATUS_COLOURS, _("status")),
        column("suspense_reason", _("reason"), lambda d: d.get_suspense_reason_display() or EMPTY),
        masked("clabe", _("CLABE")),
        column("tracking_key", _("tracking key"), lambda d: breakable(d.tracking_key or EMPTY, min_width="6rem")),
        "payer_name",
        mode(),
    ]
    list_filter = [
        ("created_at", DayRangeFilter),
        ("status", ChoicesDropdownFilter),
        ("purpose", ChoicesDropdownFilter),
        ("suspense_reason", ChoicesDropdownFilter),
        ModeFilter,
    ]
    search_fields = ["public_id__exact", "clabe__exact", "tracking_key", "payer_name", "concept"]
    list_select_related = ["provider_account"]
    ordering = ["-created_at"]
    inlines = [DepositTransitionInline]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", mode()),
                    ("purpose",),
                    (money("amount", _("amount")), badge("status", STATUS_COLOURS, _("status"))),
                    ("suspense_reason", related("payment", _("payment"))),
                    (
                        column("review_case", _("review case"), _review_case),
                        related("reusable_clabe", _("reusable CLABE")),
                    ),
                    (money("fee", _("fee")), money("fee_tax", _("IVA on the fee"))),
                    (moment("paid_at", _("paid"), seconds=True), day("operating_date", _("operating date"))),
                ]
            },
        ),
        (
            _("Transfer"),
            {
                "fields": [
                    ("clabe", "tracking_key"),
                    ("concept", "payer_name"),
                    (_payer_account, _payer_bank),
                ]
            },
        ),
        (
            _("Origin"),
            {
                "fields": [
                    (provider_account, column("event", _("event"), lambda d: object_link(d.provider_event))),
                    ("deposit_key", moment("created_at", _("created"), seconds=True)),
                ]
            },
        ),
    ]
