"""Admin pages of fee rules."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from core.admin import column, day, in_one_line, money, related
from core.admin_list import ListAdmin
from payments.models import FeeRule

_merchant = related("merchant", _("merchant"))
_percent = column("percent", _("percent"), lambda rule: in_one_line(f"{rule.percent.normalize():f} %"), order="percent")
_fixed = money("fixed", _("fixed"))
_valid_from = day("valid_from", _("valid from"))


def _stored(rule: FeeRule | None, *, begun: bool = False, ended: bool = False) -> bool:
    """True if the stored rule has begun or ended; a refused form leaves other days in the object."""
    stored = None if rule is None else FeeRule.objects.filter(pk=rule.pk).first()
    return stored is not None and ((begun and stored.has_begun) or (ended and stored.has_ended))


@admin.register(FeeRule)
class FeeRuleAdmin(ListAdmin):
    """A rule that has begun can only be ended; a new fee is a new row that begins the day after.

    ``FeeRule.clean`` validates the days. The database refuses invalid ones, too, for instance if midnight passes or
    another person saves while a form is open; then the page shows an error and the current fees.
    """

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
        if _stored(obj, begun=True):
            fields = [_merchant, "method", (_percent, _fixed), (_valid_from, "valid_until")]
        description = _(
            "The fee is a percentage of the amount received plus the fixed part, plus IVA, rounded half-up to the "
            "centavo. A payment keeps the fee of the day on which it was created. A fee that has begun can only "
            "be ended: set its last day and add a new fee that starts the day after."
        )
        return [(None, {"fields": fields, "description": description})]

    def get_readonly_fields(self, request: HttpRequest, obj: FeeRule | None = None) -> Any:
        return (_merchant, "method", _percent, _fixed, _valid_from) if _stored(obj, begun=True) else ()

    def has_change_permission(self, request: HttpRequest, obj: FeeRule | None = None) -> bool:
        may: bool = super().has_change_permission(request, obj)
        return may and not _stored(obj, ended=True)

    def has_delete_permission(self, request: HttpRequest, obj: FeeRule | None = None) -> bool:
        may: bool = super().has_delete_permission(request, obj)
        return may and not _stored(obj, begun=True)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except IntegrityError:
            return self._refused(request)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except IntegrityError:
            return self._refused(request)

    def _refused(self, request: HttpRequest) -> HttpResponse:
        text = _("Nothing was saved: the day or the fees changed while this page was open. Check them and try again.")
        self.message_user(request, text, messages.ERROR)
        return HttpResponseRedirect(reverse("admin:payments_feerule_changelist"))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, label=capfirst(_("merchant")), **kwargs)
