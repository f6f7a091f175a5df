from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.urls import Resolver404, resolve
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core.api.views import Answer
from core.errors import KeyScopeInsufficient, NotFound
from merchants.api.idempotency import bare, is_key
from merchants.api.views import MerchantView
from merchants.models import ApiKey, IdempotencyKey
from merchants.resources.idempotency_key import idempotency_key as idempotency_key_resource
from merchants.services import idempotency_key


class MadeObject(serializers.Serializer[Any]):
    """What the request made."""

    object = serializers.CharField(help_text="What kind of object, for example `payment`")
    id = serializers.CharField(help_text="Its id")


class IdempotencyKeyObject(serializers.Serializer[Any]):
    """What became of a request with an Idempotency-Key."""

    id = serializers.CharField(help_text="`idk_…`")
    object = serializers.ChoiceField(choices=["idempotency_key"], help_text="Always `idempotency_key`")
    livemode = serializers.BooleanField(help_text="Whether the request came with a live key")
    created_at = serializers.DateTimeField(help_text="When the request came first")
    key = serializers.CharField(help_text="The key as you sent it")
    state = serializers.ChoiceField(
        choices=IdempotencyKey.State.choices,
        help_text="`in_progress` while a provider is being asked; repeat the request to get its answer",
    )
    method = serializers.CharField(help_text="The request's HTTP method")
    path = serializers.CharField(help_text="The request's path")
    response_status = serializers.IntegerField(
        allow_null=True, help_text="The status it was answered with; null while in progress"
    )
    resource = MadeObject(allow_null=True, help_text="What it made; null if it was refused")


class IdempotencyKeyView(MerchantView):
    """What happened to my request?"""

    scopes = {"GET": (ApiKey.Scope.PAYMENTS_READ, ApiKey.Scope.PAYMENTS_WRITE, ApiKey.Scope.REPORTS_READ)}

    @extend_schema(
        tags=["idempotency"],
        operation_id="read_idempotency_key",
        summary="What happened to my request?",
        description="For a request whose answer was lost. 404: it was not carried out, and may be sent again with the "
        "same key; a key is remembered for at least 30 days. The API key needs a scope of what the request was about: "
        "`payments:…` for payments and CLABEs, `reports:read` for reports",
        parameters=[
            OpenApiParameter("key", str, OpenApiParameter.PATH, description="The Idempotency-Key that you sent")
        ],
        responses=IdempotencyKeyObject,
    )
    def get(self, request: Request, key: str) -> HttpResponse:
        key = bare(key)
        record = idempotency_key.find(self.merchant, livemode=self.livemode, key=key) if is_key(key) else None
        if record is None:
            raise NotFound
        if not _concerns(self.key, record):
            raise KeyScopeInsufficient
        return Answer(idempotency_key_resource(record))


def _concerns(key: ApiKey, record: IdempotencyKey) -> bool:
    """True if ``key`` has a scope, to read or to write, of the resource whose scope the recorded request needed."""
    try:
        needed = resolve(record.path).func.view_class.scopes[record.method]  # type: ignore[attr-defined]
    except (Resolver404, AttributeError, KeyError):  # an address of an earlier release
        return False
    return _resource(needed) in map(_resource, key.scopes)


def _resource(scope: str) -> str:
    return scope.partition(":")[0]
