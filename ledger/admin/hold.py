from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.paginator import InfinitePaginator

from core.admin import (
    ModeFilter,
    ReadOnlyAdmin,
    badge,
    column,
    format_moment,
    id_column,
    label,
    mode,
    moment,
    money,
    object_link,
    related,
)
from core.money import format_mxn
from ledger.models import Hold

STATUS_COLOURS = {Hold.Status.OPEN: "warning", Hold.Status.CAPTURED: "success", Hold.Status.RELEASED: ""}

_source = column("source", _("held for"), lambda hold: object_link(hold.source))

_parent = column("parent", _("part of"), lambda hold: object_link(hold.parent.public_id) if hold.parent else "")


def holds_of(sources: Sequence[str]) -> list[list[Any]]:
    """Holds with these sources, oldest first: id, time, amount, state, time of its end."""
    return [
        [
            object_link(hold.public_id),
            format_moment(hold.created_at, seconds=True),
            format_mxn(hold.amount),
            label(hold.get_status_display(), STATUS_COLOURS[Hold.Status(hold.status)]),
            format_moment(hold.resolved_at, seconds=True),
        ]
        for hold in Hold.objects.filter(source__in=sources).order_by("id")
    ]


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
