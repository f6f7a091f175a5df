from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import BigIntegerField, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.paginator import InfinitePaginator

from core.admin import (
    DayRangeFilter,
    ModeFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    column,
    day,
    format_moment,
    in_one_line,
    mode,
    moment,
    money,
    object_link,
    related,
)
from core.money import format_mxn
from ledger.admin.account import account_link
from ledger.models import Entry, Transaction

_KINDS = {
    "spei_deposit": _("SPEI deposit credited"),
    "oxxo_paid": _("OXXO payment received by Conekta"),
    "deposit_suspended": _("Deposit kept in suspense"),
}

_kind = column("kind", _("kind"), lambda t: in_one_line(_KINDS.get(t.kind, t.kind)), order="kind")
_source = column("source", _("source"), lambda t: object_link(t.source))
_total = money("total", _("amount"))
_total.admin_order_field = None  # type: ignore[attr-defined]


class EntryInline(ReadOnlyInline):
    model = Entry
    fields = [
        column("account", _("account"), lambda entry: account_link(entry.account)),
        column("debit", _("debit"), lambda entry: format_mxn(entry.amount) if entry.amount > 0 else ""),
        column("credit", _("credit"), lambda entry: format_mxn(-entry.amount) if entry.amount < 0 else ""),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Entry]:
        return super().get_queryset(request).select_related("account")


@admin.register(Transaction)
class TransactionAdmin(ReadOnlyAdmin):
    paginator = InfinitePaginator
    list_display = [
        "public_id",
        moment("recorded_at", _("recorded")),
        _kind,
        _total,
        _source,
        day("operating_date", _("operating date")),
        mode(),
    ]
    list_filter = [("recorded_at", DayRangeFilter), ModeFilter]
    search_fields = ["public_id__exact", "source__exact", "kind"]
    ordering = ["-recorded_at"]
    inlines = [EntryInline]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", mode()),
                    (_kind, _source),
                    (_total, "description"),
                    (moment("effective_at", _("effective"), seconds=True), day("operating_date", _("operating date"))),
                    (moment("recorded_at", _("recorded"), seconds=True), related("reverses", _("reverses"))),
                ]
            },
        )
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Transaction]:
        return with_totals(super().get_queryset(request))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup == "entries__account__id__exact" or super().lookup_allowed(lookup, value, request)


def with_totals(transactions: QuerySet[Transaction]) -> QuerySet[Transaction]:
    """Each transaction with ``total``: the sum of its debits."""
    debits = Entry.objects.filter(transaction=OuterRef("pk"), amount__gt=0).order_by().values("transaction")
    return transactions.annotate(total=Subquery(debits.annotate(s=Cast(Sum("amount"), BigIntegerField())).values("s")))


def rows_about(sources: Sequence[str]) -> list[list[Any]]:
    """The transactions that these objects caused, oldest first: id, when recorded, kind, amount."""
    return [
        [
            object_link(t.public_id),
            format_moment(t.recorded_at, seconds=True),
            _KINDS.get(t.kind, t.kind),
            format_mxn(t.total),  # type: ignore[attr-defined]  # with_totals adds it
        ]
        for t in with_totals(Transaction.objects.filter(source__in=sources)).order_by("id")
    ]
