"""Admin page of the transfer history."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList as DjangoChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.paginator import InfinitePaginator
from unfold.views import ChangeList

from backoffice.models import Transfer
from core.admin import (
    EMPTY,
    DayRangeFilter,
    ModeFilter,
    ReadOnlyAdmin,
    badge,
    column,
    mode,
    moment,
    money,
    object_url,
    short_id,
)
from core.mx import clabe
from core.search import search_rows
from payments.admin.deposit import STATUS_COLOURS as DEPOSIT_COLOURS
from payments.admin.payment import STATUS_COLOURS as PAYMENT_COLOURS
from payments.admin.payout import STATUS_COLOURS as PAYOUT_COLOURS
from payments.providers import registry

COLUMNS = {
    "id": column("id", _("id"), lambda t: short_id(t.id)),
    "created_at": moment("created_at", _("created")),
    "merchant": "merchant",
    "method": "method",
    "amount": money("amount", _("amount")),
    "status": badge("status", {**PAYOUT_COLOURS, **PAYMENT_COLOURS, **DEPOSIT_COLOURS}, _("status")),
    "livemode": mode(),
    "reference": column("reference", _("CLABE or reference"), lambda t: shown_reference(t) or EMPTY),
    "name": column("name", _("counterparty"), lambda t: t.name or EMPTY),
}
"""Columns of the transfer history, here and on the home page."""


def shown_reference(transfer: Transfer) -> str:
    """The masked CLABE or the voucher's reference."""
    is_clabe = transfer.method == registry.CLABE_METHOD.name
    return clabe.mask(transfer.reference or "") if is_clabe else transfer.reference


class TransferChangeList(ChangeList):
    """Links each line to the page of its object."""

    def url_for_result(self, result: Transfer) -> str:
        return object_url(result.id) or ""


@admin.register(Transfer)
class TransferAdmin(ReadOnlyAdmin):
    paginator = InfinitePaginator
    id_field = "id"
    list_display = list(COLUMNS.values())
    list_filter = [
        ("created_at", DayRangeFilter),
        ("status", ChoicesDropdownFilter),
        ("method", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("merchant", RelatedDropdownFilter),
        ModeFilter,
    ]
    search_fields = ["search_text"]
    search_help_text = _("Id, CLABE, tracking key, reference, merchant's id, customer, payer or beneficiary")
    list_select_related = ["merchant"]
    ordering = ["-created_at"]
    sortable_by = ["created_at"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[DjangoChangeList]:
        return TransferChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Transfer], search_term: str
    ) -> tuple[QuerySet[Transfer], bool]:
        return search_rows(queryset, search_term, F("search_text"), key="id"), False

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        url = object_url(object_id)
        if url is None:
            raise Http404
        return HttpResponseRedirect(url)
