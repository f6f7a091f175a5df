"""Admin pages of merchants."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.text import capfirst, format_lazy
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import INPUT_CLASSES, UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from core import clock
from core.admin import (
    NoDeleteAdmin,
    ReadOnlyInline,
    action_page,
    badge,
    column,
    id_column,
    mode,
    moment,
    object_link,
    object_or_404,
)
from core.forms import PesosField
from merchants.admin.api_key import NetworksField, scopes, state
from merchants.models import ApiKey, Merchant
from merchants.services import api_key

STATUS_COLOURS = {Merchant.Status.ACTIVE: "success", Merchant.Status.SUSPENDED: "danger"}


_LIMITS = {
    "payout_limit": _("Pesos. Empty: no limit."),
    "payout_day_limit": _("Pesos of all payouts created on a day in Mexico City. Empty: no limit."),
    "payout_destination_limit": _("Pesos to one CLABE on a day in Mexico City. Empty: no limit."),
    "payout_approval_above": _("Pesos: a larger payout needs a second person. 0: every payout. Empty: none."),
}
"""Help texts of the amounts of a merchant, which are written in pesos."""


class KeyForm(forms.Form):
    """Form for a new API key."""

    name = forms.CharField(
        label=_("name"),
        max_length=100,
        required=False,
        help_text=_("Where this key is used."),
        widget=UnfoldAdminTextInputWidget,
    )
    scopes = forms.MultipleChoiceField(
        label=_("scopes"),
        choices=[(scope, format_lazy("{}: {}", scope, text)) for scope, text in ApiKey.Scope.choices],
        initial=[ApiKey.Scope.PAYMENTS_READ, ApiKey.Scope.PAYMENTS_WRITE],
        help_text=_("What the key may do; give no more than its program needs. It never changes."),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    networks = NetworksField()
    last_day = forms.DateField(
        label=_("last day"),
        required=False,
        help_text=_("The key works until the end of this day in Mexico City; without one it has no end."),
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": " ".join(INPUT_CLASSES)}),
    )

    def clean_last_day(self) -> date | None:
        day: date | None = self.cleaned_data["last_day"]
        if day is not None and not clock.mexico_city_date(clock.now()) <= day <= date(2100, 1, 1):
            raise forms.ValidationError(_("Choose today or a day to come."))
        return day


class ApiKeyInline(ReadOnlyInline):
    model = ApiKey
    fields = [
        column("key", _("key begins with"), lambda key: object_link(key.public_id, str(key))),
        mode(),
        state,
        "name",
        scopes,
        moment("last_used_at", _("last used")),
        moment("expires_at", _("expires")),
    ]


@admin.register(Merchant)
class MerchantAdmin(NoDeleteAdmin):
    list_display = [
        "name",
        "legal_name",
        badge("status", STATUS_COLOURS, _("status")),
        id_column(),
        moment("created_at", _("created")),
    ]
    list_filter = ["status"]
    search_fields = ["public_id", "name", "legal_name"]
    readonly_fields = ["public_id", moment("created_at", _("created"))]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("name", "legal_name"),
                    ("tax_id", "incorporated_on"),
                    ("status", "deposit_policy"),
                    "technical_email",
                    tuple(readonly_fields),
                ]
            },
        ),
        (
            _("Payouts"),
            {
                "fields": [
                    ("payout_limit", "payout_day_limit"),
                    ("payout_destination_limit", "payout_cool_down_hours"),
                    ("payout_approval_above", "payout_approval_new_destination"),
                    "payout_fee_on_return",
                ]
            },
        ),
    ]
    add_fieldsets = [(None, {"fields": ["name", "legal_name"]})]
    inlines = [ApiKeyInline]
    actions_detail = ["create_test_key", "create_live_key"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Limits are written in pesos."""
        help_text = _LIMITS.get(db_field.name)
        if help_text is None:
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        return PesosField(
            zero=db_field.name == "payout_approval_above",
            label=capfirst(db_field.verbose_name),
            help_text=help_text,
            required=False,
        )

    def get_inlines(self, request: HttpRequest, obj: Merchant | None) -> Any:
        return super().get_inlines(request, obj) if obj is not None else []

    @action(description=_("New test key"), permissions=["merchants.add_apikey"], url_path="new-test-key", icon="key")
    def create_test_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._create_key(request, object_id, livemode=False, title=_("New test key"))

    @action(description=_("New live key"), permissions=["merchants.add_apikey"], url_path="new-live-key", icon="key")
    def create_live_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._create_key(request, object_id, livemode=True, title=_("New live key"))

    def _create_key(self, request: HttpRequest, object_id: str, *, livemode: bool, title: Any) -> HttpResponse:
        merchant = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> HttpResponse:
            day = data["last_day"]
            key, secret = api_key.create(
                merchant,
                livemode=livemode,
                name=data["name"],
                scopes=data["scopes"],
                networks=data["networks"],
                expires_at=clock.local_day_bounds(day)[1] if day else None,
                created_by=request.user,  # type: ignore[arg-type]
            )
            context = {
                **self.admin_site.each_context(request),
                "title": title,
                "opts": Merchant._meta,
                "original": merchant,
                "key": key,
                "secret": secret,
            }
            return TemplateResponse(request, "admin/api_key_created.html", context)

        return action_page(
            self,
            request,
            merchant,
            title=title,
            text=_("Live keys move real money; test keys never do.")
            + " "
            + _("The key is shown once, on the next page."),
            form_class=KeyForm,
            run=run,
        )
