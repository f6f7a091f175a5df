from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from core.admin import day, money, related
from payments.models import FeeRule
from payments.models.fee_rule import today


@admin.register(FeeRule)
class FeeRuleAdmin(ModelAdmin):
    """Configuration. What has begun can only be ended: a new fee is a new row that begins the day after."""

    list_display = [
        related("merchant", _("merchant")),
        "method",
        "percent",
        money("fixed", _("fixed")),
        day("valid_from", _("valid from")),
        day("valid_until", _("valid until")),
    ]
    list_filter = ["method"]
    search_fields = ["merchant__name", "merchant__public_id"]
    list_select_related = ["merchant"]
    list_display_links = ["method"]
    ordering = ["merchant__name", "method", "-valid_from"]
    actions = None
    fieldsets = [
        (
            None,
            {
                "fields": ["merchant", "method", ("percent", "fixed"), ("valid_from", "valid_until")],
                "description": _(
                    "The fee is percent of what a payment receives plus the fixed part, IVA on top, rounded half-up to "
                    "the centavo. A payment keeps the fee of the day on which it was made. A fee that has begun can "
                    "only be ended: give it a last day and add the next one from the day after."
                ),
            },
        )
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: FeeRule | None = None) -> Any:
        begun = obj is not None and obj.valid_from <= today()
        return ("merchant", "method", "percent", "fixed", "valid_from") if begun else ()

    def has_delete_permission(self, request: HttpRequest, obj: FeeRule | None = None) -> bool:
        may = super().has_delete_permission(request, obj)
        return may and (obj is None or obj.valid_from > today())

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, label=_("merchant"), **kwargs)
