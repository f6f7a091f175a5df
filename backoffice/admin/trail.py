"""What belongs to a payment or deposit in other apps: provider events and the ledger, below its own page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from core.admin import EMPTY, format_moment, label, object_link
from ledger.admin.transaction import rows_about
from payments.admin import DepositAdmin, PaymentAdmin
from payments.models import Deposit, Payment
from webhooks.admin import STATUS_COLOURS, said
from webhooks.models import ProviderEvent

admin.site.unregister([Payment, Deposit])


class TrailMixin:
    """A page that ends with the events that touched its object and the transactions it caused."""

    change_form_outer_after_template = "backoffice/trail.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        obj = self.get_object(request, object_id)  # type: ignore[attr-defined]
        context = {**(extra_context or {}), "trail": _trail(request, obj) if obj is not None else []}
        return super().change_view(request, object_id, form_url, context)  # type: ignore[misc]


@admin.register(Payment)
class PaymentWithTrail(TrailMixin, PaymentAdmin):
    """A payment with everything that happened to it."""


@admin.register(Deposit)
class DepositWithTrail(TrailMixin, DepositAdmin):
    """A deposit with everything that happened to it."""


def _trail(request: HttpRequest, obj: Payment | Deposit) -> list[dict[str, Any]]:
    """The tables below the page, each only for staff who may view what it shows."""
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
    if request.user.has_perm("ledger.view_transaction"):
        tables.append(
            {
                "title": _("Ledger transactions"),
                "headers": [_("transaction"), _("recorded"), _("kind"), _("amount")],
                "rows": rows_about(sources),
            }
        )
    return tables


def _events(object_ids: list[str], event_ids: list[str]) -> list[list[Any]]:
    events = ProviderEvent.objects.filter(Q(object_id__in=object_ids) | Q(public_id__in=event_ids)).order_by("id")
    return [
        [
            object_link(event.public_id),
            format_moment(event.received_at, seconds=True),
            event.event_type,
            label(event.get_status_display(), STATUS_COLOURS.get(event.status, "")),
            said(event.reason or event.last_error) or EMPTY,
        ]
        for event in events
    ]
