"""Admin pages of provider accounts."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from core.admin import (
    EMPTY,
    ModeFilter,
    ReadOnlyAdmin,
    action_page,
    column,
    id_column,
    mode,
    moment,
    object_link,
    object_or_404,
)
from payments.admin.payout_form import ClabeField, TaxIdField
from payments.models import ProviderAccount
from payments.providers import registry
from payments.providers.conekta.signature import key_id
from payments.services import provider_account as service

_has_credentials = column("has_credentials", _("credentials"), lambda a: bool(a.credentials))
_has_webhook = column(
    "has_webhook", _("verifiable notices"), lambda a: bool(a.webhook_secret_sha256 or a.webhook_public_keys)
)
for _flag in (_has_credentials, _has_webhook):
    _flag.boolean = True  # type: ignore[attr-defined]

_use = column(
    "takes_new",
    _("use"),
    lambda a: _("new payments") if a.takes_new else _("only notices") if a.hears_notices else _("none"),
)


_company = column(
    "company",
    _("same company"),
    lambda a: (
        format_html_join(", ", "{}", [(object_link(o.public_id),) for o in service.company_accounts(a) if o.pk != a.pk])
        or EMPTY
    ),
)
_networks = column(
    "webhook_networks", _("allowed addresses"), lambda a: ", ".join(a.webhook_networks or []) or _("any")
)


class PublicKeyForm(forms.Form):
    """Form for a public key of Conekta."""

    pem = forms.CharField(
        label=_("public key"),
        max_length=4_000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 10, "style": "font-family: monospace"}),
        help_text=_("As Conekta shows it, from BEGIN PUBLIC KEY to END PUBLIC KEY."),
    )


class UseForm(forms.Form):
    """Form for the use of an account."""

    use = forms.ChoiceField(
        label=_("use"),
        choices=[
            (service.Use.NEW, _("New payments are created here, and notices are accepted")),
            (service.Use.NOTICES, _("Only notices are accepted")),
            (service.Use.NOTHING, _("None: notices are refused")),
        ],
        widget=UnfoldAdminRadioSelectWidget(),
    )


class OrderingForm(forms.Form):
    """Form for what orders say of us."""

    clabe = ClabeField(
        label=_("ordering CLABE"),
        required=False,
        help_text=_("Our own account from which orders are paid. Without it nothing can be sent."),
    )
    name = forms.CharField(
        label=_("ordering name"),
        required=False,
        max_length=120,
        help_text=_("What beneficiaries see as the sender: at most 40 characters, sent without accents."),
        widget=UnfoldAdminTextInputWidget,
    )
    tax_id = TaxIdField(label=_("ordering RFC"), required=False)


def networks_form(present: list[str]) -> type[forms.Form]:
    """Form for the networks of STP, one per line."""

    class NetworksForm(forms.Form):
        networks = forms.CharField(
            label=_("allowed addresses"),
            required=False,
            max_length=2_000,
            initial="\n".join(present),
            widget=UnfoldAdminTextareaWidget(attrs={"rows": 5}),
            help_text=_("One per line, e.g. 203.0.113.7 or 203.0.113.0/24. Empty: no restriction."),
        )

    return NetworksForm


@admin.register(ProviderAccount)
class ProviderAccountAdmin(ReadOnlyAdmin):
    """Never shows a secret or a part of one."""

    list_display = [
        id_column(),
        "provider",
        mode(),
        "name",
        _use,
        "clabe_prefix",
        _has_credentials,
        _has_webhook,
    ]
    list_filter = ["provider", ModeFilter, "takes_new", "hears_notices"]
    search_fields = ["public_id__exact", "name"]
    actions_detail = ["use", "start", "finish", "cancel", "add_key", "remove_key", "networks", "ordering_account"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", mode()),
                    ("provider", "name"),
                    ("takes_new", "hears_notices"),
                    ("clabe_prefix", "base_url"),
                    (_company, moment("created_at", _("created"))),
                    (_has_credentials, _has_webhook),
                    _networks,
                ]
            },
        ),
        (
            _("Orders of payouts"),
            {"fields": [("ordering_clabe", "ordering_tax_id"), "ordering_name"]},
        ),
    ]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        account = self.get_object(request, str(object_id))
        offered: set[str] = set()
        if account is not None and registry.provider(account.provider).proves_by == "secret":
            offered = {"finish", "cancel"} if account.webhook_next_secret_sha256 else {"start"}
            offered.add("networks")
        elif account is not None:
            keys = len(account.webhook_public_keys)
            offered = ({"add_key"} if keys < service.MAX_KEYS else set()) | ({"remove_key"} if keys > 1 else set())
        if account is not None and registry.provider(account.provider).pays_out:
            offered.add("ordering_account")
        offered.add("use")
        steps = super().get_actions_detail(request, object_id)
        return [step for step in steps if step.method.original_function_name in offered]

    @action(
        description=_("Change use"), permissions=["payments.change_provideraccount"], url_path="use", icon="toggle_on"
    )
    def use(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> None:
            service.set_use(account.pk, service.Use(data["use"]))

        present = service.Use.NEW if account.takes_new else service.Use.NOTICES
        if not account.hears_notices:
            present = service.Use.NOTHING
        text = _(
            "Payers may still send money for payments and CLABEs that were created here: accept notices as long as "
            "they can be paid. Only one account per provider and mode takes new payments."
        )
        return action_page(
            self,
            request,
            account,
            title=_("Change use"),
            run=run,
            form_class=UseForm,
            text=text,
            danger=True,
            initial={"use": present},
        )

    @action(
        description=_("New secret"), permissions=["payments.change_provideraccount"], url_path="new-secret", icon="key"
    )
    def start(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> HttpResponse:
            secret = service.start_exchange(account.pk)
            account.refresh_from_db()
            ours = urlsplit(settings.SITE.base_url)
            context = {
                **self.admin_site.each_context(request),
                "title": _("New secret"),
                "opts": ProviderAccount._meta,
                "original": account,
                "addresses": [
                    f"{ours.scheme}://{account.webhook_username}:{secret}@{ours.netloc}/webhooks/stp/{path}"
                    for path in ("deposits", "orders")
                ],
                "exchanging": bool(account.webhook_next_secret_sha256),
            }
            return TemplateResponse(
                request, "payments/webhook_secret.html", context, headers={"Cache-Control": "no-store"}
            )

        text = _(
            "A new secret is created and shown once. The current one stays valid: have STP change the addresses, and "
            "finish the exchange when notices arrive with the new secret."
        )
        return action_page(self, request, account, title=_("New secret"), run=run, text=text)

    @action(
        description=_("Finish exchange"),
        permissions=["payments.change_provideraccount"],
        url_path="finish-exchange",
        icon="check",
        variant=ActionVariant.SUCCESS,
    )
    def finish(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = object_or_404(self, request, object_id)
        text = _(
            "The old secret is refused from now on. Do this when STP uses the new addresses: the table on the "
            "account's page shows when each secret was last used."
        )

        def run(data: dict[str, Any]) -> None:
            service.finish_exchange(account.pk)

        return action_page(self, request, account, title=_("Finish exchange"), run=run, text=text, danger=True)

    @action(
        description=_("Cancel exchange"),
        permissions=["payments.change_provideraccount"],
        url_path="cancel-exchange",
        icon="undo",
    )
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> None:
            service.cancel_exchange(account.pk)

        text = _("The new secret is refused from now on; the current one stays valid.")
        return action_page(self, request, account, title=_("Cancel exchange"), run=run, text=text, danger=True)

    @action(description=_("Add key"), permissions=["payments.change_provideraccount"], url_path="add-key", icon="key")
    def add_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> None:
            service.add_key(account.pk, data["pem"])

        text = _("Signatures by this key are accepted in addition to the current one. Add it before Conekta uses it.")
        return action_page(self, request, account, title=_("Add key"), run=run, form_class=PublicKeyForm, text=text)

    @action(
        description=_("Remove key"),
        permissions=["payments.change_provideraccount"],
        url_path="remove-key",
        icon="key_off",
        variant=ActionVariant.DANGER,
    )
    def remove_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = object_or_404(self, request, object_id)

        class KeyForm(forms.Form):
            key = forms.ChoiceField(
                label=_("key"),
                choices=[(name, name) for name in map(key_id, account.webhook_public_keys)],
                widget=UnfoldAdminRadioSelectWidget(),
            )

        def run(data: dict[str, Any]) -> None:
            service.remove_key(account.pk, data["key"])

        text = _(
            "Signatures by this key are refused from now on. The table on the account's page shows when each key was "
            "last used."
        )
        return action_page(
            self, request, account, title=_("Remove key"), run=run, form_class=KeyForm, text=text, danger=True
        )

    @action(
        description=_("Allowed addresses"),
        permissions=["payments.change_provideraccount"],
        url_path="networks",
        icon="lan",
    )
    def networks(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = object_or_404(self, request, object_id)

        form = networks_form(account.webhook_networks or [])

        def run(data: dict[str, Any]) -> None:
            service.set_networks(account.pk, data["networks"].split())

        text = _("STP does not sign notices: accept them from its own addresses only.")
        return action_page(self, request, account, title=_("Allowed addresses"), run=run, form_class=form, text=text)

    @action(
        description=_("Ordering account"),
        permissions=["payments.change_provideraccount"],
        url_path="ordering",
        icon="send_money",
    )
    def ordering_account(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = object_or_404(self, request, object_id)
        present = {
            "clabe": account.ordering_clabe,
            "name": account.ordering_name,
            "tax_id": account.ordering_tax_id,
        }

        def run(data: dict[str, Any]) -> None:
            service.set_ordering(account.pk, **data)

        text = _("What every order of a payout says of us. Leave all of it empty to send nothing through this account.")
        return action_page(
            self,
            request,
            account,
            title=_("Ordering account"),
            run=run,
            form_class=OrderingForm,
            text=text,
            danger=True,
            initial=present,
        )
