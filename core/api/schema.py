"""OpenAPI schemas of response bodies. The bodies themselves are built by each app's ``resources``.

Every field, parameter and operation needs a description: tests/architecture/test_openapi.py lists those without one.
``payments_site.openapi`` adds the common error responses (400, 401, 403, 404, 409, 422, 429, 500, 503 and their
headers); ``problems`` declares the other ones of an operation.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from core.api import cursor

KEY = {"type": "string", "pattern": r'^("[A-Za-z0-9_\-:.]{1,253}"|[A-Za-z0-9_\-:.]{1,255})$'}
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    KEY,
    OpenApiParameter.HEADER,
    required=True,
    description="A new value for each operation; send the same value when you retry. 1 to 255 characters of "
    "`A-Z a-z 0-9 _ - : .`",
)
PAGE = [
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
        description="Number of objects per page: 1 to 100, default 20",
    ),
    OpenApiParameter(
        "cursor",
        {"type": "string", "pattern": cursor.SHAPE},
        description="`next_cursor` of the previous page; an opaque value. One of another list or of other filters is "
        "refused with 422",
    ),
]


class Fault(serializers.Serializer[Any]):
    """An error in one field."""

    field = serializers.CharField(help_text="A field, a path like `customer.email`, or a query parameter")
    code = serializers.CharField(help_text="A stable error code")
    message = serializers.CharField(help_text="A message for people, in the language of `Accept-Language`")


class Problem(serializers.Serializer[Any]):
    """An error (RFC 9457, `application/problem+json`)."""

    type = serializers.CharField(help_text="Link to the documentation of this error, relative to the API's base URL")
    title = serializers.CharField(help_text="The HTTP status in words")
    status = serializers.IntegerField(help_text="The HTTP status")
    detail = serializers.CharField(help_text="A message for people, in the language of `Accept-Language`")
    instance = serializers.CharField(help_text="The path of the request")
    code = serializers.CharField(help_text="A stable error code: branch on this one")
    request_id = serializers.CharField(help_text="Quote it when you ask us about this request")
    errors = Fault(many=True, required=False, help_text="The invalid fields, if any")  # type: ignore[assignment]


class Payer(serializers.Serializer[Any]):
    """The sender of the transfer."""

    name = serializers.CharField(help_text="The name that the sending bank reports")
    account_masked = serializers.CharField(help_text="The sender's CLABE, masked")
    bank_name = serializers.CharField(allow_null=True, help_text="The sender's bank; null if its code is unknown")


class SpeiDetails(serializers.Serializer[Any]):
    """Transfer instructions for the payer, and the transfer once it has arrived."""

    clabe = serializers.CharField(
        allow_null=True,
        help_text="The 18-digit CLABE that the payer transfers to. Unique to this payment unless `clabe_id` names a "
        "reusable CLABE; null if our staff assigned a transfer to you",
    )
    bank_name = serializers.CharField(allow_null=True, help_text="The bank that the payer chooses in their banking app")
    beneficiary_name = serializers.CharField(help_text="The beneficiary's name that the payer sees")
    reference_number = serializers.CharField(help_text="Up to 7 digits that the payer may enter as reference")
    tracking_key = serializers.CharField(
        allow_null=True, help_text="The transfer's *clave de rastreo* once it has arrived"
    )
    payer = Payer(allow_null=True, help_text="The sender of the transfer, once it has arrived")
    operating_date = serializers.DateField(
        allow_null=True, help_text="SPEI operating date of the transfer (Mexico City)"
    )
    cep_url = serializers.URLField(allow_null=True, help_text="Banxico's electronic proof of payment (CEP), if any")


class OxxoDetails(serializers.Serializer[Any]):
    """The voucher that the payer shows at the till."""

    reference = serializers.CharField(help_text="The number under the barcode, which the cashier may type")
    barcode_url = serializers.URLField(help_text="The barcode as an image")
    voucher_url = serializers.URLField(help_text="A page with the voucher, to send to the payer")
    store_name = serializers.CharField(help_text="The store chain that accepts the cash")


class Customer(serializers.Serializer[Any]):
    """The expected payer."""

    name = serializers.CharField(allow_null=True, help_text="The customer's name")
    email = serializers.CharField(allow_null=True, help_text="The customer's e-mail address")
    phone = serializers.CharField(allow_null=True, help_text="The customer's telephone number")


class Failure(serializers.Serializer[Any]):
    """The cause of a failure."""

    code = serializers.CharField(help_text="A stable error code")
    message = serializers.CharField(help_text="A message for people")


class PaymentObject(serializers.Serializer[Any]):
    """A pay-in. All amounts are in centavos."""

    id = serializers.CharField(help_text="`pay_…`")
    object = serializers.ChoiceField(choices=["payment"], help_text="Always `payment`")
    livemode = serializers.BooleanField(help_text="False if it was created with a test key: no real money moves")
    created_at = serializers.DateTimeField(help_text="When you created it")
    status = serializers.ChoiceField(
        choices=["pending", "processing", "completed", "failed", "expired", "cancelled", "reversed"],
        help_text="`pending` until the money arrives, then `completed`. Money that arrives after `expired` or "
        "`cancelled` and is accepted still makes it `completed`",
    )
    method = serializers.ChoiceField(choices=["spei", "oxxo"], help_text="The payment method")
    amount = serializers.IntegerField(help_text="The amount you requested, in centavos")
    currency = serializers.CharField(help_text="Always `MXN`")
    amount_received = serializers.IntegerField(help_text="The amount received, in centavos")
    amount_refunded = serializers.IntegerField(help_text="The amount refunded to the payer, in centavos")
    amount_refundable = serializers.IntegerField(
        help_text="What can still be refunded, in centavos: received less completed and open refunds"
    )
    fee = serializers.IntegerField(help_text="Our fee without tax, in centavos")
    fee_tax = serializers.IntegerField(help_text="IVA on the fee, in centavos")
    net = serializers.IntegerField(help_text="The amount credited to you: received less fee and tax, in centavos")
    description = serializers.CharField(allow_null=True, help_text="Your text for the payer")
    external_id = serializers.CharField(allow_null=True, help_text="Your own id for it, unique per mode")
    clabe_id = serializers.CharField(
        allow_null=True, help_text="`clb_…`: the reusable CLABE that the money was sent to; null for other payments"
    )
    customer = Customer(allow_null=True, help_text="The expected payer")
    provider = serializers.ChoiceField(choices=["stp", "conekta"], help_text="The provider that receives the money")
    provider_reference = serializers.CharField(
        allow_null=True, help_text="The provider's identifier: the CLABE at STP, the order at Conekta"
    )
    failure = Failure(allow_null=True, help_text="The cause, if it is `failed`")
    completed_at = serializers.DateTimeField(allow_null=True, help_text="When the money was credited to you")
    expires_at = serializers.DateTimeField(help_text="The deadline for the payer")
    payment_page_url = serializers.URLField(help_text="A page for the payer with payment instructions")
    metadata = serializers.DictField(child=serializers.CharField(), help_text="Your own key-value data")
    spei = SpeiDetails(required=False, help_text="Present if `method` is `spei`")
    oxxo = OxxoDetails(
        required=False,
        allow_null=True,
        help_text="Present if `method` is `oxxo`; null until the voucher is ready (event `payment.updated`)",
    )


class BalanceObject(serializers.Serializer[Any]):
    """A merchant's balance in one mode, in centavos."""

    object = serializers.ChoiceField(choices=["balance"], help_text="Always `balance`")
    livemode = serializers.BooleanField(help_text="Whether this is real money")
    available = serializers.IntegerField(help_text="Available for payouts")
    pending = serializers.IntegerField(help_text="Paid, but not yet received by us (cash at OXXO)")
    reserved = serializers.IntegerField(help_text="Reserved for outgoing money in flight")
    blocked = serializers.IntegerField(help_text="Blocked by us or by an authority")
    debt = serializers.IntegerField(help_text="What you owe us; the next deposits settle it")
    currency = serializers.CharField(help_text="Always `MXN`")
    as_of = serializers.DateTimeField(help_text="The time of these figures")


class EventData(serializers.Serializer[Any]):
    """The object at that time, and the previous values of changed fields."""

    object = serializers.DictField(help_text="The object as a read would have returned it at that time")
    previous = serializers.DictField(help_text="The previous values of the changed fields")


class EventObject(serializers.Serializer[Any]):
    """A change of an object."""

    id = serializers.CharField(help_text="`evt_…`")
    object = serializers.ChoiceField(choices=["event"], help_text="Always `event`")
    livemode = serializers.BooleanField(help_text="Whether the object is in live mode")
    created_at = serializers.DateTimeField(help_text="When it happened")
    type = serializers.CharField(help_text="The type of event, e.g. `payment.completed`; new types may be added")
    sequence = serializers.IntegerField(help_text="Increases, with gaps, over all your events of a mode")
    object_sequence = serializers.IntegerField(help_text="1, 2, 3 … over the events of one object, without gaps")
    data = EventData(help_text="The object at that time, and its changes")  # type: ignore[assignment]


class PaymentPage(serializers.Serializer[Any]):
    """One page of payments."""

    data = PaymentObject(many=True, help_text="The payments, newest first")  # type: ignore[assignment]
    has_more = serializers.BooleanField(help_text="Whether there is another page")
    next_cursor = serializers.CharField(allow_null=True, help_text="Send it as `cursor` to get that page")


class EventPage(serializers.Serializer[Any]):
    """One page of events."""

    data = EventObject(many=True, help_text="The events, newest first unless `after_sequence` is given")  # type: ignore[assignment]
    has_more = serializers.BooleanField(help_text="Whether there is another page")
    next_cursor = serializers.CharField(allow_null=True, help_text="Send it as `cursor` to get that page")


def problems(*statuses: int) -> dict[Any, OpenApiResponse]:
    """Further error responses of an operation."""
    return {(status, "application/problem+json"): OpenApiResponse(Problem) for status in statuses}
