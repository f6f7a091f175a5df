"""Endpoints for the event feed."""

from __future__ import annotations

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from core.api import schema
from core.api.pagination import page, refuse_unknown
from core.api.views import ApiResponse
from core.errors import FieldError, InvalidRequest
from merchants.api.views import MerchantView
from merchants.models import ApiKey
from merchants.resources.event import event as event_resource
from merchants.services import event


class EventsView(MerchantView):
    """The feed, newest first; oldest first with ``after_sequence``, to fetch missed events."""

    scopes = {"GET": ApiKey.Scope.PAYMENTS_READ}

    @extend_schema(
        tags=["events"],
        operation_id="list_events",
        summary="List events",
        description="Changes of your objects, newest first. With `after_sequence`, oldest first, to fetch events that "
        "you missed: no new event ever gets a lower `sequence` than one that you have seen.",
        parameters=[
            *schema.PAGE,
            OpenApiParameter(
                "after_sequence",
                {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
                description="The `sequence` of the last event that you have; 0 for all events",
            ),
        ],
        responses={200: schema.EventPage},
    )
    def get(self, request: Request) -> HttpResponse:
        refuse_unknown(request.query_params, "after_sequence")
        rows = event.feed(self.merchant, livemode=self.livemode)
        owner = (self.merchant.pk, self.livemode)
        after = request.query_params.get("after_sequence")
        if after is None:
            return ApiResponse(page(rows, request.query_params, owner=owner, render=event_resource, order="sequence"))
        if not (after.isascii() and after.isdigit() and len(after) <= 18):
            message = "after_sequence must be the sequence of an event."
            raise InvalidRequest(message, errors=[FieldError("after_sequence", "invalid", message)])
        return ApiResponse(
            page(
                rows.filter(sequence__gt=int(after)),
                request.query_params,
                owner=owner,
                render=event_resource,
                order="sequence",
                oldest_first=True,
            )
        )


class EventView(MerchantView):
    """One event."""

    scopes = {"GET": ApiKey.Scope.PAYMENTS_READ}

    @extend_schema(
        tags=["events"],
        operation_id="read_event",
        summary="Read an event",
        description="One event, with the object as it was at that time.",
        parameters=[OpenApiParameter("event_id", str, OpenApiParameter.PATH, description="`evt_…`")],
        responses={200: schema.EventObject},
    )
    def get(self, request: Request, event_id: str) -> HttpResponse:
        return ApiResponse(event_resource(self.find(event.feed(self.merchant, livemode=self.livemode), event_id)))
