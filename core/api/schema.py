"""What the OpenAPI schema says of answers. The bodies themselves are built by each app's ``resources``.

Every field, parameter and operation needs a description: tests/architecture/test_openapi.py names those without one.
Answers that follow from what an operation is (400, 401, 403, 404, 409, 422, 429, 500, 503 and their headers) are added
to the schema by ``payments_site.openapi``; ``problems`` names what else an operation may answer.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": r'^("[A-Za-z0-9_\-:.]{1,253}"|[A-Za-z0-9_\-:.]{1,255})$'},
    OpenApiParameter.HEADER,
    required=True,
    description="One value for each thing you want done; repeat it when you retry. 1 to 255 characters out of "
    "`A-Z a-z 0-9 _ - : .`",
)
PAGE = [
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
        description="How many objects a page holds: 1 to 100, 20 unless told",
    ),
    OpenApiParameter("cursor", str, description="`next_cursor` of the page before; it is opaque"),
]


class Fault(serializers.Serializer[Any]):
    """One faulty field."""

    field = serializers.CharField(help_text="Where: a field, a path like `customer.email`, or a query parameter")
    code = serializers.CharField(help_text="What is wrong, as a stable name")
    message = serializers.CharField(help_text="What is wrong, for people, in the language of `Accept-Language`")


class Problem(serializers.Serializer[Any]):
    """A refusal or failure (RFC 9457, `application/problem+json`)."""

    type = serializers.CharField(help_text="Where this error is explained, relative to this API's address")
    title = serializers.CharField(help_text="The HTTP status in words")
    status = serializers.IntegerField(help_text="The HTTP status")
    detail = serializers.CharField(help_text="What happened, for people, in the language of `Accept-Language`")
    instance = serializers.CharField(help_text="The path that was asked")
    code = serializers.CharField(help_text="The stable name of the error: decide by this one")
    request_id = serializers.CharField(help_text="Name it when you ask us about this request")
    errors = Fault(many=True, required=False, help_text="Each faulty field, if fields are at fault")  # type: ignore[assignment]


class Payer(serializers.Serializer[Any]):
    """Who sent the transfer."""

    name = serializers.CharField(help_text="As the sending bank reports it")
    account_masked = serializers.CharField(help_text="Their CLABE with its middle hidden")
    bank_name = serializers.CharField(allow_null=True, help_text="Their bank, if we know its number")


class SpeiDetails(serializers.Serializer[Any]):
    """Where the payer sends the transfer, and what is known of it."""

    clabe = serializers.CharField(
        allow_null=True,
        help_text="18 digits: the payer transfers to it. Made for this payment alone, unless `clabe_id` names a "
        "reusable CLABE; null if our staff assigned a transfer to you",
    )
    bank_name = serializers.CharField(allow_null=True, help_text="The bank that the payer chooses in their banking app")
    beneficiary_name = serializers.CharField(help_text="Whom the payer sees as the receiver")
    reference_number = serializers.CharField(help_text="Up to 7 digits that the payer may enter as reference")
    tracking_key = serializers.CharField(
        allow_null=True, help_text="The transfer's *clave de rastreo* once it has arrived"
    )
    payer = Payer(allow_null=True, help_text="Who sent the transfer, once it has arrived")
    operating_date = serializers.DateField(
        allow_null=True, help_text="SPEI's operating date of the transfer, in Mexico City"
    )
    cep_url = serializers.URLField(
        allow_null=True, help_text="Banxico's electronic proof of payment (CEP), when there is one"
    )


class OxxoDetails(serializers.Serializer[Any]):
    """What the payer shows at the till."""

    reference = serializers.CharField(help_text="The number under the barcode, which the cashier may type")
    barcode_url = serializers.URLField(help_text="The barcode as an image")
    voucher_url = serializers.URLField(help_text="A page with the voucher, to send to the payer")
    store_name = serializers.CharField(help_text="The chain that takes the cash")


class Customer(serializers.Serializer[Any]):
    """Who is going to pay."""

    name = serializers.CharField(allow_null=True, help_text="The customer's name")
    email = serializers.CharField(allow_null=True, help_text="The customer's e-mail address")
    phone = serializers.CharField(allow_null=True, help_text="The customer's telephone number")


class Failure(serializers.Serializer[Any]):
    """Why it failed."""

    code = serializers.CharField(help_text="The cause, as a stable name")
    message = serializers.CharField(help_text="The cause, for people")


class PaymentObject(serializers.Serializer[Any]):
    """A pay-in. All money in centavos."""

    id = serializers.CharField(help_text="`pay_…`")
    object = serializers.ChoiceField(choices=["payment"], help_text="Always `payment`")
    livemode = serializers.BooleanField(help_text="False for what a test key made: no real money moves")
    created_at = serializers.DateTimeField(help_text="When you created it")
    status = serializers.ChoiceField(
        choices=["pending", "processing", "completed", "failed", "expired", "cancelled", "reversed"],
        help_text="`pending` until the money is here, then `completed`. Money that arrives after `expired` or "
        "`cancelled` and is accepted still makes it `completed`",
    )
    method = serializers.ChoiceField(choices=["spei", "oxxo"], help_text="How the payer pays")
    amount = serializers.IntegerField(help_text="What you asked for, in centavos")
    currency = serializers.CharField(help_text="Always `MXN`")
    amount_received = serializers.IntegerField(help_text="What has arrived, in centavos")
    amount_refunded = serializers.IntegerField(help_text="What has gone back to the payer, in centavos")
    fee = serializers.IntegerField(help_text="Our fee, in centavos, without tax")
    fee_tax = serializers.IntegerField(help_text="IVA on the fee, in centavos")
    net = serializers.IntegerField(help_text="What your balance rose by: received less fee and tax, in centavos")
    description = serializers.CharField(allow_null=True, help_text="Your text for the payer")
    external_id = serializers.CharField(allow_null=True, help_text="Your own id of it, unique in this mode")
    clabe_id = serializers.CharField(
        allow_null=True, help_text="`clb_…`: the reusable CLABE that the money was sent to, if it was"
    )
    customer = Customer(allow_null=True, help_text="Whom you expect to pay")
    provider = serializers.ChoiceField(choices=["stp", "conekta"], help_text="Who takes the money for us")
    provider_reference = serializers.CharField(
        allow_null=True, help_text="The provider's name of it: the CLABE at STP, the order at Conekta"
    )
    failure = Failure(allow_null=True, help_text="Why it is `failed`")
    completed_at = serializers.DateTimeField(allow_null=True, help_text="When the money was credited to you")
    expires_at = serializers.DateTimeField(help_text="Until when the payer should pay")
    payment_page_url = serializers.URLField(help_text="A page for the payer: where and how much to pay")
    metadata = serializers.DictField(child=serializers.CharField(), help_text="Your own notes, as you gave them")
    spei = SpeiDetails(required=False, help_text="Present if `method` is `spei`")
    oxxo = OxxoDetails(
        required=False,
        allow_null=True,
        help_text="Present if `method` is `oxxo`; null until the voucher is there (event `payment.updated`)",
    )


class BalanceObject(serializers.Serializer[Any]):
    """A merchant's money in one mode, in centavos."""

    object = serializers.ChoiceField(choices=["balance"], help_text="Always `balance`")
    livemode = serializers.BooleanField(help_text="Whether this is real money")
    available = serializers.IntegerField(help_text="Yours to pay out")
    pending = serializers.IntegerField(help_text="Paid, but it has not reached us yet (cash at OXXO)")
    reserved = serializers.IntegerField(help_text="Set aside for what is on its way out")
    blocked = serializers.IntegerField(help_text="Held back by us or by an authority")
    debt = serializers.IntegerField(help_text="What you owe us; the next deposits pay it")
    currency = serializers.CharField(help_text="Always `MXN`")
    as_of = serializers.DateTimeField(help_text="The moment of these figures")


class EventData(serializers.Serializer[Any]):
    """The object at that moment, and the former values of what changed."""

    object = serializers.DictField(help_text="The object as a read would have answered it then")
    previous = serializers.DictField(help_text="The former values of the fields that changed")


class EventObject(serializers.Serializer[Any]):
    """Something that happened to an object."""

    id = serializers.CharField(help_text="`evt_…`")
    object = serializers.ChoiceField(choices=["event"], help_text="Always `event`")
    livemode = serializers.BooleanField(help_text="Whether it happened to real money")
    created_at = serializers.DateTimeField(help_text="When it happened")
    type = serializers.CharField(help_text="What happened, e.g. `payment.completed`; expect new ones")
    sequence = serializers.IntegerField(help_text="Rises with gaps over all your events of a mode; never goes back")
    object_sequence = serializers.IntegerField(help_text="1, 2, 3 … over the events of one object, without gaps")
    data = EventData(help_text="The object at that moment")  # type: ignore[assignment]


class PaymentPage(serializers.Serializer[Any]):
    """One page of payments."""

    data = PaymentObject(many=True, help_text="The payments, newest first")  # type: ignore[assignment]
    has_more = serializers.BooleanField(help_text="Whether there is another page")
    next_cursor = serializers.CharField(allow_null=True, help_text="Send it as `cursor` to get that page")


class EventPage(serializers.Serializer[Any]):
    """One page of events."""

    data = EventObject(many=True, help_text="The events")  # type: ignore[assignment]
    has_more = serializers.BooleanField(help_text="Whether there is another page")
    next_cursor = serializers.CharField(allow_null=True, help_text="Send it as `cursor` to get that page")


def problems(*statuses: int) -> dict[Any, OpenApiResponse]:
    """The error answers of an operation."""
    return {(status, "application/problem+json"): OpenApiResponse(Problem) for status in statuses}
