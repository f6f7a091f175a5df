"""Endpoint for the outcome of a request with an Idempotency-Key."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.urls import Resolver404, resolve
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core.api.views import ApiResponse
from core.errors import KeyScopeInsufficient, NotFound
from merchants.api.idempotency import is_key, unquoted
from merchants.api.views import MerchantView
from merchants.models import ApiKey, IdempotencyKey
from merchants.resources.idempotency_key import idempotency_key as idempotency_key_resource
from merchants.services import idempotency_key


class MadeObject(serializers.Serializer[Any]):
    """The object that the request created."""

    object = serializers.CharField(help_text="The kind of object, for example `payment`")
    id = serializers.CharField(help_text="Its id")


class IdempotencyKeyObject(serializers.Serializer[Any]):
    """The outcome of a request with an Idempotency-Key."""

    id = serializers.CharField(help_text="`idk_…`")
    object = serializers.ChoiceField(choices=["idempotency_key"], help_text="Always `idempotency_key`")
    livemode = serializers.BooleanField(help_text="Whether the request came with a live key")
    created_at = serializers.DateTimeField(help_text="When the first request arrived")
    key = serializers.CharField(help_text="The key as you sent it")
    state = serializers.ChoiceField(
        choices=IdempotencyKey.State.choices,
        help_text="`in_progress` during a call to a provider; repeat the request to get its response",
    )
    method = serializers.CharField(help_text="The request's HTTP method")
    path = serializers.CharField(help_text="The request's path")
    response_status = serializers.IntegerField(
        allow_null=True, help_text="The HTTP status of the response; null while in progress"
    )
    resource = MadeObject(allow_null=True, help_text="The object created; null if the request was refused")


class IdempotencyKeyView(MerchantView):
    """The outcome of a request, by its Idempotency-Key."""

    scopes = {
        "GET": (
            ApiKey.Scope.PAYMENTS_READ,
            ApiKey.Scope.PAYMENTS_WRITE,
            ApiKey.Scope.PAYOUTS_READ,
            ApiKey.Scope.PAYOUTS_WRITE,
            ApiKey.Scope.REFUNDS_WRITE,
            ApiKey.Scope.REPORTS_READ,
        )
    }

    @extend_schema(
        tags=["idempotency"],
        operation_id="read_idempotency_key",
        summary="What happened to my request?",
        description="For a request whose response was lost. 404 means that it was not executed and may be sent again "
        "with the same key; keys are stored for at least 30 days. The API key needs a scope of the request's "
        "resource: `payments:…` for payments and CLABEs, `payouts:…` for payouts, `refunds:write` for refunds, "
        "`reports:read` for reports",
        parameters=[
            OpenApiParameter("key", str, OpenApiParameter.PATH, description="The Idempotency-Key that you sent")
        ],
        responses=IdempotencyKeyObject,
    )
    def get(self, request: Request, key: str) -> HttpResponse:
        key = unquoted(key)
        record = idempotency_key.find(self.merchant, livemode=self.livemode, key=key) if is_key(key) else None
        if record is None:
            raise NotFound
        if not _may_read(self.key, record):
            raise KeyScopeInsufficient
        return ApiResponse(idempotency_key_resource(record))


def _may_read(key: ApiKey, record: IdempotencyKey) -> bool:
    """True if ``key`` has any scope of the resource whose scope the recorded request required."""
    try:
        required = resolve(record.path).func.view_class.scopes[record.method]  # type: ignore[attr-defined]
    except (Resolver404, AttributeError, KeyError):  # a path of an earlier release
        return False
    return _resource(required) in map(_resource, key.scopes)


def _resource(scope: str) -> str:
    return scope.partition(":")[0]
