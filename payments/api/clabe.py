"""Endpoints for reusable CLABEs: create, list, read and close."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core.api import schema
from core.api.pagination import page, refuse_unknown
from core.api.serializers import AmountField, MetadataField, StrictSerializer, TextField
from core.api.views import ApiResponse
from core.errors import UnusableValue
from merchants.api.idempotency import run_once
from merchants.api.views import MerchantView
from merchants.models import ApiKey
from payments.api.payment import CustomerRequest
from payments.models import Clabe
from payments.resources.clabe import clabe as clabe_resource
from payments.services import clabe as clabe_service

_ID = OpenApiParameter("clabe_id", str, OpenApiParameter.PATH, description="`clb_…`")


class ClabeRequest(StrictSerializer):
    """The request for a reusable CLABE."""

    label = TextField(  # type: ignore[assignment]
        max_length=100, required=False, allow_blank=True, help_text="Your name for this CLABE"
    )
    customer = CustomerRequest(required=False, allow_null=True, help_text="The customer who will pay to it")
    min_amount = AmountField(required=False, allow_null=True, help_text="Minimum amount of one transfer, in centavos")
    max_amount = AmountField(required=False, allow_null=True, help_text="Maximum amount of one transfer, in centavos")
    metadata = MetadataField(required=False, help_text="Your own data; its payments inherit it")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        least, most = attrs.get("min_amount"), attrs.get("max_amount")
        if least is not None and most is not None and least > most:
            message = _("The minimum amount exceeds the maximum.")
            raise UnusableValue.of("min_amount", str(message), code="invalid_amount")
        return attrs

    def wanted(self) -> clabe_service.NewClabe:
        """The validated request for the service."""
        fields = self.validated_data
        customer = fields.get("customer") or {}
        return clabe_service.NewClabe(
            label=fields.get("label", ""),
            customer_name=customer.get("name", ""),
            customer_email=customer.get("email", ""),
            customer_phone=customer.get("phone", ""),
            min_amount=fields.get("min_amount"),
            max_amount=fields.get("max_amount"),
            metadata=fields.get("metadata", {}),
        )


class ClabeObject(serializers.Serializer[Any]):
    """A reusable CLABE: each accepted transfer to it becomes a completed payment, or a top-up of your balance."""

    id = serializers.CharField(help_text="`clb_…`")
    object = serializers.ChoiceField(choices=["clabe"], help_text="Always `clabe`")
    livemode = serializers.BooleanField(help_text="False if it was created with a test key: no real money moves")
    created_at = serializers.DateTimeField(help_text="When you created it")
    status = serializers.ChoiceField(choices=["active", "closed"], help_text="`closed`: accepts no more transfers")
    purpose = serializers.ChoiceField(
        choices=Clabe.Purpose.values,
        help_text="`collection`: made by you, for payers. `funding`: made by us, one per mode; what you transfer to it "
        "is added to your balance (`GET /v1/topups`)",
    )
    registration = serializers.ChoiceField(
        choices=Clabe.Registration.values,
        allow_null=True,
        help_text="Of a funding CLABE: transfer to it once it is `active`; null for others",
    )
    clabe = serializers.CharField(help_text="18 digits; payers can transfer to it any number of times")
    bank_name = serializers.CharField(help_text="The bank that payers select in their banking app")
    beneficiary_name = serializers.CharField(help_text="The beneficiary that payers see")
    label = serializers.CharField(  # type: ignore[assignment]
        allow_null=True, help_text="Your name for this CLABE"
    )
    customer = schema.Customer(allow_null=True, help_text="The customer who is expected to pay to it")
    min_amount = serializers.IntegerField(allow_null=True, help_text="Minimum amount of one transfer, in centavos")
    max_amount = serializers.IntegerField(allow_null=True, help_text="Maximum amount of one transfer, in centavos")
    closed_at = serializers.DateTimeField(allow_null=True, help_text="When it was closed; null while it is active")
    metadata = serializers.DictField(child=serializers.CharField(), help_text="Your own data, as you sent it")


class ClabePage(serializers.Serializer[Any]):
    """One page of reusable CLABEs."""

    data = ClabeObject(many=True, help_text="The CLABEs, newest first")  # type: ignore[assignment]
    has_more = serializers.BooleanField(help_text="Whether there is another page")
    next_cursor = serializers.CharField(allow_null=True, help_text="Send it as `cursor` to get the next page")


class ClabesView(MerchantView):
    """``POST`` creates a reusable CLABE, ``GET`` lists them, newest first."""

    scopes = {"GET": ApiKey.Scope.PAYMENTS_READ, "POST": ApiKey.Scope.PAYMENTS_WRITE}

    @extend_schema(
        tags=["clabes"],
        operation_id="create_clabe",
        summary="Create a reusable CLABE",
        description="A CLABE that accepts any number of transfers, for example one CLABE per customer. Each accepted "
        "transfer becomes a completed payment with `clabe_id`. Your deposit policy decides about a transfer outside "
        "`min_amount` and `max_amount`.",
        parameters=[schema.IDEMPOTENCY_KEY],
        request=ClabeRequest,
        responses={201: ClabeObject},
    )
    def post(self, request: Request) -> HttpResponse:
        wanted = ClabeRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        new = wanted.wanted()
        return run_once(
            self,
            request,
            create=lambda: clabe_service.create(self.merchant, livemode=self.livemode, wanted=new, origin=self.origin),
            find=lambda public_id: _clabes(self).get(public_id=public_id),
            public_id=lambda clabe: clabe.public_id,
            render=clabe_resource,
        )

    @extend_schema(
        tags=["clabes"],
        operation_id="list_clabes",
        summary="List reusable CLABEs",
        description="Your reusable CLABEs in the key's mode, newest first, including closed ones.",
        parameters=schema.PAGE,
        responses={200: ClabePage},
    )
    def get(self, request: Request) -> HttpResponse:
        refuse_unknown(request.query_params)
        return ApiResponse(page(_clabes(self), request.query_params, owner=self.owner, render=clabe_resource))


class ClabeView(MerchantView):
    """One reusable CLABE."""

    scopes = {"GET": ApiKey.Scope.PAYMENTS_READ}

    @extend_schema(
        tags=["clabes"],
        operation_id="read_clabe",
        summary="Read a reusable CLABE",
        description="The current state of one reusable CLABE.",
        parameters=[_ID],
        responses={200: ClabeObject},
    )
    def get(self, request: Request, clabe_id: str) -> HttpResponse:
        return ApiResponse(clabe_resource(self.find(_clabes(self), clabe_id)))


class ClabeCloseView(MerchantView):
    """Closes a reusable CLABE."""

    scopes = {"POST": ApiKey.Scope.PAYMENTS_WRITE}

    @extend_schema(
        tags=["clabes"],
        operation_id="close_clabe",
        summary="Close a reusable CLABE",
        description="The CLABE accepts no more transfers; closing it again changes nothing. Transfers that were sent "
        "before are still accepted; your deposit policy decides about later ones. Your funding CLABE cannot be closed.",
        parameters=[_ID],
        request=None,
        responses={200: ClabeObject},
    )
    def post(self, request: Request, clabe_id: str) -> HttpResponse:
        found = self.find(_clabes(self), clabe_id)
        with transaction.atomic():
            clabe = clabe_service.close(found.pk, origin=self.origin)
        return ApiResponse(clabe_resource(clabe))


def _clabes(view: MerchantView) -> Any:
    return view.own(Clabe.objects.select_related("merchant"))
