"""Admin pages of destinations of payouts."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.paginator import InfinitePaginator

from core import clock
from core.admin import EMPTY, DayRangeFilter, ModeFilter, ReadOnlyAdmin, column, label, mode, moment, related
from core.mx import clabe
from payments.models import Destination

_bank = column("bank", _("bank"), lambda d: clabe.bank_name(d.clabe) or EMPTY)
_state = column(
    "state",
    _("status"),
    lambda d: label(_("usable"), "success") if d.usable_at <= clock.now() else label(_("cooling down"), "warning"),
)


@admin.register(Destination)
class DestinationAdmin(ReadOnlyAdmin):
    """Where merchants send money. A new one waits out the merchant's cool-down."""

    paginator = InfinitePaginator
    list_display = [
        "clabe",
        _bank,
        related("merchant", _("merchant")),
        _state,
        moment("usable_at", _("usable from")),
        moment("created_at", _("first used")),
        mode(),
    ]
    list_filter = [("created_at", DayRangeFilter), ("merchant", RelatedDropdownFilter), ModeFilter]
    search_fields = ["clabe__exact", "merchant__public_id__exact"]
    search_help_text = _("CLABE, or id of the merchant")
    list_select_related = ["merchant"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("clabe", _bank),
                    (related("merchant", _("merchant")), mode()),
                    (_state, moment("usable_at", _("usable from"), seconds=True)),
                    moment("created_at", _("first used"), seconds=True),
                ]
            },
        )
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Destination]:
        return super().get_queryset(request).select_related("merchant")
