"""Endpoints for top-ups: money that the merchant transferred to its funding CLABE."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core.api import filters, schema
from core.api.pagination import page, refuse_unknown
from core.api.views import ApiResponse
from merchants.api.views import MerchantView
from merchants.models import ApiKey
from payments.models import Clabe, Deposit
from payments.resources.topup import topup as topup_resource

_ID = OpenApiParameter("topup_id", str, OpenApiParameter.PATH, description="`dep_…`")


class TopupPayer(serializers.Serializer[Any]):
    """The account that the money came from."""

    name = serializers.CharField(help_text="The account holder, as the bank says")
    account_masked = serializers.CharField(help_text="The account with its middle hidden")
    bank_name = serializers.CharField(allow_null=True, help_text="Its bank")


class TopupObject(serializers.Serializer[Any]):
    """Money that you transferred to your funding CLABE: it is in `available`, without a fee."""

    id = serializers.CharField(help_text="`dep_…`")
    object = serializers.ChoiceField(choices=["topup"], help_text="Always `topup`")
    livemode = serializers.BooleanField(help_text="False for the funding CLABE of test mode")
    created_at = serializers.DateTimeField(help_text="When we received it")
    amount = serializers.IntegerField(help_text="Centavos")
    currency = serializers.CharField(help_text="`MXN`")
    clabe = serializers.CharField(help_text="The CLABE that the money was sent to")
    payer = TopupPayer(help_text="The account that the money came from")
    tracking_key = serializers.CharField(help_text="The clave de rastreo of the transfer")
    operating_date = serializers.DateField(help_text="The SPEI operating day")


class TopupPage(serializers.Serializer[Any]):
    """One page of top-ups."""

    data = TopupObject(many=True, help_text="Newest first")  # type: ignore[assignment]
    has_more = serializers.BooleanField(help_text="Whether another page follows")
    next_cursor = serializers.CharField(allow_null=True, help_text="`cursor` of the next page")


M = TypeVar("M", bound=Model)


class _View(MerchantView):
    """The merchant's top-ups: all of them are on its one funding CLABE."""

    def own(self, rows: QuerySet[M]) -> QuerySet[M]:
        if rows.model is not Deposit:
            return super().own(rows)
        funding = self.own(Clabe.objects.filter(purpose=Clabe.Purpose.FUNDING))
        return rows.filter(
            reusable_clabe_id=funding.values_list("pk", flat=True).first(),
            purpose=Deposit.Purpose.FUNDING,
            status=Deposit.Status.CREDITED,
        )


class TopupsView(_View):
    """``GET`` lists top-ups, newest first."""

    scopes = {"GET": ApiKey.Scope.PAYMENTS_READ}

    @extend_schema(
        tags=["topups"],
        operation_id="list_topups",
        summary="List top-ups",
        description="Transfers to your funding CLABE that were added to your balance, newest first. You find that "
        "CLABE in `GET /v1/clabes` by its `purpose`; ask us for one. Event: `topup.completed`.",
        parameters=[*schema.PAGE, *filters.CREATED_AT_PARAMETERS],
        responses={200: TopupPage},
    )
    def get(self, request: Request) -> HttpResponse:
        query = request.query_params
        refuse_unknown(query, *filters.CREATED_AT)
        created_from, created_before = filters.created_at(query)
        rows = self.own(Deposit.objects.all())
        if created_from is not None:
            rows = rows.filter(created_at__gte=created_from)
        if created_before is not None:
            rows = rows.filter(created_at__lt=created_before)
        return ApiResponse(page(rows, query, owner=self.owner, render=topup_resource))


class TopupView(_View):
    """One top-up."""

    scopes = {"GET": ApiKey.Scope.PAYMENTS_READ}

    @extend_schema(
        tags=["topups"],
        operation_id="read_topup",
        summary="Read a top-up",
        description="One transfer to your funding CLABE.",
        parameters=[_ID],
        responses={200: TopupObject},
    )
    def get(self, request: Request, topup_id: str) -> HttpResponse:
        return ApiResponse(topup_resource(self.find(Deposit.objects.all(), topup_id)))
