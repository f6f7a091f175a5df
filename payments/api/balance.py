"""Endpoint for the balance."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core.api import schema
from core.api.serializers import MomentField
from core.api.views import ApiResponse
from ledger.resources.balance import balance as balance_resource
from ledger.services import balance
from merchants.api.views import MerchantView
from merchants.models import ApiKey


class BalanceView(MerchantView):
    """The merchant's balance in this mode, in centavos, now or at a past time (``as_of``)."""

    scopes = {"GET": ApiKey.Scope.PAYMENTS_READ}

    @extend_schema(
        tags=["balance"],
        operation_id="read_balance",
        summary="Read the balance",
        description="Your balance in the key's mode, in centavos, now or at a past time. Every amount is the sum of "
        "ledger entries.",
        parameters=[
            OpenApiParameter(
                "as_of",
                datetime,
                description="RFC 3339 with offset: the balance at this past time, by the time at which money moved; "
                "default: now. Money that is booked late can still change it for up to seven days",
            )
        ],
        responses={200: schema.BalanceObject},
    )
    def get(self, request: Request) -> HttpResponse:
        as_of = _moment(request.query_params.get("as_of"))
        return ApiResponse(balance_resource(balance.of_merchant(self.merchant, livemode=self.livemode, as_of=as_of)))


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return MomentField().run_validation(text)
    except serializers.ValidationError as error:
        raise serializers.ValidationError({"as_of": error.detail}) from error
