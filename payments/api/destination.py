from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core import clock
from core.api import cursor, schema
from core.api.pagination import limit, page, refuse_unknown
from core.api.views import ApiResponse
from core.clock import to_rfc3339
from core.mx import clabe as clabe_rules
from merchants.api.views import MerchantView
from merchants.models import ApiKey
from payments.models import Destination
from payments.services import payout_limit


class DestinationObject(serializers.Serializer[Any]):
    """A CLABE as a destination of your payouts."""

    object = serializers.ChoiceField(choices=["destination"], help_text="Always `destination`")
    livemode = serializers.BooleanField(help_text="False for a test key")
    clabe_masked = serializers.CharField(help_text="The CLABE with its middle hidden")
    bank_name = serializers.CharField(allow_null=True, help_text="Its bank")
    status = serializers.ChoiceField(
        choices=["new", "cooling", "usable"],
        help_text="`new`: you never sent to it; `cooling`: its first payout still waits; `usable`: nothing waits",
    )
    usable_at = serializers.DateTimeField(help_text="When a payout to it is sent at the earliest")


class DestinationPage(serializers.Serializer[Any]):
    """One page of destinations."""

    data = DestinationObject(many=True, help_text="Newest first")  # type: ignore[assignment]
    has_more = serializers.BooleanField(help_text="Whether another page follows")
    next_cursor = serializers.CharField(allow_null=True, help_text="`cursor` of the next page")


class DestinationsView(MerchantView):
    """Where the merchant sends money, and from when on it may."""

    scopes = {"GET": ApiKey.Scope.PAYOUTS_READ}

    @extend_schema(
        tags=["payouts"],
        operation_id="list_destinations",
        summary="List destinations",
        description="The CLABEs that you sent money to. With `clabe` only that one: also one that you never sent to, "
        "to see before whether its first payout would have to wait.",
        parameters=[
            *schema.PAGE,
            OpenApiParameter("clabe", {"type": "string", "pattern": clabe_rules.PATTERN}, description="18 digits"),
        ],
        responses={200: DestinationPage},
    )
    def get(self, request: Request) -> HttpResponse:
        query = request.query_params
        refuse_unknown(query, "clabe")
        clabe = query.get("clabe")
        if clabe is None:
            rows = self.own(Destination.objects.all())
            return ApiResponse(page(rows, query, owner=self.owner, render=_render))
        clabe_rules.validate(clabe)
        limit(query)
        if (given := query.get("cursor")) is not None:  # of the list without a filter
            cursor.unseal(given, 1, "destination", *self.owner, clabe)
        found, is_new = payout_limit.destination(self.merchant, livemode=self.livemode, clabe=clabe)
        return ApiResponse({"data": [_render(found, is_new=is_new)], "has_more": False, "next_cursor": None})


def _render(record: Destination, *, is_new: bool = False) -> dict[str, Any]:
    status = "cooling" if record.usable_at > clock.now() else "usable"
    return {
        "object": "destination",
        "livemode": record.livemode,
        "clabe_masked": clabe_rules.mask(record.clabe),
        "bank_name": clabe_rules.bank_name(record.clabe),
        "status": "new" if is_new else status,
        "usable_at": to_rfc3339(record.usable_at),
    }
