"""Endpoints for API keys: list and roll."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core import clock
from core.api import schema
from core.api.pagination import page, refuse_unknown
from core.api.serializers import MomentField, StrictSerializer, unusable
from core.api.views import ApiResponse
from merchants.api.views import ANY_KEY, MerchantView
from merchants.models import ApiKey
from merchants.resources.api_key import api_key as api_key_resource
from merchants.services import api_key


class ApiKeyObject(serializers.Serializer[Any]):
    """One of your API keys, without its secret."""

    id = serializers.CharField(help_text="`key_…`")
    object = serializers.ChoiceField(choices=["api_key"], help_text="Always `api_key`")
    livemode = serializers.BooleanField(help_text="Whether the key moves real money")
    created_at = serializers.DateTimeField(help_text="When the key was created")
    name = serializers.CharField(help_text="The name that you gave us, for where it is used; may be empty")
    prefix = serializers.CharField(help_text="The first characters of the key, to recognise it")
    status = serializers.ChoiceField(
        choices=["active", "expired", "revoked"], help_text="Only `active` keys are accepted"
    )
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=ApiKey.Scope.choices), help_text="What the key may do"
    )
    networks = serializers.ListField(
        child=serializers.CharField(), help_text="Addresses and networks that may use it; empty: no restriction"
    )
    replaces = serializers.CharField(allow_null=True, help_text="The key that it replaces; null if none")
    expires_at = serializers.DateTimeField(allow_null=True, help_text="When it expires; null: never")
    last_used_at = serializers.DateTimeField(
        allow_null=True, help_text="When it was last used, to the minute; null: never"
    )
    revoked_at = serializers.DateTimeField(allow_null=True, help_text="When it was revoked; null: it was not")


class ApiKeyPage(serializers.Serializer[Any]):
    """One page of API keys."""

    data = ApiKeyObject(many=True, help_text="The keys, newest first")  # type: ignore[assignment]
    has_more = serializers.BooleanField(help_text="Whether there is another page")
    next_cursor = serializers.CharField(allow_null=True, help_text="Send it as `cursor` to get the next page")


class RolledApiKey(ApiKeyObject):
    """The new key with its secret, which is shown only once."""

    secret = serializers.CharField(help_text="The key itself, `sk_…`; it is shown once: store it like a password")


class RollRequest(StrictSerializer):
    """When the old key expires."""

    old_key_expires_at = MomentField(
        required=False,
        help_text="When the old key expires: default 24 hours from now, at most 7 days; a time in the past ends it "
        "at once",
    )

    def validate_old_key_expires_at(self, moment: datetime) -> datetime:
        if moment > clock.now() + api_key.MAX_OVERLAP:
            raise unusable(_("The old key may keep working for at most 7 days."))
        return moment


class ApiKeysView(MerchantView):
    """The merchant's keys of this mode."""

    scopes = {"GET": ANY_KEY}

    @extend_schema(
        tags=["account"],
        operation_id="list_api_keys",
        summary="List API keys",
        description="Your keys of this mode, newest first, including expired and revoked ones, without their secrets",
        parameters=[*schema.PAGE],
        responses=ApiKeyPage,
    )
    def get(self, request: Request) -> HttpResponse:
        refuse_unknown(request.query_params)
        rows = self.own(ApiKey.objects.select_related("replaces"))
        return ApiResponse(page(rows, request.query_params, owner=self.owner, render=api_key_resource))


class ApiKeyRollView(MerchantView):
    """Replacement of a key by a new one."""

    scopes = {"POST": ANY_KEY}

    @extend_schema(
        tags=["account"],
        operation_id="roll_api_key",
        summary="Roll an API key",
        description="Creates a key with the same scopes, networks and expiry. The old key keeps working until "
        "`old_key_expires_at`, so that you can replace it everywhere without downtime. A key can roll itself and keys "
        "with no more rights than its own. If the response was lost, roll the old key again: a successor that was "
        "never used is revoked",
        parameters=[OpenApiParameter("api_key_id", str, OpenApiParameter.PATH, description="The old key, `key_…`")],
        request=RollRequest,
        responses={201: RolledApiKey, **schema.problems(409)},
    )
    def post(self, request: Request, api_key_id: str) -> HttpResponse:
        wanted = RollRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        old = self.find(ApiKey.objects.all(), api_key_id)
        made, secret = api_key.roll(
            old.pk, by=self.key, old_key_expires_at=wanted.validated_data.get("old_key_expires_at")
        )
        return ApiResponse({**api_key_resource(made), "secret": secret}, status=201)
