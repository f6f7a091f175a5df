"""Endpoints for test keys: simulated payers, and what becomes of payouts."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core.api.serializers import AmountField, StrictSerializer, SwitchField, WholeNumberField
from core.api.views import ApiResponse
from core.errors import KeyScopeInsufficient
from merchants.api.views import MerchantView
from merchants.models import ApiKey
from payments.models import Payment, Payout
from payments.models.payout import INTERNAL_KINDS
from payments.services import simulation


class SimulatedPaymentRequest(StrictSerializer):
    """The request for a simulated payment."""

    amount = AmountField(required=False, help_text="Centavos; default: the amount of the payment")
    late = SwitchField(
        default=False,
        help_text="Pay after it expired or was cancelled: the provider reports a later time of payment",
    )
    times = WholeNumberField(
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


class SimulatedOutcomeRequest(StrictSerializer):
    """What becomes of a test payout."""

    outcome = serializers.ChoiceField(
        choices=tuple(simulation.OUTCOMES),
        help_text="`settle`: it completes. `return`: it completes and comes back. `reject`: the bank refuses it. "
        "`silence`: it settles, but no notice says so until we ask",
    )


class SimulatedOutcomeObject(serializers.Serializer[Any]):
    """The outcome that the simulator was told."""

    object = serializers.ChoiceField(choices=["simulated_outcome"], help_text="Always `simulated_outcome`")
    payout = serializers.CharField(help_text="`po_…`: read it, or wait for its event")
    outcome = serializers.ChoiceField(choices=tuple(simulation.OUTCOMES), help_text="As requested")


class SimulatedOutcomeView(MerchantView):
    """Decides what the simulated STP does with a test payout."""

    scopes = {"POST": ApiKey.Scope.PAYOUTS_WRITE}
    rate_class = "test"

    @extend_schema(
        tags=["test helpers"],
        operation_id="decide_test_payout",
        summary="Decide the outcome of a payout",
        description="Test keys only. Tells the simulator of STP what becomes of this payout: from now on if it was "
        "sent, else once it is sent. It then calls our webhooks over HTTP like the real provider; the response is sent "
        "before that. A refund's payout is in its `payout`. One that has ended is 409 `illegal_transition`, but a "
        "completed one may still `return`. A live key is refused with 403.",
        parameters=[OpenApiParameter("payout_id", str, OpenApiParameter.PATH, description="`po_…`")],
        request=SimulatedOutcomeRequest,
        responses={202: SimulatedOutcomeObject},
    )
    def post(self, request: Request, payout_id: str) -> HttpResponse:
        if self.livemode:
            raise KeyScopeInsufficient("Test helpers accept test keys only.")
        wanted = SimulatedOutcomeRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        outcome = wanted.validated_data["outcome"]
        payout = self.find(Payout.objects.exclude(kind__in=INTERNAL_KINDS), payout_id)
        simulation.decide_payout(payout, outcome=outcome)
        return ApiResponse({"object": "simulated_outcome", "payout": payout.public_id, "outcome": outcome}, status=202)
