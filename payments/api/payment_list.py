"""Filters of the list of payments, and its response."""

from __future__ import annotations

from django.http import HttpResponse, QueryDict
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from core.api import cursor, filters, schema
from core.api.pagination import binding, limit, refuse_unknown
from core.search import MAX_LENGTH
from merchants.api.views import MerchantView
from payments.models import Payment
from payments.services import payment_list
from payments.services.payment_list import MAX_EXTERNAL_ID, Filters

STATUSES = tuple(Payment.Status.values)
METHODS = tuple(Payment.Method.values)
NAMES = (
    "status",
    "method",
    *filters.CREATED_AT,
    "amount[gte]",
    "amount[lte]",
    "external_id",
    "external_id[prefix]",
    "q",
)

PARAMETERS = [
    *schema.PAGE,
    OpenApiParameter("status", enum=STATUSES, description="Only payments in this state"),
    OpenApiParameter("method", enum=METHODS, description="Only payments by this method"),
    *filters.CREATED_AT_PARAMETERS,
    OpenApiParameter("amount[gte]", filters.AMOUNT, description="Minimum amount in centavos."),
    OpenApiParameter("amount[lte]", filters.AMOUNT, description="Maximum amount in centavos."),
    OpenApiParameter(
        "external_id",
        filters.text_schema(MAX_EXTERNAL_ID),
        description="The payment with exactly this `external_id`.",
    ),
    OpenApiParameter(
        "external_id[prefix]",
        filters.text_schema(MAX_EXTERNAL_ID, is_prefix=True),
        description="Payments whose `external_id` starts with this text.",
    ),
    OpenApiParameter(
        "q",
        filters.text_schema(MAX_LENGTH),
        description="Searches CLABE, reference, Conekta order, external_id, tracking key, name and e-mail of the "
        "customer and name of the payer. Case and accents are ignored, and no character has a special meaning. A "
        "text of one or two characters must be at the start of a word. An identifier is also found if it is written "
        "in groups, with spaces or hyphens: `6461 8015 7000 0035 77`.",
    ),
]


def list_payments(view: MerchantView, request: Request) -> HttpResponse:
    """One page of the merchant's payments; PostgreSQL renders the objects as JSON."""
    query = request.query_params
    refuse_unknown(query, *NAMES)
    size = limit(query)
    bound_to = binding("payments", (view.merchant.pk, view.livemode), query)
    after = None
    given = query.get("cursor")
    if given is not None:
        moment, key = cursor.unseal(given, 2, *bound_to)
        after = (cursor.to_moment(moment), key)
    found = payment_list.page(view.merchant, livemode=view.livemode, filters=_filters(query), after=after, limit=size)
    more, next_cursor = "false", "null"
    if found.last is not None:
        more, next_cursor = "true", f'"{cursor.seal(found.last, *bound_to)}"'
    return HttpResponse(
        f'{{"data":[{found.data}],"has_more":{more},"next_cursor":{next_cursor}}}', content_type="application/json"
    )


def _filters(query: QueryDict) -> Filters:
    if query.keys() <= {"limit", "cursor"}:
        return Filters()
    created_from, created_before = filters.created_at(query)
    return Filters(
        status=filters.choice(query, "status", STATUSES),
        method=filters.choice(query, "method", METHODS),
        created_from=created_from,
        created_before=created_before,
        amount_from=filters.amount(query, "amount[gte]"),
        amount_to=filters.amount(query, "amount[lte]"),
        external_id=filters.text(query, "external_id", max_length=MAX_EXTERNAL_ID),
        external_id_prefix=filters.text(query, "external_id[prefix]", max_length=MAX_EXTERNAL_ID, is_prefix=True),
        q=filters.text(query, "q", max_length=MAX_LENGTH),
    )
