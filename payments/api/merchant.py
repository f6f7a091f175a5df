"""Endpoint for the authenticated merchant, with its limits of payouts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core.api.views import ApiResponse
from merchants.api.views import ANY_KEY, MerchantView
from merchants.models import Merchant
from merchants.resources.merchant import merchant as merchant_resource
from payments.services import payout_limit


class PayoutLimits(serializers.Serializer[Any]):
    """Limits of your payouts in the key's mode. Amounts in centavos."""

    per_payout = serializers.IntegerField(allow_null=True, help_text="Maximum amount of one payout; null: no limit")
    per_day = serializers.IntegerField(
        allow_null=True, help_text="Maximum sum of the payouts created on one day in Mexico City; null: no limit"
    )
    remaining_today = serializers.IntegerField(
        allow_null=True, help_text="What is left of `per_day` today; null: no limit"
    )
    per_destination_and_day = serializers.IntegerField(
        allow_null=True, help_text="Maximum sum of the payouts of one day to one CLABE; null: no limit"
    )
    cool_down_hours = serializers.IntegerField(help_text="Hours that the first payout to a CLABE waits; 0: none")


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
    payout_limits = PayoutLimits(help_text="What you may send")


class MerchantSelfView(MerchantView):
    """The merchant that the key belongs to."""

    scopes = {"GET": ANY_KEY}

    @extend_schema(
        tags=["account"],
        operation_id="read_merchant",
        summary="Who am I?",
        description="The merchant and mode of the API key: a first request to check that a key works. With the limits "
        "of your payouts: read them before you send",
        responses=MerchantObject,
    )
    def get(self, request: Request) -> HttpResponse:
        limits = payout_limit.limits(self.merchant, livemode=self.livemode)
        return ApiResponse(
            {**merchant_resource(self.merchant, livemode=self.livemode), "payout_limits": asdict(limits)}
        )
