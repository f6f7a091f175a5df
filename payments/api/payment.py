"""Endpoints for payments: create, list, read and cancel."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core import clock
from core.api import schema
from core.api.serializers import (
    AmountField,
    CurrencyField,
    EmailField,
    MetadataField,
    MomentField,
    StrictSerializer,
    TextField,
    unusable,
)
from core.api.views import ApiResponse
from merchants.api.idempotency import run_once, stored_response
from merchants.api.views import MerchantView
from merchants.models import ApiKey
from payments.api import payment_list
from payments.models import Payment
from payments.providers import registry
from payments.resources.payment import payment as payment_resource
from payments.services import payment as payment_service


class CustomerRequest(StrictSerializer):
    """The customer who is expected to pay."""

    name = TextField(max_length=100, required=False, allow_blank=True, help_text="The customer's name")
    email = EmailField(max_length=254, required=False, allow_blank=True, help_text="The customer's e-mail address")
    phone = TextField(max_length=20, required=False, allow_blank=True, help_text="The customer's telephone number")


class PaymentRequest(StrictSerializer):
    """The request for a payment."""

    conditions = {
        "if": {"properties": {"method": {"const": Payment.Method.OXXO.value}}, "required": ["method"]},
        "then": {"properties": {"amount": dict(zip(("minimum", "maximum"), settings.OXXO_AMOUNTS, strict=True))}},
    }
    method = serializers.ChoiceField(
        choices=Payment.Method.choices,
        help_text="`spei`: the payer sends a bank transfer; `oxxo`: the payer pays in cash at a store",
    )
    amount = AmountField(help_text="Centavos: `125050` is $1,250.50. OXXO accepts 1000 to 1000000")
    currency = CurrencyField(help_text="`MXN`")
    description = TextField(
        max_length=250, required=False, allow_blank=True, help_text="Text for the payer on the payment page"
    )
    external_id = TextField(
        max_length=100,
        required=False,
        allow_null=True,
        help_text="Your own id, unique among your payments of a mode; else `duplicate_external_id`",
    )
    customer = CustomerRequest(required=False, allow_null=True, help_text="The customer who is expected to pay")
    expires_at = MomentField(
        required=False, allow_null=True, help_text="When the payment expires: default in 3 days, at most in 30 days"
    )
    metadata = MetadataField(
        required=False, help_text="Your own data: up to 50 keys of up to 40 characters, text values of up to 500"
    )

    def validate_expires_at(self, moment: datetime | None) -> datetime | None:
        now = clock.now()
        if moment is not None and moment <= now:
            raise unusable(_("The expiry must be in the future."))
        if moment is not None and moment > now + payment_service.MAX_LIFETIME:
            raise unusable(_("A payment expires after at most 30 days."))
        return moment

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        low, high = settings.OXXO_AMOUNTS
        if attrs["method"] == Payment.Method.OXXO and not low <= attrs["amount"] <= high:
            message = _("OXXO accepts $10.00 to $10,000.00 per payment.")
            raise serializers.ValidationError(
                {"amount": [serializers.ErrorDetail(str(message), code="invalid_amount")]}
            )
        return attrs


def _wanted(fields: dict[str, Any]) -> payment_service.NewPayment:
    """The validated request for the service."""
    customer = fields.get("customer") or {}
    return payment_service.NewPayment(
        method=Payment.Method(fields["method"]),
        amount=fields["amount"],
        expires_at=fields.get("expires_at") or clock.now() + payment_service.DEFAULT_LIFETIME,
        description=fields.get("description", ""),
        external_id=fields.get("external_id") or None,
        customer_name=customer.get("name", ""),
        customer_email=customer.get("email", ""),
        customer_phone=customer.get("phone", ""),
        metadata=fields.get("metadata", {}),
    )


class PaymentsView(MerchantView):
    """``POST`` creates a payment, ``GET`` lists them, newest first."""

    scopes = {"GET": ApiKey.Scope.PAYMENTS_READ, "POST": ApiKey.Scope.PAYMENTS_WRITE}

    @extend_schema(
        tags=["payments"],
        operation_id="create_payment",
        summary="Create a payment",
        description="Requests money from a payer. The response contains a CLABE for this payment only (`spei`) or a "
        "voucher (`oxxo`). If Conekta does not deliver the voucher within 10 seconds, the response is still 201 with "
        "`oxxo: null`, and the event `payment.updated` contains the voucher. Send `payment_page_url` to the payer, or "
        "show the details yourself.\n\n"
        "The money has arrived when `status` is `completed`: wait for the event `payment.completed`.",
        parameters=[schema.IDEMPOTENCY_KEY],
        request=PaymentRequest,
        responses={201: schema.PaymentObject},
    )
    def post(self, request: Request) -> HttpResponse:
        try:
            fields = PaymentRequest.read(request.data)
        except serializers.ValidationError:
            if (answer := stored_response(self, request)) is not None:
                return answer
            raise
        new = _wanted(fields)
        return run_once(
            self,
            request,
            create=lambda: payment_service.create(
                self.merchant, livemode=self.livemode, wanted=new, origin=self.origin
            ),
            find=self._find,
            public_id=lambda payment: payment.public_id,
            render=payment_resource,
            finish=self._with_voucher if registry.method(new.method).needs_order else None,
        )

    @extend_schema(
        tags=["payments"],
        operation_id="list_payments",
        summary="List payments",
        description="Your payments in the key's mode, newest first. Filters are combined with AND; unknown ones are "
        "refused. A cursor is only valid with the filters of its page.",
        parameters=payment_list.PARAMETERS,
        responses={200: schema.PaymentPage},
    )
    def get(self, request: Request) -> HttpResponse:
        return payment_list.list_payments(self, request)

    def _find(self, public_id: str) -> Payment:
        return _payments(self).get(public_id=public_id)

    def _with_voucher(self, payment: Payment, begun_before: bool) -> Payment:
        payment_service.request_voucher(payment.pk, attempt=1 if begun_before else 0)
        return self._find(payment.public_id)


class PaymentView(MerchantView):
    """One payment."""

    scopes = {"GET": ApiKey.Scope.PAYMENTS_READ}

    @extend_schema(
        tags=["payments"],
        operation_id="read_payment",
        summary="Read a payment",
        description="The current state of one payment.",
        parameters=[OpenApiParameter("payment_id", str, OpenApiParameter.PATH, description="`pay_…`")],
        responses={200: schema.PaymentObject},
    )
    def get(self, request: Request, payment_id: str) -> HttpResponse:
        return ApiResponse(payment_resource(self.find(_payments(self), payment_id)))


class PaymentCancelView(MerchantView):
    """Cancels a payment."""

    scopes = {"POST": ApiKey.Scope.PAYMENTS_WRITE}

    @extend_schema(
        tags=["payments"],
        operation_id="cancel_payment",
        summary="Cancel a payment",
        description="Cancels an unpaid payment and its OXXO voucher. Cancelling it again changes nothing and returns "
        "the same response. A payment that has ended otherwise is 409 `illegal_transition`. Money that arrives after "
        "the cancellation is not lost: your deposit policy decides about it.",
        parameters=[OpenApiParameter("payment_id", str, OpenApiParameter.PATH, description="`pay_…`")],
        request=None,
        responses={200: schema.PaymentObject},
    )
    def post(self, request: Request, payment_id: str) -> HttpResponse:
        found = self.find(_payments(self), payment_id)
        with transaction.atomic():
            payment = payment_service.cancel(found.pk, origin=self.origin)
        return ApiResponse(payment_resource(payment))


def _payments(view: MerchantView) -> Any:
    return view.own(Payment.objects.select_related("merchant", "reusable_clabe"))
