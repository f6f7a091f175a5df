from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from core.admin import money
from payments.models import FeeRule


@admin.register(FeeRule)
class FeeRuleAdmin(ModelAdmin):
    """Configuration, and so it can be edited: a change holds for payments made after it."""

    list_display = ["merchant", "method", "percent", money("fixed", _("fixed"))]
    list_filter = ["method"]
    search_fields = ["merchant__name", "merchant__public_id"]
    list_select_related = ["merchant"]
    fields = ["merchant", "method", "percent", "fixed"]
