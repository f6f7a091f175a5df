"""Admin pages of reusable CLABEs."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.paginator import InfinitePaginator

from core.admin import (
    EMPTY,
    ModeFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    badge,
    column,
    id_column,
    mode,
    moment,
    money,
    related,
    transition_fields,
)
from payments.admin.deposit import provider_account
from payments.models import Clabe, ClabeTransition

STATUS_COLOURS = {Clabe.Status.ACTIVE: "success", Clabe.Status.CLOSED: "danger"}

_metadata = column("metadata", _("metadata"), lambda c: ", ".join(f"{k}: {v}" for k, v in c.metadata.items()) or EMPTY)


class ClabeTransitionInline(ReadOnlyInline):
    model = ClabeTransition
    fields = transition_fields(Clabe.Status, STATUS_COLOURS)
    verbose_name_plural = _("history")


@admin.register(Clabe)
class ClabeAdmin(ReadOnlyAdmin):
    """Read-only: merchants create and close CLABEs by the API."""

    paginator = InfinitePaginator
    list_display = [
        id_column(),
        moment("created_at", _("created"), order="id"),
        related("merchant", _("merchant")),
        "clabe",
        "label",
        "customer_name",
        badge("status", STATUS_COLOURS, _("status")),
        mode(),
    ]
    list_filter = [("status", ChoicesDropdownFilter), ("merchant", RelatedDropdownFilter), ModeFilter]
    search_fields = ["public_id__exact", "clabe__exact", "label", "customer_name", "customer_phone"]
    list_select_related = ["merchant", "provider_account"]
    ordering = ["-id"]
    inlines = [ClabeTransitionInline]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", related("merchant", _("merchant"))),
                    (badge("status", STATUS_COLOURS, _("status")), mode()),
                    ("clabe", provider_account),
                    ("label", "customer_name"),
                    ("customer_email", "customer_phone"),
                    (money("min_amount", _("minimum amount")), money("max_amount", _("maximum amount"))),
                    (moment("created_at", _("created")), moment("closed_at", _("closed at"))),
                    _metadata,
                ]
            },
        )
    ]
