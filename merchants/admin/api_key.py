from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.enums import ActionVariant

from core.admin import ModeFilter, ReadOnlyAdmin, action_page, column, found_object, label, mode, moment, related
from merchants.models import ApiKey
from merchants.services import api_key

state = column(
    "state", _("status"), lambda key: label(_("revoked"), "danger") if key.revoked_at else label(_("valid"), "success")
)
scopes = column("scopes", _("scopes"), lambda key: ", ".join(key.scopes))


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = [
        "prefix",
        related("merchant", _("merchant")),
        mode(),
        state,
        "name",
        scopes,
        moment("last_used_at", _("last used")),
        moment("created_at", _("created")),
    ]
    list_filter = [ModeFilter, ("revoked_at", admin.EmptyFieldListFilter)]
    search_fields = ["public_id__exact", "prefix", "name", "merchant__name"]
    list_select_related = ["merchant"]
    actions_detail = ["revoke"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", related("merchant", _("merchant"))),
                    ("prefix", "name"),
                    (mode(), state),
                    (scopes, moment("last_used_at", _("last used"))),
                    (moment("created_at", _("created")), moment("revoked_at", _("revoked"))),
                ]
            },
        )
    ]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        key = self.get_object(request, str(object_id))
        return super().get_actions_detail(request, object_id) if key and key.revoked_at is None else []

    @action(
        description=_("Revoke"),
        permissions=["merchants.change_apikey"],
        url_path="revoke",
        icon="key_off",
        variant=ActionVariant.DANGER,
    )
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = found_object(self, request, object_id)

        def run(data: dict[str, Any]) -> None:
            api_key.revoke(key)

        return action_page(
            self,
            request,
            key,
            title=_("Revoke API key"),
            text=_("Every request with this key is refused from now on. A revoked key cannot be used again."),
            run=run,
            danger=True,
        )
