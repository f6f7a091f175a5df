"""Admin pages of payments, deposits and payouts with what led to them and what they led to."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from core.admin import EMPTY, breakable, format_moment, label, object_link
from core.state import TransitionRow
from ledger.admin.hold import holds_of
from ledger.admin.transaction import rows_about
from merchants.models import ApiKey
from payments.admin import DepositAdmin, PaymentAdmin, PayoutAdmin
from payments.admin.payout_resolution import checklist, resolutions_of
from payments.admin.provider_call import outcome_label
from payments.models import Deposit, Payment, Payout, ProviderCall
from webhooks.inbound.admin import STATUS_COLOURS, reason_text
from webhooks.models import ProviderEvent

admin.site.unregister([Payment, Deposit, Payout])


ANSWER_SHOWN = 400
"""Characters of a response in the table; the call's own page has all of it."""


class TrailMixin:
    """Adds tables of provider events and ledger transactions below the object's page."""

    change_form_outer_after_template = "backoffice/trail.html"

    def trail(self, request: HttpRequest, obj: Any) -> list[dict[str, Any]]:
        """The tables that the user may view."""
        return _trail(request, obj)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        obj = self.get_object(request, object_id)  # type: ignore[attr-defined]
        shown = obj is not None and self.has_view_permission(request, obj)  # type: ignore[attr-defined]
        context = {**(extra_context or {}), "trail": self.trail(request, obj) if shown else []}
        return super().change_view(request, object_id, form_url, context)  # type: ignore[misc]


@admin.register(Payment)
class PaymentWithTrail(TrailMixin, PaymentAdmin):
    """A payment with its trail."""


@admin.register(Deposit)
class DepositWithTrail(TrailMixin, DepositAdmin):
    """A deposit with its trail."""


@admin.register(Payout)
class PayoutWithTrail(TrailMixin, PayoutAdmin):
    """A payout with the request that made it, its approval, calls, notices, hold and postings."""

    def trail(self, request: HttpRequest, obj: Payout) -> list[dict[str, Any]]:
        may, sources = request.user.has_perm, [obj.public_id]
        tables = [_request_of(obj)]
        asked = self.approval_of(obj)
        if asked is not None:
            tables.append(self.decision_table(asked))
        if obj.needs_staff or obj.delayed or obj.status == obj.Status.PROCESSING:
            tables.insert(0, checklist(obj))
        resolutions = resolutions_of(obj)
        if resolutions["rows"]:
            tables.append(resolutions)
        if may("payments.view_providercall"):
            tables.append(_call_table(obj.public_id, with_texts=True))
        if may("webhooks.view_providerevent"):
            tables.append(_event_table(sources, []))
        if may("ledger.view_hold"):
            headers = [_("hold"), _("created"), _("amount"), _("status"), _("resolved")]
            tables.append({"title": _("Hold"), "headers": headers, "rows": holds_of(sources)})
        if may("ledger.view_transaction"):
            tables.append(_posting_table(sources))
        return tables


def _trail(request: HttpRequest, obj: Payment | Deposit) -> list[dict[str, Any]]:
    deposits = list(obj.deposits.all()) if isinstance(obj, Payment) else [obj]
    sources = [obj.public_id, *(deposit.public_id for deposit in deposits)]
    tables = []
    if request.user.has_perm("webhooks.view_providerevent"):
        tables.append(_event_table(sources, [deposit.provider_event for deposit in deposits]))
    if isinstance(obj, Payment) and request.user.has_perm("payments.view_providercall"):
        calls = _call_table(obj.public_id)
        if calls["rows"]:
            tables.append(calls)
    if request.user.has_perm("ledger.view_transaction"):
        tables.append(_posting_table(sources))
    return tables


def _request_of(payout: Payout) -> dict[str, Any]:
    """Who made the payout: an API key by a request, or a person."""
    made = payout.transitions.order_by("id").first()
    rows: list[list[Any]] = []
    if made is not None:
        by: Any = made.actor
        if made.cause == TransitionRow.Cause.API:
            key = ApiKey.objects.filter(public_id=made.actor).first()
            by = object_link(made.actor, f"{key} {key.name}".strip()) if key is not None else made.actor
        what = "POST /v1/payouts" if made.cause == TransitionRow.Cause.API else str(_("Proposed by a person"))
        rows = [[what, by, made.reference or EMPTY, format_moment(made.created_at, seconds=True)]]
    return {"title": _("Made by"), "headers": [_("request"), _("by"), _("request id"), _("when")], "rows": rows}


def _call_table(object_id: str, *, with_texts: bool = False) -> dict[str, Any]:
    headers = [_("call"), _("began"), _("outcome"), _("HTTP status"), _("milliseconds")]
    if with_texts:
        headers.append(_("response"))
    return {"title": _("Provider calls"), "headers": headers, "rows": _calls(object_id, with_texts)}


def _event_table(object_ids: list[str], event_ids: list[str]) -> dict[str, Any]:
    headers = [_("event"), _("received"), _("type"), _("status"), _("reason")]
    return {"title": _("Provider events"), "headers": headers, "rows": _events(object_ids, event_ids)}


def _posting_table(sources: list[str]) -> dict[str, Any]:
    headers = [_("transaction"), _("recorded"), _("kind"), _("amount")]
    return {"title": _("Ledger transactions"), "headers": headers, "rows": rows_about(sources)}


def _calls(object_id: str, with_texts: bool) -> list[list[Any]]:
    calls = ProviderCall.objects.filter(object_id=object_id).order_by("id")
    return [
        [
            format_html('<a href="{}" class="text-link">{}</a>', _page(call), call.operation),
            format_moment(call.began_at, seconds=True),
            outcome_label(call),
            str(call.status or EMPTY),
            EMPTY if call.duration_ms is None else f"{call.duration_ms:,}",
            *([_shortened(call.answer)] if with_texts else []),
        ]
        for call in calls
    ]


def _shortened(answer: str) -> str:
    return breakable(answer[:ANSWER_SHOWN], min_width="14rem") if answer else EMPTY


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
