from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import schema
from ledger.resources.balance import balance as balance_resource
from ledger.services import balance
from merchants.api.views import MerchantView
from merchants.models import ApiKey


class BalanceView(MerchantView):
    """The merchant's money in this mode, in centavos."""

    scopes = {"GET": ApiKey.Scope.PAYMENTS_READ}

    @extend_schema(
        tags=["balance"],
        operation_id="read_balance",
        summary="Read the balance",
        responses={200: schema.BalanceObject, **schema.problems(400, 401, 403, 503)},
    )
    def get(self, request: Request) -> Response:
        return Response(balance_resource(balance.of_merchant(self.merchant, livemode=self.livemode)))
