from __future__ import annotations

from django.contrib import admin
from django.db.models import BigIntegerField, Case, F, OuterRef, QuerySet, Subquery, Sum, When
from django.db.models.functions import Cast, Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from core.admin import ModeFilter, ReadOnlyAdmin, column, mode, moment, money
from ledger.models import Account, Entry

_balance = money("balance", _("balance"))
_balance.admin_order_field = None  # type: ignore[attr-defined]
_transactions = column(
    "transactions",
    _("transactions"),
    lambda account: format_html(
        '<a class="text-link" href="{}?entries__account__id__exact={}">{}</a>',
        reverse("admin:ledger_transaction_changelist"),
        account.pk,
        _("show"),
    ),
)


def account_link(account: Account) -> str:
    """A link to the account by its code."""
    url = reverse("admin:ledger_account_change", args=[account.pk])
    return format_html('<a class="text-link" href="{}">{}</a>', url, account.code)


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ["code", "purpose", "merchant", mode(), "normal_side", _balance, _transactions]
    list_filter = [ModeFilter, "purpose"]
    search_fields = ["code", "merchant__name"]
    list_select_related = ["merchant"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("code", "merchant"),
                    ("purpose", "normal_side"),
                    (mode(), "currency"),
                    (_balance, _transactions),
                    moment("created_at", _("created")),
                ]
            },
        )
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        """Each account with ``balance``: the sum of its entries, positive on its normal side."""
        entries = Entry.objects.filter(account=OuterRef("pk")).order_by().values("account")
        debits = Subquery(entries.annotate(s=Cast(Sum("amount"), BigIntegerField())).values("s"))
        return (
            super()
            .get_queryset(request)
            .annotate(sum=Coalesce(debits, 0))
            .annotate(balance=Case(When(normal_side=Account.Side.DEBIT, then=F("sum")), default=-F("sum")))
        )
