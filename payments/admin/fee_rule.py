from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from core.admin import money, related
from payments.models import FeeRule


@admin.register(FeeRule)
class FeeRuleAdmin(ModelAdmin):
    """Configuration, and so it can be edited: a change holds for payments made after it."""

    list_display = [related("merchant", _("merchant")), "method", "percent", money("fixed", _("fixed"))]
    list_filter = ["method"]
    search_fields = ["merchant__name", "merchant__public_id"]
    list_select_related = ["merchant"]
    list_display_links = ["method"]
    actions = None
    fields = ["merchant", "method", "percent", "fixed"]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, label=_("merchant"), **kwargs)
