"""Endpoint for the authenticated merchant."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core.api.views import ApiResponse
from merchants.api.views import ANY_KEY, MerchantView
from merchants.models import Merchant
from merchants.resources.merchant import merchant as merchant_resource


class MerchantObject(serializers.Serializer[Any]):
    """Your merchant account."""

    id = serializers.CharField(help_text="`mer_…`")
    object = serializers.ChoiceField(choices=["merchant"], help_text="Always `merchant`")
    livemode = serializers.BooleanField(help_text="Whether the key of this request moves real money")
    created_at = serializers.DateTimeField(help_text="When the account was created")
    name = serializers.CharField(help_text="Your trade name, which payers see")
    legal_name = serializers.CharField(help_text="Your name on the tax certificate")
    status = serializers.ChoiceField(
        choices=Merchant.Status.choices,
        help_text="In practice always `active`: the keys of a suspended merchant are refused",
    )


class MerchantSelfView(MerchantView):
    """The merchant that the key belongs to."""

    scopes = {"GET": ANY_KEY}

    @extend_schema(
        tags=["account"],
        operation_id="read_merchant",
        summary="Who am I?",
        description="The merchant and mode of the API key: a first request to check that a key works",
        responses=MerchantObject,
    )
    def get(self, request: Request) -> HttpResponse:
        return ApiResponse(merchant_resource(self.merchant, livemode=self.livemode))
