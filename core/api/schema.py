"""What the OpenAPI schema says of answers. The bodies themselves are built by each app's ``resources``."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="One value for each thing you want done; repeat it when you retry.",
)
PAGE = [
    OpenApiParameter("limit", int, description="1 to 100, 20 unless told."),
    OpenApiParameter("cursor", str, description="`next_cursor` of the page before."),
]


class Fault(serializers.Serializer[Any]):
    """One faulty field."""

    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """RFC 9457 problem."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField()
    code = serializers.CharField()
    request_id = serializers.CharField()
    errors = Fault(many=True, required=False)  # type: ignore[assignment]


class Payer(serializers.Serializer[Any]):
    """Who sent the transfer."""

    name = serializers.CharField()
    account_masked = serializers.CharField()
    bank_name = serializers.CharField(allow_null=True)


class SpeiDetails(serializers.Serializer[Any]):
    """Where the payer sends the transfer, and what is known of it."""

    clabe = serializers.CharField()
    bank_name = serializers.CharField()
    beneficiary_name = serializers.CharField()
    reference_number = serializers.CharField()
    tracking_key = serializers.CharField(allow_null=True)
    payer = Payer(allow_null=True)
    operating_date = serializers.DateField(allow_null=True)
    cep_url = serializers.URLField(allow_null=True)


class OxxoDetails(serializers.Serializer[Any]):
    """What the payer shows at the till."""

    reference = serializers.CharField()
    barcode_url = serializers.URLField()
    voucher_url = serializers.URLField()
    store_name = serializers.CharField()


class Customer(serializers.Serializer[Any]):
    """Who is going to pay."""

    name = serializers.CharField(allow_null=True)
    email = serializers.CharField(allow_null=True)
    phone = serializers.CharField(allow_null=True)


class Failure(serializers.Serializer[Any]):
    """Why it failed."""

    code = serializers.CharField()
    message = serializers.CharField()


class PaymentObject(serializers.Serializer[Any]):
    """A pay-in. All money in centavos."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["payment"])
    livemode = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    status = serializers.ChoiceField(
        choices=["pending", "processing", "completed", "failed", "expired", "cancelled", "reversed"]
    )
    method = serializers.ChoiceField(choices=["spei", "oxxo"])
    amount = serializers.IntegerField()
    currency = serializers.CharField()
    amount_received = serializers.IntegerField()
    amount_refunded = serializers.IntegerField()
    fee = serializers.IntegerField()
    fee_tax = serializers.IntegerField(help_text="IVA on the fee.")
    net = serializers.IntegerField()
    description = serializers.CharField(allow_null=True)
    external_id = serializers.CharField(allow_null=True)
    customer = Customer(allow_null=True)
    provider = serializers.ChoiceField(choices=["stp", "conekta"])
    provider_reference = serializers.CharField(allow_null=True)
    failure = Failure(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField()
    payment_page_url = serializers.URLField()
    metadata = serializers.DictField(child=serializers.CharField())
    spei = SpeiDetails(required=False)
    oxxo = OxxoDetails(required=False, allow_null=True)


class BalanceObject(serializers.Serializer[Any]):
    """A merchant's money in one mode, in centavos."""

    object = serializers.ChoiceField(choices=["balance"])
    livemode = serializers.BooleanField()
    available = serializers.IntegerField()
    pending = serializers.IntegerField()
    reserved = serializers.IntegerField()
    blocked = serializers.IntegerField()
    debt = serializers.IntegerField()
    currency = serializers.CharField()
    as_of = serializers.DateTimeField()


class EventData(serializers.Serializer[Any]):
    """The object at that moment, and the former values of what changed."""

    object = serializers.DictField()
    previous = serializers.DictField()


class EventObject(serializers.Serializer[Any]):
    """Something that happened to an object."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["event"])
    livemode = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    type = serializers.CharField()
    sequence = serializers.IntegerField()
    object_sequence = serializers.IntegerField()
    data = EventData()  # type: ignore[assignment]


class PaymentPage(serializers.Serializer[Any]):
    """One page of payments."""

    data = PaymentObject(many=True)  # type: ignore[assignment]
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


class EventPage(serializers.Serializer[Any]):
    """One page of events."""

    data = EventObject(many=True)  # type: ignore[assignment]
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


def problems(*statuses: int) -> dict[Any, OpenApiResponse]:
    """The error answers of an operation."""
    return {(status, "application/problem+json"): OpenApiResponse(Problem) for status in statuses}
