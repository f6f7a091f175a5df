"""Endpoint for the banks of SPEI."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core.api.pagination import refuse_unknown
from core.api.views import ApiResponse
from core.mx import clabe
from merchants.api.views import ANY_KEY, MerchantView


class BankObject(serializers.Serializer[Any]):
    """A participant of SPEI."""

    object = serializers.ChoiceField(choices=["bank"], help_text="Always `bank`")
    code = serializers.CharField(help_text="Its SPEI institution code, up to five digits")
    clabe_prefix = serializers.CharField(help_text="The first three digits of its CLABEs")
    name = serializers.CharField(help_text="Its short name in SPEI")


class BankPage(serializers.Serializer[Any]):
    """All banks, in one page."""

    data = BankObject(many=True, help_text="The banks, by name")  # type: ignore[assignment]
    has_more = serializers.BooleanField(help_text="Always false: the list is complete")
    next_cursor = serializers.CharField(allow_null=True, help_text="Always null")


class BanksView(MerchantView):
    """The institutions of SPEI, by name."""

    scopes = {"GET": ANY_KEY}

    @extend_schema(
        tags=["banks"],
        operation_id="list_banks",
        summary="List the banks of SPEI",
        description="All institutions of the catalogue, in one page, by name: for a form in which a payer or payee "
        "chooses a bank",
        responses=BankPage,
    )
    def get(self, request: Request) -> HttpResponse:
        refuse_unknown(request.query_params)
        banks = [
            {"object": "bank", "code": bank.code, "clabe_prefix": bank.clabe_prefix, "name": bank.name}
            for bank in clabe.banks()
        ]
        return ApiResponse({"data": banks, "has_more": False, "next_cursor": None})
