from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.db.models import Case, F, QuerySet, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, TextFilter
from unfold.decorators import action
from unfold.widgets import INPUT_CLASSES

from core import clock
from core.admin import ModeFilter, ReadOnlyAdmin, column, in_one_line, mode, moment, money, object_or_404
from core.money import format_mxn
from ledger.admin.entries import page_of
from ledger.models import Account
from ledger.services import balance

PURPOSES = {
    "available": _("available"),
    "pending": _("pending reception"),
    "reserved": _("reserved"),
    "blocked": _("blocked"),
    "debt": _("debt of the merchant"),
    "stp_cash": _("cash at STP"),
    "bank_cash": _("cash at the bank"),
    "cash_in_transit": _("cash in transit"),
    "conekta_receivable": _("receivable from Conekta"),
    "provider_payable": _("payable to providers"),
    "provider_fees": _("fees of providers"),
    "iva_creditable": _("creditable IVA"),
    "fee_revenue": _("revenue from fees"),
    "iva_payable": _("IVA to pay"),
    "suspense": _("suspense"),
    "suspense_reserved": _("suspense being returned"),
    "owner_funds": _("funds of the owner"),
    "losses": _("losses"),
    "rounding": _("rounding"),
}
"""Names of the chart's purposes."""

_balance = money("balance", _("balance"))
_balance.admin_order_field = None  # type: ignore[attr-defined]
_purpose = column("purpose", _("purpose"), lambda a: PURPOSES.get(a.purpose, a.purpose), order="purpose")
_entries = column(
    "entries",
    _("entries"),
    lambda account: format_html(
        '<a class="text-link" href="{}">{}</a>', reverse("admin:ledger_account_entries", args=[account.pk]), _("show")
    ),
)


def account_link(account: Account) -> str:
    """A link to the account by its code."""
    url = reverse("admin:ledger_account_change", args=[account.pk])
    return format_html('<a class="text-link" href="{}">{}</a>', url, account.code)


class DayField(forms.Form):
    """A day, entered in the browser's date field."""

    def __init__(self, name: str, label: Any, data: Any) -> None:
        super().__init__(data=data)
        widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": " ".join(INPUT_CLASSES)})
        self.fields[name] = forms.DateField(label=label, required=False, widget=widget)


class AsOfFilter(TextFilter):
    """Selects the day of the balances shown; it does not filter accounts."""

    title = _("balance at the end of the day")
    parameter_name = "as_of"

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        yield {"form": DayField(self.parameter_name, _("Balance at the end of the day"), {"as_of": self.value()})}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        return queryset


class PurposeFilter(DropdownFilter):
    """Filters accounts by purpose."""

    title = _("purpose")
    parameter_name = "purpose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(PURPOSES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        return queryset.filter(purpose=self.value()) if self.value() in PURPOSES else queryset


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_filter = [AsOfFilter, ModeFilter, PurposeFilter]
    search_fields = ["code", "merchant__name"]
    list_select_related = ["merchant"]
    actions_detail = ["entries", "adjust"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("code", "merchant"),
                    (_purpose, "normal_side"),
                    (mode(), "currency"),
                    (_balance, _entries),
                    moment("created_at", _("created")),
                ]
            },
        )
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        """Accounts with ``balance`` (positive on the normal side), all read in one statement."""
        found = super().get_queryset(request).annotate(total=balance.Total(F("pk")))
        day = day_asked(request)
        if day is not None:
            found = found.annotate(total_then=balance.total_at(end_of(day)))
        return found.annotate(balance=Case(When(normal_side=Account.Side.DEBIT, then=F("total")), default=-F("total")))

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        day = day_asked(request)
        shown = _balance if day is None else _balance_at(day)
        return ["code", _purpose, "merchant", mode(), "normal_side", shown, _entries]

    @action(description=_("Entries"), permissions=["ledger.view_entry"], url_path="entries", icon="list")
    def entries(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The account's entries, newest first, each with the balance after it; and the balance on any past day."""
        account = object_or_404(self, request, object_id)
        day = day_asked(request)
        table, older = page_of(account, request.GET.get("before", ""))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Entries of %(account)s") % {"account": account.code},
            "opts": Account._meta,
            "original": account,
            "table": table,
            "older": older,
            "first_page": not request.GET.get("before"),
            "balance": format_mxn(account.balance),
            "form": DayField("as_of", _("Balance at the end of the day"), {"as_of": day}),
            "day": day,
            "balance_then": format_mxn(balance.balance_at(account, end_of(day))) if day else "",
        }
        return TemplateResponse(request, "ledger/account_entries.html", context)

    @action(
        description=_("Propose adjustment"),
        permissions=["ledger.add_adjustment", "staff.add_approval"],
        url_path="adjust",
        icon="balance",
    )
    def adjust(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The form for an adjustment, prefilled with this account."""
        account = object_or_404(self, request, object_id)
        query = urlencode({"account": account.code, "mode": "live" if account.livemode else "test"})
        return HttpResponseRedirect(f"{reverse('admin:ledger_adjustment_add')}?{query}")


def day_asked(request: HttpRequest) -> date | None:
    """The day in ``?as_of=``, or None if it is missing or invalid."""
    try:
        day = forms.DateField().to_python(request.GET.get("as_of"))
    except forms.ValidationError:
        return None
    return day if day is not None and 1900 <= day.year <= 9000 else None


def end_of(day: date) -> datetime:
    """The last moment of ``day`` in Mexico City."""
    return clock.local_day_bounds(day)[1] - timedelta(microseconds=1)


def _balance_at(day: date) -> Any:
    title = _("balance on %(day)s") % {"day": date_format(day, "d/m/Y")}
    return column("balance", title, lambda a: in_one_line(format_mxn(balance.on_side(a.total_then, a.normal_side))))
