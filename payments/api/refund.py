"""Endpoints for refunds."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, QueryDict
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core.api import filters, schema
from core.api.pagination import page, refuse_unknown
from core.api.serializers import AmountField, ClabeField, MetadataField, StrictSerializer, TextField
from core.api.views import ApiResponse
from core.errors import UnusableValue
from merchants.api.idempotency import run_once, stored_response
from merchants.api.views import MerchantView
from merchants.models import ApiKey
from payments.api.payout import PayoutDestination, PayoutFailure, PayoutReturn, SpeiTextField
from payments.models import Refund
from payments.resources.refund import refund as refund_resource
from payments.resources.refund import with_attempts
from payments.services import refund as refund_service

_ID = OpenApiParameter("refund_id", str, OpenApiParameter.PATH, description="`re_…`")
_STATUSES = tuple(Refund.Status.values)
_FILTERS = ("payment", "status", *filters.CREATED_AT, "external_id")


class RefundDestinationRequest(StrictSerializer):
    """Another account than the one that the money came from."""

    clabe = ClabeField(help_text="18 digits, at any bank of `GET /v1/banks`")
    name = SpeiTextField(
        cut=True, max_length=120, help_text="The account holder. Sent without accents, cut after 40 characters"
    )


class RefundRequest(StrictSerializer):
    """What a merchant sends to create a refund."""

    payment = TextField(
        max_length=40, required=False, allow_null=True, help_text="`pay_…`. Omit it only to send a top-up back"
    )
    deposit = TextField(
        max_length=40,
        required=False,
        allow_null=True,
        help_text="`dep_…`: which one, if the payment was paid by several; or a top-up",
    )
    amount = AmountField(
        required=False, allow_null=True, help_text="Centavos; by default all that is left of the deposit"
    )
    reason = TextField(max_length=250, help_text="Why, for you and us; the payer does not read it")
    destination = RefundDestinationRequest(
        required=False,
        allow_null=True,
        help_text="Where it goes, if not to the account that the money came from: needed for OXXO and for payers "
        "without a CLABE. A person of ours checks it first",
    )
    external_id = TextField(
        max_length=100,
        required=False,
        allow_null=True,
        help_text="Your own id, unique among your refunds of a mode: a second use is `duplicate_external_id`",
    )
    metadata = MetadataField(
        required=False, help_text="Your own notes: up to 50 keys of up to 40 characters, text values of up to 500"
    )

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        if not fields.get("payment") and not fields.get("deposit"):
            raise UnusableValue.of("payment", _("Name the payment to refund."), code="required")
        return fields


class RefundObject(serializers.Serializer[Any]):
    """Money that goes back to a payer."""

    id = serializers.CharField(help_text="`re_…`")
    object = serializers.ChoiceField(choices=["refund"], help_text="Always `refund`")
    livemode = serializers.BooleanField(help_text="False for what a test key made: no real money moves")
    created_at = serializers.DateTimeField(help_text="When it was created")
    status = serializers.ChoiceField(choices=Refund.Status.values, help_text="See the guide on refunds")
    origin = serializers.ChoiceField(choices=Refund.Origin.values, help_text="Who asked for it; yours are `merchant`")
    payment = serializers.CharField(allow_null=True, help_text="`pay_…`; null for a top-up")
    topup = serializers.CharField(allow_null=True, help_text="`dep_…` of the top-up; null for a payment")
    deposit = serializers.CharField(help_text="`dep_…` of the money that goes back")
    amount = serializers.IntegerField(help_text="Centavos that the payer gets; a refund has no fee")
    currency = serializers.CharField(help_text="`MXN`")
    reason = serializers.CharField(help_text="As you gave it")
    destination = PayoutDestination(help_text="Where the money goes")
    payout = serializers.CharField(
        allow_null=True, help_text="`po_…` of the transfer that decides the state; see `GET /v1/payouts/{payout_id}`"
    )
    delayed = serializers.BooleanField(help_text="True while the outcome takes longer than usual")
    failure = PayoutFailure(allow_null=True, help_text="Why it failed")
    vars()["return"] = PayoutReturn(allow_null=True, help_text="Why it came back")
    external_id = serializers.CharField(allow_null=True, help_text="Your own id")
    metadata = serializers.DictField(child=serializers.CharField(), help_text="Your own notes, as you gave them")


class RefundPage(serializers.Serializer[Any]):
    """One page of refunds."""

    data = RefundObject(many=True, help_text="Newest first")  # type: ignore[assignment]
    has_more = serializers.BooleanField(help_text="Whether another page follows")
    next_cursor = serializers.CharField(allow_null=True, help_text="`cursor` of the next page")


class RefundsView(MerchantView):
    """``POST`` creates a refund, ``GET`` lists them, newest first."""

    scopes = {"GET": ApiKey.Scope.PAYMENTS_READ, "POST": ApiKey.Scope.REFUNDS_WRITE}

    @extend_schema(
        tags=["refunds"],
        operation_id="create_refund",
        summary="Create a refund",
        description="Sends money of a payment back by SPEI, in whole or in parts. The amount is held from your "
        "available balance at once; our fee of the payment stays. It goes to the account that the money came from; to "
        "another one (`destination`) only after a person of ours has approved it. Wait for `refund.completed`, "
        "`refund.failed` or `refund.returned`.\n\nA refusal (422) stays under its key: after a top-up send a new key.",
        parameters=[schema.IDEMPOTENCY_KEY],
        request=RefundRequest,
        responses={202: RefundObject, **schema.problems(404)},
    )
    def post(self, request: Request) -> HttpResponse:
        try:
            fields = RefundRequest.read(request.data)
        except serializers.ValidationError:
            if (answer := stored_response(self, request)) is not None:
                return answer
            raise
        new = _wanted(fields)
        return run_once(
            self,
            request,
            create=lambda: refund_service.create(
                self.merchant, livemode=self.livemode, wanted=new, maker=self.key.public_id, origin=self.origin
            ),
            find=lambda public_id: _refunds(self).get(public_id=public_id),
            public_id=lambda refund: refund.public_id,
            render=refund_resource,
            status=202,
        )

    @extend_schema(
        tags=["refunds"],
        operation_id="list_refunds",
        summary="List refunds",
        description="Your refunds in the key's mode, newest first. Filters narrow together; one that does not exist is "
        "refused.",
        parameters=[
            *schema.PAGE,
            OpenApiParameter("payment", filters.text_schema(40), description="Only those of this payment: `pay_…`"),
            OpenApiParameter("status", enum=_STATUSES, description="Only those in this state"),
            *filters.CREATED_AT_PARAMETERS,
            OpenApiParameter("external_id", filters.text_schema(100), description="Exactly this one of yours."),
        ],
        responses={200: RefundPage},
    )
    def get(self, request: Request) -> HttpResponse:
        query = request.query_params
        refuse_unknown(query, *_FILTERS)
        rows = _narrowed(_refunds(self), query)
        return ApiResponse(page(rows, query, owner=self.owner, render=refund_resource, prepare=with_attempts))


class RefundView(MerchantView):
    """One refund."""

    scopes = {"GET": ApiKey.Scope.PAYMENTS_READ}

    @extend_schema(
        tags=["refunds"],
        operation_id="read_refund",
        summary="Read a refund",
        description="One refund as it is now.",
        parameters=[_ID],
        responses={200: RefundObject},
    )
    def get(self, request: Request, refund_id: str) -> HttpResponse:
        return ApiResponse(refund_resource(self.find(_refunds(self), refund_id)))


class RefundCancelView(MerchantView):
    """Withdraws a refund."""

    scopes = {"POST": ApiKey.Scope.REFUNDS_WRITE}

    @extend_schema(
        tags=["refunds"],
        operation_id="cancel_refund",
        summary="Cancel a refund",
        description="Withdraws a refund that was not sent yet; its money is available again, and the payment "
        "refundable. Cancelling it again changes nothing. One that is being sent or has ended is 409 "
        "`illegal_transition`.",
        parameters=[_ID],
        request=None,
        responses={200: RefundObject},
    )
    def post(self, request: Request, refund_id: str) -> HttpResponse:
        found = self.find(_refunds(self), refund_id)
        return ApiResponse(refund_resource(refund_service.cancel(found.public_id, origin=self.origin)))


def _refunds(view: MerchantView) -> Any:
    return view.own(Refund.objects.select_related("payment", "deposit"))


def _narrowed(rows: Any, query: QueryDict) -> Any:
    created_from, created_before = filters.created_at(query)
    given = {
        "payment__public_id": filters.text(query, "payment", max_length=40),
        "status": filters.choice(query, "status", _STATUSES),
        "created_at__gte": created_from,
        "created_at__lt": created_before,
        "external_id": filters.text(query, "external_id", max_length=100),
    }
    return rows.filter(**{name: value for name, value in given.items() if value is not None})


def _wanted(fields: dict[str, Any]) -> refund_service.NewRefund:
    destination = fields.get("destination") or {}
    return refund_service.NewRefund(
        payment=fields.get("payment") or None,
        deposit=fields.get("deposit") or None,
        amount=fields.get("amount"),
        reason=fields["reason"],
        clabe=destination.get("clabe"),
        name=destination.get("name", ""),
        external_id=fields.get("external_id") or None,
        metadata=fields.get("metadata", {}),
    )
