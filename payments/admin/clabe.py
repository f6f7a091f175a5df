"""Admin pages of reusable CLABEs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action
from unfold.paginator import InfinitePaginator

from core.admin import (
    EMPTY,
    ModeFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    action_page,
    badge,
    column,
    id_column,
    mode,
    moment,
    money,
    object_or_404,
    related,
    transition_fields,
)
from payments.admin.deposit import provider_account
from payments.models import Clabe, ClabeTransition
from payments.services import clabe_registration

STATUS_COLOURS = {Clabe.Status.ACTIVE: "success", Clabe.Status.CLOSED: "danger"}
REGISTRATION_COLOURS = {Clabe.Registration.ACTIVE: "success", Clabe.Registration.REFUSED: "danger"}

_metadata = column("metadata", _("metadata"), lambda c: ", ".join(f"{k}: {v}" for k, v in c.metadata.items()) or EMPTY)


class ClabeTransitionInline(ReadOnlyInline):
    model = ClabeTransition
    fields = transition_fields(Clabe.Status, STATUS_COLOURS)
    verbose_name_plural = _("history")


@admin.register(Clabe)
class ClabeAdmin(ReadOnlyAdmin):
    """Merchants create and close CLABEs by the API. A refused registration can be asked for again."""

    paginator = InfinitePaginator
    list_display = [
        id_column(),
        moment("created_at", _("created"), order="id"),
        related("merchant", _("merchant")),
        "clabe",
        "purpose",
        badge("registration", REGISTRATION_COLOURS, _("registration")),
        "label",
        "customer_name",
        badge("status", STATUS_COLOURS, _("status")),
        mode(),
    ]
    list_filter = [
        ("status", ChoicesDropdownFilter),
        ("purpose", ChoicesDropdownFilter),
        ("registration", ChoicesDropdownFilter),
        ("merchant", RelatedDropdownFilter),
        ModeFilter,
    ]
    search_fields = ["public_id__exact", "clabe__exact", "label", "customer_name", "customer_phone"]
    list_select_related = ["merchant", "provider_account"]
    ordering = ["-id"]
    inlines = [ClabeTransitionInline]
    actions_detail = ["register_again"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", related("merchant", _("merchant"))),
                    (badge("status", STATUS_COLOURS, _("status")), mode()),
                    ("clabe", provider_account),
                    ("purpose", badge("registration", REGISTRATION_COLOURS, _("registration"))),
                    ("registration_detail", "registration_tries"),
                    moment("registration_due_at", _("next request")),
                    ("label", "customer_name"),
                    ("customer_email", "customer_phone"),
                    (money("min_amount", _("minimum amount")), money("max_amount", _("maximum amount"))),
                    (moment("created_at", _("created")), moment("closed_at", _("closed at"))),
                    _metadata,
                ]
            },
        )
    ]

    def get_actions_detail(self, request: HttpRequest, object_id: str | None = None) -> Any:
        clabe = self.get_object(request, str(object_id))
        refused = clabe is not None and clabe.registration == Clabe.Registration.REFUSED
        return super().get_actions_detail(request, object_id) if refused else []

    @action(
        description=_("Register again"), permissions=["payments.add_clabe"], url_path="register-again", icon="refresh"
    )
    def register_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        clabe = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> None:
            with transaction.atomic():
                clabe_registration.again(clabe.pk)

        return action_page(
            self,
            request,
            clabe,
            title=_("Register again"),
            text=_("The provider is asked once more, with the merchant's present data."),
            run=run,
        )
