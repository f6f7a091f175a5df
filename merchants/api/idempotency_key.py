from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import schema
from core.errors import NotFound
from merchants.api.idempotency import is_key
from merchants.api.views import ANY_KEY, MerchantView
from merchants.models import IdempotencyKey
from merchants.resources.idempotency_key import idempotency_key as idempotency_key_resource
from merchants.services import idempotency_key


class MadeObject(serializers.Serializer[Any]):
    """What the request made."""

    object = serializers.CharField()
    id = serializers.CharField()


class IdempotencyKeyObject(serializers.Serializer[Any]):
    """What became of a request with an Idempotency-Key."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["idempotency_key"])
    livemode = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    key = serializers.CharField()
    state = serializers.ChoiceField(
        choices=IdempotencyKey.State.choices,
        help_text="`in_progress` only while a provider is being asked; repeat the request, not the key of another.",
    )
    method = serializers.CharField()
    path = serializers.CharField()
    response_status = serializers.IntegerField(allow_null=True)
    resource = MadeObject(allow_null=True)


class IdempotencyKeyView(MerchantView):
    """What happened to my request?"""

    scopes = {"GET": ANY_KEY}

    @extend_schema(
        tags=["idempotency"],
        operation_id="read_idempotency_key",
        summary="What happened to my request?",
        description="For a request whose answer was lost. 404: it was not carried out, and may be sent again with the "
        "same key; a key is remembered for at least 30 days",
        responses={200: IdempotencyKeyObject, **schema.problems(401, 403, 404, 503)},
    )
    def get(self, request: Request, key: str) -> Response:
        record = idempotency_key.find(self.merchant, livemode=self.livemode, key=key) if is_key(key) else None
        if record is None:
            raise NotFound
        return Response(idempotency_key_resource(record))
