from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.paginator import InfinitePaginator

from core.admin import ModeFilter, ReadOnlyAdmin, badge, column, id_column, mode, moment, money, object_link, related
from ledger.models import Hold

STATUS_COLOURS = {Hold.Status.OPEN: "warning", Hold.Status.CAPTURED: "success", Hold.Status.RELEASED: ""}

_source = column("source", _("held for"), lambda hold: object_link(hold.source))

_parent = column("parent", _("part of"), lambda hold: object_link(hold.parent.public_id) if hold.parent else "")


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    paginator = InfinitePaginator
    list_display = [
        id_column(),
        "merchant",
        badge("status", STATUS_COLOURS, _("status")),
        money("amount", _("amount")),
        "purpose",
        _source,
        mode(),
        moment("created_at", _("created")),
        moment("resolved_at", _("resolved")),
    ]
    list_filter = ["status", "purpose", ModeFilter]
    search_fields = ["public_id__exact", "source__exact", "merchant__public_id__exact"]
    list_select_related = ["merchant"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", mode()),
                    (related("merchant", _("merchant")), badge("status", STATUS_COLOURS, _("status"))),
                    ("purpose", _source),
                    (money("amount", _("amount")), money("captured", _("captured")), money("split", _("split"))),
                    _parent,
                    (moment("created_at", _("created")), moment("resolved_at", _("resolved"))),
                ]
            },
        )
    ]
