"""Admin pages of API keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget

from core import clock
from core.addresses import Network
from core.admin import (
    EMPTY,
    ModeFilter,
    ReadOnlyAdmin,
    action_page,
    column,
    label,
    mode,
    moment,
    object_link,
    object_or_404,
    related,
)
from core.fields import NetworkField
from merchants.models import ApiKey
from merchants.services import api_key


def _state(key: ApiKey) -> str:
    now = clock.now()
    if key.revoked_at is not None:
        return label(_("revoked"), "danger")
    if not key.works_at(now):
        return label(_("past its end"), "danger")
    ends_soon = key.expires_at is not None and key.expires_at - now <= timedelta(days=30)
    return label(_("ends soon"), "warning") if ends_soon else label(_("valid"), "success")


def _issuer(key: ApiKey) -> str:
    if key.created_by_key is not None:
        return object_link(key.created_by_key.public_id)
    return key.created_by.get_username() if key.created_by else str(_("command on the host"))


def _explained(key: ApiKey) -> str:
    """Scopes with their descriptions, one per line."""
    known = dict(ApiKey.Scope.choices)
    lines = [(scope, known.get(scope, "")) for scope in key.scopes]
    return format_html_join(mark_safe("<br>"), "{}: {}", lines) or EMPTY


state = column("state", _("status"), _state)
scopes = column("scopes", _("scopes"), lambda key: ", ".join(key.scopes) or EMPTY)
networks = column("networks", _("allowed addresses"), lambda key: ", ".join(map(str, key.networks)) or _("any"))


class NetworksField(forms.CharField):
    """Networks, one per line or separated by commas."""

    def __init__(self) -> None:
        super().__init__(
            label=_("allowed addresses"),
            required=False,
            help_text=_("One a line, for example 203.0.113.7 or 203.0.113.0/24. Empty: from anywhere."),
            widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        )

    def clean(self, value: Any) -> list[Network]:
        field = NetworkField()
        words = str(super().clean(value)).replace(",", " ").split()
        return [network for word in words if (network := field.to_python(word)) is not None]


class NetworksForm(forms.Form):
    """Form for the networks that may use a key."""

    networks = NetworksField()


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
        moment("expires_at", _("expires")),
        moment("created_at", _("created")),
    ]
    list_filter = [ModeFilter, ("revoked_at", admin.EmptyFieldListFilter)]
    search_fields = ["public_id__exact", "prefix", "name", "merchant__name"]
    list_select_related = ["merchant", "replaces", "created_by", "created_by_key"]
    actions_detail = ["restrict", "revoke"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", related("merchant", _("merchant"))),
                    ("prefix", "name"),
                    (mode(), state),
                    (column("scopes", _("scopes"), _explained), networks),
                    (moment("last_used_at", _("last used")), moment("expires_at", _("expires"))),
                    (moment("created_at", _("created")), moment("revoked_at", _("revoked"))),
                    (
                        column("created_by", _("created by"), _issuer),
                        related("replaces", _("replaces")),
                    ),
                ]
            },
        )
    ]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        key = self.get_object(request, str(object_id))
        return super().get_actions_detail(request, object_id) if key and key.revoked_at is None else []

    @action(
        description=_("Change addresses"),
        permissions=["merchants.change_apikey"],
        url_path="restrict",
        icon="location_on",
    )
    def restrict(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> None:
            api_key.restrict(key, networks=data["networks"])

        return action_page(
            self,
            request,
            key,
            title=_("Change allowed addresses"),
            text=_("Requests from elsewhere are refused within a second."),
            form_class=NetworksForm,
            initial={"networks": "\n".join(map(str, key.networks))},
            run=run,
        )

    @action(
        description=_("Revoke"),
        permissions=["merchants.change_apikey"],
        url_path="revoke",
        icon="key_off",
        variant=ActionVariant.DANGER,
    )
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = object_or_404(self, request, object_id)

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
