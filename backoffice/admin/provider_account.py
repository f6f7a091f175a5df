"""Admin page of a provider account with the last use of its webhook secrets and keys."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from core.admin import EMPTY, format_moment, label
from payments.admin import ProviderAccountAdmin
from payments.models import ProviderAccount
from webhooks.inbound.services import keys

admin.site.unregister(ProviderAccount)


@admin.register(ProviderAccount)
class ProviderAccountWithKeys(ProviderAccountAdmin):
    """Shows keys by a short name, the start of a hash that reveals nothing."""

    change_form_outer_after_template = "backoffice/trail.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        account = self.get_object(request, object_id)
        shown = account is not None and self.has_view_permission(request, account)
        context = {**(extra_context or {}), "trail": [_keys(account)] if shown else []}
        return super().change_view(request, object_id, form_url, context)


def _keys(account: ProviderAccount) -> dict[str, Any]:
    used = [
        [
            key.key_id,
            label(_("new"), "info") if key.is_new else label(_("valid"), "success"),
            format_moment(key.last_used_at, seconds=True) if key.last_used_at else EMPTY,
            str(key.used_today),
        ]
        for key in keys.in_use(account)
    ]
    return {
        "title": _("Secrets and keys of notices"),
        "headers": [_("secret or key"), _("state"), _("last notice"), _("notices in 24 hours")],
        "rows": used or [[_("none: every notice is refused"), "", "", ""]],
    }
