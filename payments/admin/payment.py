"""Admin pages of payments."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.paginator import InfinitePaginator

from core.admin import (
    EMPTY,
    DayRangeFilter,
    ModeFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    badge,
    column,
    day,
    failure,
    id_column,
    masked,
    mode,
    moment,
    money,
    object_link,
    related,
    transition_fields,
)
from core.money import format_mxn
from core.mx import clabe
from core.search import search_rows
from payments.admin.deposit import STATUS_COLOURS as DEPOSIT_COLOURS
from payments.admin.deposit import provider_account
from payments.admin.refund import STATUS_COLOURS as REFUND_COLOURS
from payments.models import Deposit, Payment, PaymentTransition, Refund
from payments.models.payment import SEARCH_TEXT
from payments.providers import registry
from payments.resources.payment import payment_page_url

STATUS_COLOURS = {
    Payment.Status.PENDING: "warning",
    Payment.Status.PROCESSING: "info",
    Payment.Status.COMPLETED: "success",
    Payment.Status.FAILED: "danger",
    Payment.Status.REVERSED: "danger",
}

_created = moment("created_at", _("created"), seconds=True)
_fee_rule = column(
    "fee_rule", _("agreed fee"), lambda p: f"{p.fee_percent.normalize():f} % + {format_mxn(p.fee_fixed)}"
)
_payer_bank = column(
    "payer_institution", _("payer's bank"), lambda p: clabe.institution_name(p.payer_institution) or EMPTY
)
_metadata = column("metadata", _("metadata"), lambda p: ", ".join(f"{k}: {v}" for k, v in p.metadata.items()) or EMPTY)
_page = column(
    "page",
    _("payer's page"),
    lambda p: format_html(
        '<a href="{}" class="text-link" target="_blank" rel="noopener">{}</a>', payment_page_url(p), _("Open")
    ),
)


def _where_to_pay(payment: Payment) -> str:
    return payment.voucher_reference if registry.method(payment.method).needs_order else clabe.mask(payment.clabe or "")


class PaymentTransitionInline(ReadOnlyInline):
    model = PaymentTransition
    fields = transition_fields(Payment.Status, STATUS_COLOURS)
    verbose_name_plural = _("history")


class RefundInline(ReadOnlyInline):
    model = Refund
    verbose_name_plural = _("refunds")
    fields = [
        column("refund", _("refund"), lambda r: object_link(r.public_id)),
        moment("created_at", _("created"), seconds=True),
        money("amount", _("amount")),
        badge("status", REFUND_COLOURS, _("status")),
        "destination_name",
        "reason",
    ]


class DepositInline(ReadOnlyInline):
    model = Deposit
    fields = [
        column("deposit", _("deposit"), lambda d: object_link(d.public_id)),
        money("amount", _("amount")),
        badge("status", DEPOSIT_COLOURS, _("status")),
        column("reason", _("why in suspense"), lambda d: d.get_suspense_reason_display() or EMPTY),
        moment("paid_at", _("paid"), seconds=True),
        "tracking_key",
        "payer_name",
    ]


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    paginator = InfinitePaginator
    list_display = [
        id_column(),
        moment("created_at", _("created")),
        related("merchant", _("merchant")),
        "method",
        money("amount", _("amount")),
        badge("status", STATUS_COLOURS, _("status")),
        column("where_to_pay", _("CLABE or reference"), lambda p: _where_to_pay(p) or EMPTY),
        "customer_name",
        mode(),
    ]
    list_filter = [
        ("created_at", DayRangeFilter),
        ("status", ChoicesDropdownFilter),
        ("method", ChoicesDropdownFilter),
        ("merchant", RelatedDropdownFilter),
        ModeFilter,
    ]
    search_fields = ["public_id"]
    search_help_text = _("Id, CLABE, tracking key, reference, merchant's id, customer or payer")
    list_select_related = ["merchant", "provider_account"]
    ordering = ["-created_at"]
    inlines = [DepositInline, RefundInline, PaymentTransitionInline]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", related("merchant", _("merchant"))),
                    (badge("status", STATUS_COLOURS, _("status")), mode()),
                    (money("amount", _("amount")), "method"),
                    ("description", "external_id"),
                    (_created, moment("expires_at", _("expires"))),
                    (_page, failure()),
                ]
            },
        ),
        (
            _("Money received"),
            {
                "fields": [
                    (money("amount_received", _("received")), money("net", _("net for the merchant"))),
                    (money("fee", _("fee")), money("fee_tax", _("IVA on the fee"))),
                    (money("amount_refunded", _("refunded")), money("amount_refundable", _("still refundable"))),
                    _fee_rule,
                    (
                        moment("completed_at", _("completed at"), seconds=True),
                        day("operating_date", _("operating date")),
                    ),
                ]
            },
        ),
        (
            _("Where to pay"),
            {
                "fields": [
                    ("clabe", "reference_number"),
                    ("voucher_reference", "order_id"),
                    (provider_account, "tracking_key"),
                ]
            },
        ),
        (
            _("Customer and payer"),
            {
                "fields": [
                    ("customer_name", "payer_name"),
                    ("customer_email", masked("payer_account", _("payer's account"))),
                    ("customer_phone", _payer_bank),
                    _metadata,
                ]
            },
        ),
    ]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Payment], search_term: str
    ) -> tuple[QuerySet[Payment], bool]:
        return search_rows(queryset, search_term, SEARCH_TEXT), False
