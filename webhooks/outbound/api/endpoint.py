"""Endpoints for webhook endpoints: create, list, read, change, delete, rotate the secret, test, replay."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.db import OperationalError, transaction
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core.api import filters, schema
from core.api.pagination import page, refuse_unknown
from core.api.views import ApiResponse
from core.errors import NotFound
from merchants.api.idempotency import stored_response
from merchants.api.views import MerchantView
from merchants.models import ApiKey
from webhooks.outbound.api.delivery import DeliveryObject, DeliveryPage, rendered
from webhooks.outbound.api.endpoint_request import EndpointChange, EndpointRequest, ReplayRequest, RotateRequest
from webhooks.outbound.api.once import once_if_keyed
from webhooks.outbound.models import Delivery, Endpoint
from webhooks.outbound.resources.delivery import delivery as delivery_resource
from webhooks.outbound.resources.endpoint import endpoint as endpoint_resource
from webhooks.outbound.services import care, replay
from webhooks.outbound.services import endpoint as endpoint_service

ID = OpenApiParameter("webhook_endpoint_id", str, OpenApiParameter.PATH, description="`we_…`")
OPTIONAL_KEY = OpenApiParameter(
    "Idempotency-Key",
    schema.KEY,
    OpenApiParameter.HEADER,
    description="Optional: a new value for each operation; send the same value when you retry, and you get the first "
    "answer, without the secret.",
)
MANAGE = ApiKey.Scope.WEBHOOKS_MANAGE


class EndpointObject(serializers.Serializer[Any]):
    """An endpoint that receives events."""

    id = serializers.CharField(help_text="`we_…`")
    object = serializers.ChoiceField(choices=["webhook_endpoint"], help_text="Always `webhook_endpoint`")
    livemode = serializers.BooleanField(help_text="Whether it receives events of live mode")
    created_at = serializers.DateTimeField(help_text="When it was created")
    status = serializers.ChoiceField(
        choices=Endpoint.Status.values,
        help_text="`failing`: deliveries fail and are slowed down. `paused`: only failures for five days; deliveries "
        "are kept, one is tried each hour, and a success brings the backlog. `disabled`: by you, or because it "
        "answered 410",
    )
    disabled_reason = serializers.ChoiceField(
        choices=Endpoint.DisabledReason.values, allow_null=True, help_text="Who disabled it; `gone`: it answered 410"
    )
    failing_since = serializers.DateTimeField(allow_null=True, help_text="The first of its failures without a success")
    next_probe_at = serializers.DateTimeField(allow_null=True, help_text="When a paused endpoint is tried next")
    url = serializers.CharField(help_text="Where events are posted")
    events = serializers.ListField(child=serializers.CharField(), help_text="The types of events that it receives")
    description = serializers.CharField(allow_null=True, help_text="Your name for it")
    api_version = serializers.CharField(help_text="The API version in which events are rendered")
    ordered = serializers.BooleanField(help_text="Whether events of one object are delivered in their order")
    metadata = serializers.DictField(child=serializers.CharField(), help_text="Your own data")


class EndpointWithSecret(EndpointObject):
    """The endpoint with its secret, which is shown only once."""

    secret = serializers.CharField(
        required=False, help_text="`whsec_…`, shown once: store it like a password. A repeated request lacks it"
    )


class EndpointPage(serializers.Serializer[Any]):
    """One page of endpoints."""

    data = EndpointObject(many=True, help_text="The endpoints, newest first")  # type: ignore[assignment]
    has_more = serializers.BooleanField(help_text="Whether there is another page")
    next_cursor = serializers.CharField(allow_null=True, help_text="Send it as `cursor` to get that page")


class ReplayObject(serializers.Serializer[Any]):
    """What a replay delivers."""

    object = serializers.ChoiceField(choices=["replay"], help_text="Always `replay`")
    endpoint = serializers.CharField(help_text="`we_…`")
    dry_run = serializers.BooleanField(help_text="True if the events were only counted")
    events = serializers.IntegerField(help_text="How many events are delivered again: at most 10,000, the oldest first")
    has_more = serializers.BooleanField(help_text="Whether the period has more")
    next_after_sequence = serializers.IntegerField(
        allow_null=True, help_text="Send it as `after_sequence`, with the same period, to get the next ones"
    )


class EndpointsView(MerchantView):
    """The merchant's endpoints."""

    scopes = {"GET": MANAGE, "POST": MANAGE}

    @extend_schema(
        tags=["webhooks"],
        operation_id="create_webhook_endpoint",
        summary="Create a webhook endpoint",
        description="Events of the key's mode are posted to it from now on, signed as "
        "[Standard Webhooks](https://www.standardwebhooks.com) describe. You may have 16 in each mode.",
        parameters=[OPTIONAL_KEY],
        request=EndpointRequest,
        responses={201: EndpointWithSecret, **schema.problems(409, 422)},
    )
    def post(self, request: Request) -> HttpResponse:
        wanted = EndpointRequest(data=request.data)
        if not wanted.is_valid() and (stored := stored_response(self, request)) is not None:
            return stored
        wanted.is_valid(raise_exception=True)
        new = endpoint_service.NewEndpoint(**wanted.validated_data)
        return once_if_keyed(
            self,
            request,
            create=lambda: endpoint_service.create(self.merchant, livemode=self.livemode, wanted=new),
            public_id=lambda made: made[0].public_id,
            render=lambda made: endpoint_resource(made[0]),
            reveal=lambda made: {"secret": made[1]},
            status=201,
        )

    @extend_schema(
        tags=["webhooks"],
        operation_id="list_webhook_endpoints",
        summary="List webhook endpoints",
        description="Your endpoints of the key's mode, newest first, without deleted ones.",
        parameters=[*schema.PAGE],
        responses={200: EndpointPage},
    )
    def get(self, request: Request) -> HttpResponse:
        refuse_unknown(request.query_params)
        rows = self.own(Endpoint.objects.filter(deleted_at=None))
        return ApiResponse(page(rows, request.query_params, owner=self.owner, render=endpoint_resource))


class EndpointView(MerchantView):
    """One endpoint."""

    scopes = {"GET": MANAGE, "PATCH": MANAGE, "DELETE": MANAGE}

    @extend_schema(
        tags=["webhooks"],
        operation_id="read_webhook_endpoint",
        summary="Read a webhook endpoint",
        description="The endpoint as it is now.",
        parameters=[ID],
        responses={200: EndpointObject},
    )
    def get(self, request: Request, webhook_endpoint_id: str) -> HttpResponse:
        return ApiResponse(endpoint_resource(existing(self, webhook_endpoint_id)))

    @extend_schema(
        tags=["webhooks"],
        operation_id="update_webhook_endpoint",
        summary="Change a webhook endpoint",
        description="The given fields change; waiting deliveries go to the new URL. `status` enables and disables it.",
        parameters=[ID],
        request=EndpointChange,
        responses={200: EndpointObject, **schema.problems(409)},
    )
    def patch(self, request: Request, webhook_endpoint_id: str) -> HttpResponse:
        found = existing(self, webhook_endpoint_id)
        wanted = EndpointChange(data=request.data)
        wanted.is_valid(raise_exception=True)
        with transaction.atomic():
            changed = endpoint_service.update(found.pk, wanted.validated_data)
        if changed.settling:
            _settle(changed)
        return ApiResponse(endpoint_resource(changed))

    @extend_schema(
        tags=["webhooks"],
        operation_id="delete_webhook_endpoint",
        summary="Delete a webhook endpoint",
        description="Nothing more is posted to it: waiting deliveries are cancelled. Its deliveries can be listed for "
        "another 30 days.",
        parameters=[ID],
        responses={204: None},
    )
    def delete(self, request: Request, webhook_endpoint_id: str) -> HttpResponse:
        found = existing(self, webhook_endpoint_id)
        with transaction.atomic():
            endpoint_service.delete(found.pk)
        _settle(found)
        return HttpResponse(status=204)


class EndpointSecretView(MerchantView):
    """Rotation of an endpoint's secret."""

    scopes = {"POST": MANAGE}

    @extend_schema(
        tags=["webhooks"],
        operation_id="rotate_webhook_secret",
        summary="Rotate the secret",
        description="Deliveries are signed with the new secret and, for 24 hours, also with the old one, so that you "
        "can replace it without losing any. Up to five secrets may be valid at a time.",
        parameters=[ID, OPTIONAL_KEY],
        request=RotateRequest,
        responses={201: EndpointWithSecret, **schema.problems(409, 422)},
    )
    def post(self, request: Request, webhook_endpoint_id: str) -> HttpResponse:
        found = existing(self, webhook_endpoint_id)
        wanted = RotateRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        return once_if_keyed(
            self,
            request,
            create=lambda: endpoint_service.rotate_secret(found.pk, **wanted.validated_data),
            public_id=lambda made: made[0].public_id,
            render=lambda made: endpoint_resource(made[0]),
            reveal=lambda made: {"secret": made[1]},
            status=201,
        )


class EndpointTestView(MerchantView):
    """A test event for one endpoint."""

    scopes = {"POST": MANAGE}

    @extend_schema(
        tags=["webhooks"],
        operation_id="test_webhook_endpoint",
        summary="Send a test event",
        description="Posts an event `webhook_endpoint.test` to this endpoint only, also if it does not subscribe to it."
        " Read the delivery to see what it answered. It does not count against the endpoint.",
        parameters=[ID, OPTIONAL_KEY],
        request=None,
        responses={202: DeliveryObject, **schema.problems(409)},
    )
    def post(self, request: Request, webhook_endpoint_id: str) -> HttpResponse:
        found = existing(self, webhook_endpoint_id)
        return once_if_keyed(
            self,
            request,
            create=lambda: endpoint_service.send_test(found.pk),
            public_id=lambda made: made.public_id,
            render=delivery_resource,
            has_body=False,
            status=202,
        )


class EndpointDeliveriesView(MerchantView):
    """The deliveries of one endpoint."""

    scopes = {"GET": MANAGE}

    @extend_schema(
        tags=["webhooks"],
        operation_id="list_deliveries",
        summary="List deliveries",
        description="The deliveries of one endpoint, newest first, with their attempts of the last 90 days; those of a "
        "deleted endpoint for 30 days.",
        parameters=[
            ID,
            *schema.PAGE,
            OpenApiParameter("status", enum=Delivery.Status.values, description="Only deliveries in this state"),
            OpenApiParameter("event", filters.text_schema(40), description="Only deliveries of this event, `evt_…`"),
        ],
        responses={200: DeliveryPage},
    )
    def get(self, request: Request, webhook_endpoint_id: str) -> HttpResponse:
        found = self.find(Endpoint.objects.all(), webhook_endpoint_id)
        return ApiResponse(rendered(request.query_params, found, owner=self.owner))


class EndpointReplayView(MerchantView):
    """Delivery of past events again."""

    scopes = {"POST": MANAGE}

    @extend_schema(
        tags=["webhooks"],
        operation_id="replay_events",
        summary="Deliver events again",
        description="Delivers events of a period again, each as a new delivery. Count them first with `dry_run`. "
        "Replays do not count against the endpoint and are not ordered. One request delivers up to 10,000 events; "
        "while more than 10,000 wait, further ones are refused with `limit_exceeded`.",
        parameters=[ID, OPTIONAL_KEY],
        request=ReplayRequest,
        responses={202: ReplayObject, **schema.problems(409, 422)},
    )
    def post(self, request: Request, webhook_endpoint_id: str) -> HttpResponse:
        found = existing(self, webhook_endpoint_id)
        wanted = ReplayRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        fields = wanted.validated_data
        only = replay.Only(fields.pop("only"))
        return once_if_keyed(
            self,
            request,
            create=lambda: replay.replay(found.pk, only=only, **fields),
            public_id=lambda _: found.public_id,
            render=lambda made: {
                "object": "replay",
                "endpoint": found.public_id,
                "dry_run": fields["dry_run"],
                "events": made.events,
                "has_more": made.has_more,
                "next_after_sequence": made.next_after,
            },
            status=202,
        )


def _settle(endpoint: Endpoint) -> None:
    """Move what waits at once; what is left, or locked for too long, the worker moves."""
    with suppress(OperationalError):
        care.settle(endpoint.pk)


def existing(view: MerchantView, public_id: str) -> Endpoint:
    """The merchant's endpoint. Raises ``NotFound``, also if it is deleted."""
    found = view.find(Endpoint.objects.select_related("merchant"), public_id)
    if found.deleted_at is not None:
        raise NotFound
    return found
