"""Endpoint for balance transactions: the ledger lines behind the balance."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core.api import cursor, filters, schema
from core.api.pagination import binding, limit, refuse_unknown
from core.api.views import ApiResponse
from ledger.resources.balance_transaction import balance_transaction as balance_transaction_resource
from ledger.services import balance_transaction
from ledger.services.balance_transaction import KINDS, PLACE_SIZE, Place
from merchants.api.views import MerchantView
from merchants.models import ApiKey


class BalanceFigures(serializers.Serializer[Any]):
    """A merchant's balance, or a change of it, in centavos."""

    available = serializers.IntegerField(help_text="Available for payouts")
    pending = serializers.IntegerField(help_text="Paid by the payer, but not received by us yet (cash at OXXO)")
    reserved = serializers.IntegerField(help_text="Reserved for outgoing transfers")
    blocked = serializers.IntegerField(help_text="Blocked by us or by an authority")
    debt = serializers.IntegerField(help_text="What you owe us; it is settled from your next deposits")


class BalanceTransactionObject(serializers.Serializer[Any]):
    """One change of a merchant's balance. All amounts in centavos."""

    id = serializers.CharField(help_text="`txn_…`")
    object = serializers.ChoiceField(choices=["balance_transaction"], help_text="Always `balance_transaction`")
    livemode = serializers.BooleanField(help_text="Whether this is real money")
    created_at = serializers.DateTimeField(help_text="When it was booked; the list is sorted by it")
    effective_at = serializers.DateTimeField(help_text="When the money moved, according to the provider")
    operating_date = serializers.DateField(help_text="The banking day to which it belongs, in Mexico City")
    kind = serializers.ChoiceField(choices=KINDS, help_text="The kind of movement; new kinds may be added")
    source = serializers.CharField(  # type: ignore[assignment]
        help_text="Id of the object that caused it, e.g. `dep_…`, `po_…`"
    )
    description = serializers.CharField(help_text="A text that describes it")
    currency = serializers.CharField(help_text="Always `MXN`")
    amount = serializers.IntegerField(help_text="The amount before our fee; negative for outgoing money")
    fee = serializers.IntegerField(help_text="Our fee; negative if it was refunded")
    fee_tax = serializers.IntegerField(help_text="IVA on the fee")
    net = serializers.IntegerField(
        help_text="`amount - fee - fee_tax`: the change of your total balance; 0 if money only moved within it"
    )
    change = BalanceFigures(help_text="The change of each part of the balance")
    balance = BalanceFigures(help_text="The balance after this movement")


class BalanceTransactionPage(serializers.Serializer[Any]):
    """One page of balance transactions."""

    data = BalanceTransactionObject(many=True, help_text="The movements, newest first")  # type: ignore[assignment]
    has_more = serializers.BooleanField(help_text="Whether there is another page")
    next_cursor = serializers.CharField(allow_null=True, help_text="Send it as `cursor` to get the next page")


class BalanceTransactionsView(MerchantView):
    """The ledger lines behind the balance, newest first."""

    scopes = {"GET": ApiKey.Scope.PAYMENTS_READ}

    @extend_schema(
        tags=["balance"],
        operation_id="list_balance_transactions",
        summary="List balance transactions",
        description="All changes of your balance in the order of booking, newest first, each with the balance after "
        "it. A movement appears as soon as no earlier one can still appear, usually at once. With filters a page may "
        "contain fewer than `limit` entries, even none, although more follow: continue while `has_more` is true.",
        parameters=[
            *schema.PAGE,
            OpenApiParameter("kind", enum=KINDS, description="Only movements of this kind"),
            *filters.CREATED_AT_PARAMETERS,
        ],
        responses={200: BalanceTransactionPage},
    )
    def get(self, request: Request) -> HttpResponse:
        query = request.query_params
        refuse_unknown(query, "kind", *filters.CREATED_AT)
        size = limit(query)
        bound_to = binding("balance_transactions", (self.merchant.pk, self.livemode), query)
        given = query.get("cursor")
        created_from, created_before = filters.created_at(query)
        found = balance_transaction.page(
            self.merchant,
            livemode=self.livemode,
            limit=size,
            after=None if given is None else Place.of_integers(cursor.unseal(given, PLACE_SIZE, *bound_to)),
            kind=filters.choice(query, "kind", KINDS),
            created_from=created_from,
            created_before=created_before,
        )
        return ApiResponse(
            {
                "data": [balance_transaction_resource(line) for line in found.lines],
                "has_more": found.next is not None,
                "next_cursor": None if found.next is None else cursor.seal(found.next.as_integers(), *bound_to),
            }
        )
