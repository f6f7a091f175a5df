"""Endpoints for deliveries: list, read, retry."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core import ids
from core.api import filters, schema
from core.api.pagination import page, refuse_unknown
from core.api.views import ApiResponse
from core.errors import NotFound
from merchants.api.views import MerchantView
from merchants.models import ApiKey, Event
from webhooks.outbound.api.once import once_if_keyed
from webhooks.outbound.models import Delivery, Endpoint
from webhooks.outbound.resources.delivery import delivery as delivery_resource
from webhooks.outbound.services import replay

_ID = OpenApiParameter("delivery_id", str, OpenApiParameter.PATH, description="`dlv_…`")


class AttemptObject(serializers.Serializer[Any]):
    """One request to your endpoint, and what it answered."""

    id = serializers.CharField(help_text="`att_…`")
    at = serializers.DateTimeField(help_text="When it was sent; also its `webhook-timestamp`")
    url = serializers.CharField(help_text="Where it was sent")
    manual = serializers.BooleanField(help_text="True if it was asked for, or a probe of a paused endpoint")
    status_code = serializers.IntegerField(allow_null=True, help_text="The answer's HTTP status; null without one")
    error = serializers.CharField(
        allow_null=True,
        help_text="Why there is no complete answer: `timeout`, `connection`, `tls`, `refused_address`, `too_large`, "
        "`protocol`, `interrupted`, …",
    )
    duration_ms = serializers.IntegerField(allow_null=True, help_text="Milliseconds until the answer was read")
    response_excerpt = serializers.CharField(allow_null=True, help_text="The first 1,024 bytes of the answer")


class DeliveryObject(serializers.Serializer[Any]):
    """An event on its way to an endpoint."""

    id = serializers.CharField(help_text="`dlv_…`")
    object = serializers.ChoiceField(choices=["delivery"], help_text="Always `delivery`")
    livemode = serializers.BooleanField(help_text="The mode of its endpoint")
    created_at = serializers.DateTimeField(help_text="When the event was assigned to the endpoint")
    endpoint = serializers.CharField(help_text="`we_…`")
    event = serializers.CharField(help_text="`evt_…`; also the `webhook-id` of every attempt")
    event_type = serializers.CharField(help_text="The event's type")
    kind = serializers.ChoiceField(
        choices=Delivery.Kind.values, help_text="`feed`: as the event happened. `replay`, `test`: asked for"
    )
    status = serializers.ChoiceField(
        choices=Delivery.Status.values,
        help_text="`pending` until the endpoint answers 2xx (`delivered`) or the schedule ends (`exhausted`). "
        "`paused`: waits until its endpoint recovers. `cancelled`: its endpoint was disabled or deleted",
    )
    next_attempt_at = serializers.DateTimeField(
        allow_null=True, help_text="When it is tried next; null if not, or if it waits for an earlier event"
    )
    finished_at = serializers.DateTimeField(allow_null=True, help_text="When it was delivered, given up or cancelled")
    attempts = AttemptObject(many=True, help_text="Its attempts, the first one first")


class DeliveryPage(serializers.Serializer[Any]):
    """One page of deliveries."""

    data = DeliveryObject(many=True, help_text="The deliveries, newest first")  # type: ignore[assignment]
    has_more = serializers.BooleanField(help_text="Whether there is another page")
    next_cursor = serializers.CharField(allow_null=True, help_text="Send it as `cursor` to get that page")


def rendered(query: QueryDict, endpoint: Endpoint, *, owner: Any) -> dict[str, Any]:
    """One page of the endpoint's deliveries by the filters ``status`` and ``event``."""
    refuse_unknown(query, "status", "event")
    rows = _rows().filter(endpoint=endpoint)
    if (status := filters.choice(query, "status", Delivery.Status.values)) is not None:
        rows = rows.filter(status=status)
    if (event := filters.text(query, "event", max_length=40)) is not None:
        rows = rows.filter(event__in=Event.objects.filter(public_id=event).values("sequence"))
    return page(rows, query, owner=(*owner, endpoint.public_id), render=delivery_resource)


class DeliveryView(MerchantView):
    """One delivery."""

    scopes = {"GET": ApiKey.Scope.WEBHOOKS_MANAGE}

    @extend_schema(
        tags=["webhooks"],
        operation_id="read_delivery",
        summary="Read a delivery",
        description="The delivery with its attempts of the last 90 days.",
        parameters=[_ID],
        responses={200: DeliveryObject},
    )
    def get(self, request: Request, delivery_id: str) -> HttpResponse:
        return ApiResponse(delivery_resource(_find(self, delivery_id)))


class DeliveryRetryView(MerchantView):
    """Another attempt of a delivery."""

    scopes = {"POST": ApiKey.Scope.WEBHOOKS_MANAGE}

    @extend_schema(
        tags=["webhooks"],
        operation_id="retry_delivery",
        summary="Try a delivery again",
        description="Makes an attempt now, also if the endpoint is paused. A delivered event is delivered again, as a "
        "new delivery: the answer names the one to watch. It does not count against the endpoint.",
        parameters=[_ID],
        request=None,
        responses={202: DeliveryObject, **schema.problems(409)},
    )
    def post(self, request: Request, delivery_id: str) -> HttpResponse:
        found = _find(self, delivery_id)
        return once_if_keyed(
            self,
            request,
            create=lambda: replay.retry(found.pk),
            public_id=lambda made: made.public_id,
            render=delivery_resource,
            has_body=False,
            status=202,
        )


def _rows() -> QuerySet[Delivery]:
    return Delivery.objects.select_related("endpoint", "event").prefetch_related("attempts")


def _find(view: MerchantView, public_id: str) -> Delivery:
    rows = _rows().filter(endpoint__merchant=view.merchant, endpoint__livemode=view.livemode)
    found = rows.filter(public_id=public_id).first() if ids.is_id(public_id) else None
    if found is None:
        raise NotFound
    return found
