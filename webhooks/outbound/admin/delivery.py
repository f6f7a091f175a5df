"""Admin pages of deliveries of events to merchants' endpoints."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.contrib.filters.admin.dropdown_filters import DropdownFilter
from unfold.contrib.filters.admin.text_filters import TextFilter
from unfold.decorators import action
from unfold.paginator import InfinitePaginator

from core import ids, search
from core.admin import (
    EMPTY,
    DayRangeFilter,
    ModeFilter,
    ReadOnlyAdmin,
    action_page,
    breakable,
    column,
    format_moment,
    id_column,
    mode,
    moment,
    object_link,
    object_or_404,
    object_url,
    short_id,
)
from merchants.models import Event
from merchants.resources.event import event as event_resource
from merchants.services.event_type import TYPES
from webhooks.inbound.admin import readable_body
from webhooks.outbound.admin.words import code_block, delivery_status_column, outcome
from webhooks.outbound.models import Delivery, Endpoint
from webhooks.outbound.services import claim, replay

FOUND_EVENTS = 1_000
"""Events of one object whose deliveries a search finds."""

_mode_of_endpoint = mode()

merchant_column = column(
    "merchant",
    _("merchant"),
    lambda d: object_link(d.endpoint.merchant.public_id, d.endpoint.merchant.name),
)
mode_column = column("livemode", _("mode"), lambda d: _mode_of_endpoint(d.endpoint))
endpoint_column = column("endpoint", _("endpoint"), lambda d: _endpoint_link(d.endpoint))
type_column = column("type", _("event type"), lambda d: d.event.type)
object_column = column("about", _("object"), lambda d: _object(d.event.object_id))


class EndpointModeFilter(ModeFilter):
    """Filter by the mode of the endpoint."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        known = self.value() in ("0", "1")
        return queryset.filter(endpoint__livemode=self.value() == "1") if known else queryset


class EndpointFilter(TextFilter):
    """Filter by the endpoint's public id."""

    title = _("endpoint (we_…)")
    parameter_name = "endpoint"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        if not self.value():
            return queryset
        wanted = search.public_id(str(self.value()))
        return queryset.filter(endpoint__public_id=wanted) if wanted else queryset.none()


class EventTypeFilter(DropdownFilter):
    """Filter by the type of the event."""

    title = _("event type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, name) for name in sorted(TYPES)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        return queryset.filter(event__type=self.value()) if self.value() in TYPES else queryset


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Deliveries with what was sent and answered; staff may have one made again."""

    paginator = InfinitePaginator
    list_display = [
        id_column(),
        moment("created_at", _("created"), order="id"),
        merchant_column,
        endpoint_column,
        column("event", _("event"), lambda d: format_html("{}<br>{}", d.event.type, _object(d.event.object_id))),
        delivery_status_column,
        column("tries", _("failures"), lambda d: d.tries, order="tries"),
        moment("next_attempt_at", _("next attempt")),
        mode_column,
    ]
    list_filter = [
        ("created_at", DayRangeFilter),
        ("status", ChoicesDropdownFilter),
        EndpointFilter,
        ("endpoint__merchant", RelatedDropdownFilter),
        EventTypeFilter,
        ("kind", ChoicesDropdownFilter),
        EndpointModeFilter,
    ]
    search_fields = ["public_id__exact"]
    search_help_text = _("Complete id of the delivery, the attempt, the event or its object")
    ordering = ["-id"]
    sortable_by = ["created_at_shown", "public_id_shown"]
    actions_detail = ["retry", "again"]
    change_form_outer_after_template = "backoffice/trail.html"
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", delivery_status_column),
                    (merchant_column, mode_column),
                    (endpoint_column, "kind"),
                    (type_column, object_column),
                    (
                        moment("created_at", _("created"), seconds=True),
                        moment("finished_at", _("finished"), seconds=True),
                    ),
                    ("tries", column("next", _("next attempt"), lambda d: _next(d))),
                ]
            },
        ),
        (
            _("Request"),
            {
                "description": _(
                    "The body is the event, equal in every attempt. Account numbers are masked here, not in what was "
                    "sent."
                ),
                "fields": [
                    column("headers", _("headers"), lambda d: code_block(_headers(d))),
                    column("body", _("body"), lambda d: code_block(_body(d))),
                ],
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        rows: QuerySet[Delivery] = super().get_queryset(request)
        return rows.select_related("endpoint__merchant", "event").defer("event__data", "endpoint__metadata")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        """By the id of the delivery or of an attempt; else by that of an event or its object, through the event."""
        if not search_term.strip():
            return queryset, False
        wanted = search.public_id(search_term) or search_term.strip()
        if ids.is_id(wanted, "delivery"):
            return queryset.filter(public_id=wanted), False
        if ids.is_id(wanted, "delivery_attempt"):
            return queryset.filter(attempts__public_id=wanted), False
        if ids.is_id(wanted, "webhook_endpoint"):
            return queryset.filter(endpoint__public_id=wanted), False
        events = Event.objects.filter(Q(public_id=wanted) | Q(object_id=wanted))
        found = list(events.values_list("sequence", "merchant_id")[:FOUND_EVENTS])
        endpoints = Endpoint.objects.filter(merchant__in={merchant for _, merchant in found})
        # Lists of ids, so that PostgreSQL uses the index of deliveries by endpoint and event.
        return queryset.filter(
            endpoint__in=list(endpoints.values_list("pk", flat=True)), event__in=[sequence for sequence, _ in found]
        ), False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        delivery = self.get_object(request, object_id)
        shown = delivery is not None and self.has_view_permission(request, delivery)
        context = {**(extra_context or {}), "trail": [_attempts(delivery)] if shown else []}
        return super().change_view(request, object_id, form_url, context)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        delivery = self.get_object(request, str(object_id))
        fitting = ""
        if delivery is not None and delivery.endpoint.status != Endpoint.Status.DISABLED:
            fitting = "again" if delivery.status == Delivery.Status.DELIVERED else "retry"
        actions = super().get_actions_detail(request, object_id)
        return [one for one in actions if one.method.original_function_name == fitting]

    @action(description=_("Try now"), permissions=["webhooks.retry_delivery"], url_path="retry", icon="send")
    def retry(self, request: HttpRequest, object_id: str) -> HttpResponse:
        text = _("One attempt is made at once, also if the endpoint is paused. A failure does not count against it.")
        return self._retry(request, object_id, title=_("Try delivery now"), text=text)

    @action(description=_("Deliver again"), permissions=["webhooks.retry_delivery"], url_path="again", icon="replay")
    def again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        text = _("The receiver took it already. The same event is sent again, as a new delivery.")
        return self._retry(request, object_id, title=_("Deliver event again"), text=text)

    def _retry(self, request: HttpRequest, object_id: str, *, title: Any, text: Any) -> HttpResponse:
        delivery = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> HttpResponse:
            with transaction.atomic():
                made = replay.retry(delivery.pk)
            return HttpResponseRedirect(reverse("admin:webhooks_delivery_change", args=[made.public_id]))

        return action_page(self, request, delivery, title=title, text=text, run=run)


def _object(public_id: str) -> str:
    return object_link(public_id, short_id(public_id)) if object_url(public_id) else public_id


def _endpoint_link(endpoint: Endpoint) -> str:
    return object_link(endpoint.public_id, breakable(endpoint.url, min_width="9rem"))


def _next(delivery: Delivery) -> str:
    """When it is tried next in Mexico City time, or what it waits for."""
    if delivery.status == Delivery.Status.PAUSED:
        return str(_("when its endpoint recovers"))
    if delivery.status != Delivery.Status.PENDING:
        return str(_("none"))
    if delivery.next_attempt_at is None:
        return str(_("after the earlier events of its object"))
    return format_moment(delivery.next_attempt_at, seconds=True)


def _headers(delivery: Delivery) -> str:
    """The headers of an attempt. Signatures are made for each attempt and not stored."""
    last = delivery.attempts.last()
    timestamp = str(int(last.at.timestamp())) if last is not None else EMPTY
    return "\n".join(
        [
            "Content-Type: application/json",
            "User-Agent: Pagos-MX-Webhooks/1",
            f"webhook-id: {delivery.event.public_id}",
            f"webhook-timestamp: {timestamp}",
            "webhook-signature: v1,…",
        ]
    )


def _body(delivery: Delivery) -> str:
    event = Event.objects.get(pk=delivery.event.pk)  # with its data
    return readable_body(claim.encode(event_resource(event)).encode())


def _attempts(delivery: Delivery) -> dict[str, Any]:
    return {
        "title": _("Attempts"),
        "headers": [_("attempt"), _("when"), _("answer"), _("milliseconds"), "URL", _("first KiB of the answer")],
        "rows": [
            [
                format_html("{}<br>{}", short_id(made.public_id), _("by hand") if made.manual else ""),
                format_moment(made.at, seconds=True),
                outcome(made),
                EMPTY if made.duration_ms is None else f"{made.duration_ms:,}",
                breakable(made.url, min_width="12rem"),
                _excerpt(made.response_excerpt),
            ]
            for made in delivery.attempts.all()
        ]
        or [[_("none yet"), "", "", "", "", ""]],
    }


def _excerpt(text: str) -> str:
    style = "max-height: 8rem; min-width: 14rem; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere"
    return format_html('<div style="{}">{}</div>', style, text) if text else EMPTY
