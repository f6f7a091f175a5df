from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from core.admin import column, day, in_one_line, money, related
from core.admin_list import ListAdmin
from payments.models import FeeRule
from payments.models.fee_rule import today

_merchant = related("merchant", _("merchant"))
_percent = column("percent", _("percent"), lambda rule: in_one_line(f"{rule.percent.normalize():f} %"), order="percent")
_fixed = money("fixed", _("fixed"))
_valid_from = day("valid_from", _("valid from"))


def _begun(rule: FeeRule | None) -> bool:
    return rule is not None and rule.valid_from <= today()


@admin.register(FeeRule)
class FeeRuleAdmin(ListAdmin):
    """Configuration. What has begun can only be ended: a new fee is a new row that begins the day after."""

    list_display = [
        _merchant,
        "method",
        _percent,
        _fixed,
        _valid_from,
        day("valid_until", _("valid until")),
    ]
    list_filter = ["method"]
    search_fields = ["merchant__name", "merchant__public_id"]
    list_select_related = ["merchant"]
    list_display_links = ["method"]
    ordering = ["merchant__name", "method", "-valid_from"]
    actions = None

    def get_fieldsets(self, request: HttpRequest, obj: FeeRule | None = None) -> Any:
        fields: list[Any] = ["merchant", "method", ("percent", "fixed"), ("valid_from", "valid_until")]
        if _begun(obj):
            fields = [_merchant, "method", (_percent, _fixed), (_valid_from, "valid_until")]
        description = _(
            "The fee is percent of what a payment receives plus the fixed part, IVA on top, rounded half-up to "
            "the centavo. A payment keeps the fee of the day on which it was made. A fee that has begun can "
            "only be ended: give it a last day and add the next one from the day after."
        )
        return [(None, {"fields": fields, "description": description})]

    def get_readonly_fields(self, request: HttpRequest, obj: FeeRule | None = None) -> Any:
        return (_merchant, "method", _percent, _fixed, _valid_from) if _begun(obj) else ()

    def has_delete_permission(self, request: HttpRequest, obj: FeeRule | None = None) -> bool:
        may = super().has_delete_permission(request, obj)
        return may and not _begun(obj)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, label=capfirst(_("merchant")), **kwargs)
