"""Admin pages of payments and deposits with their provider events and ledger transactions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from core.admin import EMPTY, format_moment, label, object_link
from ledger.admin.transaction import rows_about
from payments.admin import DepositAdmin, PaymentAdmin
from payments.admin.provider_call import outcome_label
from payments.models import Deposit, Payment, ProviderCall
from webhooks.inbound.admin import STATUS_COLOURS, reason_text
from webhooks.models import ProviderEvent

admin.site.unregister([Payment, Deposit])


class TrailMixin:
    """Adds tables of provider events and ledger transactions below the object's page."""

    change_form_outer_after_template = "backoffice/trail.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        obj = self.get_object(request, object_id)  # type: ignore[attr-defined]
        context = {**(extra_context or {}), "trail": _trail(request, obj) if obj is not None else []}
        return super().change_view(request, object_id, form_url, context)  # type: ignore[misc]


@admin.register(Payment)
class PaymentWithTrail(TrailMixin, PaymentAdmin):
    """A payment with its trail."""


@admin.register(Deposit)
class DepositWithTrail(TrailMixin, DepositAdmin):
    """A deposit with its trail."""


def _trail(request: HttpRequest, obj: Payment | Deposit) -> list[dict[str, Any]]:
    """The tables that the user may view."""
    deposits = list(obj.deposits.all()) if isinstance(obj, Payment) else [obj]
    sources = [obj.public_id, *(deposit.public_id for deposit in deposits)]
    tables = []
    if request.user.has_perm("webhooks.view_providerevent"):
        first_notices = [deposit.provider_event for deposit in deposits]
        tables.append(
            {
                "title": _("Provider events"),
                "headers": [_("event"), _("received"), _("type"), _("status"), _("reason")],
                "rows": _events(sources, first_notices),
            }
        )
    if isinstance(obj, Payment) and request.user.has_perm("payments.view_providercall"):
        calls = _calls(obj.public_id)
        if calls:
            headers = [_("call"), _("began"), _("outcome"), _("HTTP status"), _("milliseconds")]
            tables.append({"title": _("Provider calls"), "headers": headers, "rows": calls})
    if request.user.has_perm("ledger.view_transaction"):
        tables.append(
            {
                "title": _("Ledger transactions"),
                "headers": [_("transaction"), _("recorded"), _("kind"), _("amount")],
                "rows": rows_about(sources),
            }
        )
    return tables


def _calls(object_id: str) -> list[list[Any]]:
    calls = ProviderCall.objects.filter(object_id=object_id).order_by("id")
    return [
        [
            format_html('<a href="{}" class="text-link">{}</a>', _page(call), call.operation),
            format_moment(call.began_at, seconds=True),
            outcome_label(call),
            str(call.status or EMPTY),
            EMPTY if call.duration_ms is None else f"{call.duration_ms:,}",
        ]
        for call in calls
    ]


def _page(call: ProviderCall) -> str:
    return reverse("admin:payments_providercall_change", args=[call.pk])


def _events(object_ids: list[str], event_ids: list[str]) -> list[list[Any]]:
    events = ProviderEvent.objects.filter(Q(object_id__in=object_ids) | Q(public_id__in=event_ids)).order_by("id")
    return [
        [
            object_link(event.public_id),
            format_moment(event.received_at, seconds=True),
            event.event_type,
            label(event.get_status_display(), STATUS_COLOURS.get(event.status, "")),
            reason_text(event.reason or event.last_error) or EMPTY,
        ]
        for event in events
    ]
