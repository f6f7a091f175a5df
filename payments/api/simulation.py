"""Endpoint for simulated payments with test keys."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core.api.serializers import AmountField, StrictSerializer
from core.api.views import ApiResponse
from core.errors import KeyScopeInsufficient
from merchants.api.views import MerchantView
from merchants.models import ApiKey
from payments.models import Payment
from payments.services import simulation


class CountField(serializers.IntegerField):
    """A JSON integer; strings, floats and booleans are refused."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return int(super().to_internal_value(data))


class SwitchField(serializers.BooleanField):
    """JSON true or false; other values are refused."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class SimulatedPaymentRequest(StrictSerializer):
    """The request for a simulated payment."""

    amount = AmountField(required=False, help_text="Centavos; default: the amount of the payment")
    late = SwitchField(
        default=False,
        help_text="Pay after it expired or was cancelled: the provider reports a later time of payment",
    )
    times = CountField(
        default=1, min_value=1, max_value=20, help_text="How many times the provider sends its notice, in parallel"
    )


class SimulatedPaymentObject(serializers.Serializer[Any]):
    """The request that the simulator accepted."""

    object = serializers.ChoiceField(choices=["simulated_payment"], help_text="Always `simulated_payment`")
    payment = serializers.CharField(help_text="`pay_…`: read it, or wait for its event")
    amount = serializers.IntegerField(help_text="The amount that is paid, in centavos")
    late = serializers.BooleanField(help_text="As requested")
    times = serializers.IntegerField(help_text="As requested")


class SimulatedPaymentView(MerchantView):
    """Simulates the payer of a test payment."""

    scopes = {"POST": ApiKey.Scope.PAYMENTS_WRITE}
    rate_class = "test"

    @extend_schema(
        tags=["test helpers"],
        operation_id="pay_test_payment",
        summary="Simulate a payment",
        description="Test keys only. Makes the simulator of STP or Conekta pay this payment; it then calls our "
        "webhooks over HTTP like the real provider. The response is sent before the money arrives: read the payment "
        "until it is `completed`, or wait for its event. A live key is refused with 403.",
        parameters=[OpenApiParameter("payment_id", str, OpenApiParameter.PATH, description="`pay_…`")],
        request=SimulatedPaymentRequest,
        responses={202: SimulatedPaymentObject},
    )
    def post(self, request: Request, payment_id: str) -> HttpResponse:
        if self.livemode:
            raise KeyScopeInsufficient("Test helpers accept test keys only.")
        wanted = SimulatedPaymentRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        payment = self.find(Payment.objects.all(), payment_id)
        fields = wanted.validated_data
        simulation.pay(payment, amount=fields.get("amount"), late=fields["late"], times=fields["times"])
        return ApiResponse(
            {
                "object": "simulated_payment",
                "payment": payment.public_id,
                "amount": fields.get("amount") or payment.amount,
                "late": fields["late"],
                "times": fields["times"],
            },
            status=202,
        )
