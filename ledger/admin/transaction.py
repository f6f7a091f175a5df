from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import BigIntegerField, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.paginator import InfinitePaginator

from core.admin import (
    EMPTY,
    DayRangeFilter,
    ModeFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    action_page,
    column,
    day,
    format_moment,
    id_column,
    in_one_line,
    mode,
    moment,
    money,
    object_link,
    object_or_404,
    related,
)
from core.forms import PesosField
from core.money import format_mxn
from ledger.admin.account import account_link
from ledger.admin.adjustment_form import EvidenceForm, said_to_people
from ledger.admin.kinds import KINDS
from ledger.models import Entry, Transaction
from ledger.services import adjustment

_kind = column("kind", _("kind"), lambda t: in_one_line(KINDS.get(t.kind, t.kind)), order="kind")
_source = column("source", _("source"), lambda t: object_link(t.source))
_total = money("total", _("amount"))
_total.admin_order_field = None  # type: ignore[attr-defined]


def _seal_link(transaction: Transaction) -> str:
    seal = getattr(transaction, "seal", None)
    if seal is None:
        return str(_("not sealed yet"))
    url = reverse("admin:ledger_seal_change", args=[seal.pk])
    return format_html('<a class="text-link" href="{}">{}</a>', url, f"{seal.pk} · {seal.hash[:12]}…")


def _reversals(transaction: Transaction) -> str:
    links = [object_link(public_id) for public_id in transaction.reversals.values_list("public_id", flat=True)]
    return format_html_join(" ", "{}", ((link,) for link in links)) or EMPTY


class ReversalForm(EvidenceForm):
    """Amount to reverse, reason and evidence."""

    amount = PesosField(label=_("amount"), required=False, help_text=_("Pesos. Empty: all that is left."))
    field_order = ["amount", "reason", "evidence"]


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
        id_column(),
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
    actions_detail = ["reverse"]
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
                    (column("seal", _("seal"), _seal_link), column("reversals", _("reversed by"), _reversals)),
                ]
            },
        )
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Transaction]:
        return with_totals(super().get_queryset(request).select_related("seal", "reverses"))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        transaction = self.get_object(request, str(object_id))
        offered = transaction is not None and transaction.reverses_id is None
        return super().get_actions_detail(request, object_id) if offered else []

    @action(
        description=_("Propose reversal"),
        permissions=["ledger.add_adjustment", "staff.add_approval"],
        url_path="reverse",
        icon="undo",
    )
    def reverse(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Propose an adjustment that reverses the transaction."""
        transaction = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> HttpResponse:
            with said_to_people():
                proposed = adjustment.propose_reversal(transaction, maker=request.user, **data)  # type: ignore[arg-type]
            return HttpResponseRedirect(reverse("admin:ledger_adjustment_change", args=[proposed.public_id]))

        text = _("Nothing changes in the books until a second person approves it.")
        return action_page(
            self, request, transaction, title=_("Propose reversal"), form_class=ReversalForm, run=run, text=text
        )

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup == "entries__account__id__exact" or super().lookup_allowed(lookup, value, request)


def with_totals(transactions: QuerySet[Transaction]) -> QuerySet[Transaction]:
    """Transactions annotated with ``total``, the sum of their debits."""
    debits = Entry.objects.filter(transaction=OuterRef("pk"), amount__gt=0).order_by().values("transaction")
    return transactions.annotate(total=Subquery(debits.annotate(s=Cast(Sum("amount"), BigIntegerField())).values("s")))


def rows_about(sources: Sequence[str]) -> list[list[Any]]:
    """Transactions with these sources, oldest first: id, time recorded, kind, amount."""
    return [
        [
            object_link(t.public_id),
            format_moment(t.recorded_at, seconds=True),
            KINDS.get(t.kind, t.kind),
            format_mxn(t.total),  # type: ignore[attr-defined]  # with_totals adds it
        ]
        for t in with_totals(Transaction.objects.filter(source__in=sources)).order_by("id")
    ]
