from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpResponse, QueryDict
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core.api import filters, schema
from core.api.pagination import page, refuse_unknown
from core.api.serializers import (
    AmountField,
    ClabeField,
    CurrencyField,
    MetadataField,
    MomentField,
    StrictSerializer,
    TextField,
    WholeNumberField,
    unusable,
)
from core.api.views import ApiResponse
from core.errors import InvalidRequest
from core.mx import spei_text, tax_id
from core.search import MAX_LENGTH
from merchants.api.idempotency import run_once, stored_response
from merchants.api.views import MerchantView
from merchants.models import ApiKey
from payments.models import Payout
from payments.models.payout import INTERNAL_KINDS, PAYOUT_SEARCH_TEXT
from payments.resources.payout import payout as payout_resource
from payments.resources.payout import with_approvals
from payments.services import payout as payout_service
from payments.services import payout_limit

_ID = OpenApiParameter("payout_id", str, OpenApiParameter.PATH, description="`po_…`")
_STATUSES = tuple(Payout.Status.values)
_KINDS = tuple(kind for kind in Payout.Kind.values if kind not in INTERNAL_KINDS)
_FILTERS = (
    "status",
    "kind",
    *filters.CREATED_AT,
    "amount[gte]",
    "amount[lte]",
    "external_id",
    "tracking_key",
    "q",
)


class SpeiTextField(TextField):
    """A text of a SPEI order, folded to what the receiving bank will show."""

    pattern = spei_text.PATTERN

    def __init__(self, *, cut: bool = False, **options: Any) -> None:
        self.cut = cut
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return spei_text.fold(text, cut=self.cut)
        except spei_text.UnsendableText as error:
            raise unusable(_(error.message), error.code) from error

    def refuse_pattern(self, data: str) -> None:
        try:
            spei_text.fold(data, cut=True)
        except spei_text.UnsendableText as error:
            raise serializers.ValidationError(_(error.message), code=error.code) from error
        super().refuse_pattern(data)


class TaxIdField(TextField):
    """An RFC or a CURP; check digits are not verified."""

    pattern = tax_id.PATTERN

    def to_internal_value(self, data: Any) -> str:
        return tax_id.fold(super().to_internal_value(data))

    def refuse_pattern(self, data: str) -> None:
        raise serializers.ValidationError(_("An RFC has 12 or 13 characters, a CURP 18."), code="invalid")


class DestinationRequest(StrictSerializer):
    """Who gets the money."""

    clabe = ClabeField(help_text="The beneficiary's CLABE: 18 digits, at any bank of `GET /v1/banks`")
    name = SpeiTextField(
        cut=True, max_length=120, help_text="The account holder. Sent without accents, cut after 40 characters"
    )
    tax_id = TaxIdField(required=False, allow_null=True, help_text="The account holder's RFC or CURP, if you know it")


class PayoutRequest(StrictSerializer):
    """What a merchant sends to create a payout."""

    amount = AmountField(help_text="Centavos that the beneficiary gets: `125050` is $1,250.50. The fee comes on top")
    currency = CurrencyField(help_text="`MXN`")
    destination = DestinationRequest(help_text="Who gets the money")
    concept = SpeiTextField(
        max_length=120,
        help_text="What the beneficiary reads. Sent without accents; then at most 40 characters. Emoji and `|` are "
        "refused",
    )
    reference_number = WholeNumberField(
        required=False, allow_null=True, min_value=1, max_value=9_999_999, help_text="1 to 9999999; ours by default"
    )
    external_id = TextField(
        max_length=100,
        required=False,
        allow_null=True,
        help_text="Your own id, unique among your payouts of a mode: a second use is `duplicate_external_id`",
    )
    scheduled_for = MomentField(
        required=False, allow_null=True, help_text="Not to be sent before: at most 90 days ahead. At once by default"
    )
    metadata = MetadataField(
        required=False, help_text="Your own notes: up to 50 keys of up to 40 characters, text values of up to 500"
    )

    def validate_scheduled_for(self, moment: datetime | None) -> datetime | None:
        try:
            return moment and payout_limit.check_schedule(moment)
        except InvalidRequest as error:
            raise unusable(_(error.message)) from error


class PayoutBank(serializers.Serializer[Any]):
    """The beneficiary's bank."""

    code = serializers.CharField(help_text="Its SPEI institution code")
    name = serializers.CharField(allow_null=True, help_text="Its short name in SPEI")


class PayoutDestination(serializers.Serializer[Any]):
    """Who gets the money."""

    clabe_masked = serializers.CharField(help_text="The CLABE with its middle hidden")
    bank = PayoutBank(help_text="The beneficiary's bank")
    name = serializers.CharField(help_text="The account holder, as it is sent")


class PayoutFailure(serializers.Serializer[Any]):
    """Why the money did not leave."""

    code = serializers.CharField(help_text="A word, e.g. `destination_closed`")
    message = serializers.CharField(help_text="What a person may read")


class PayoutReturn(serializers.Serializer[Any]):
    """Why the beneficiary's bank sent the money back."""

    code = serializers.CharField(help_text="A word, e.g. `account_not_found`; `other` for an unknown cause")
    cause = serializers.IntegerField(allow_null=True, help_text="The bank's own number of the cause")
    reason = serializers.CharField(allow_null=True, help_text="The bank's words, if it gave any")
    returned_at = serializers.DateTimeField(help_text="When it came back")


class PayoutApproval(serializers.Serializer[Any]):
    """A decision by a second person at the operator of this site."""

    state = serializers.ChoiceField(
        choices=["pending", "approved", "rejected", "cancelled", "expired"], help_text="What was decided"
    )
    decided_at = serializers.DateTimeField(allow_null=True, help_text="When it was decided")


class PayoutObject(serializers.Serializer[Any]):
    """Money sent by SPEI to a CLABE."""

    id = serializers.CharField(help_text="`po_…`")
    object = serializers.ChoiceField(choices=["payout"], help_text="Always `payout`")
    livemode = serializers.BooleanField(help_text="False for what a test key made: no real money moves")
    created_at = serializers.DateTimeField(help_text="When you created it")
    kind = serializers.ChoiceField(choices=list(_KINDS), help_text="What it is for; yours are `merchant`")
    status = serializers.ChoiceField(choices=Payout.Status.values, help_text="See the guide on payouts")
    waiting_for = serializers.ChoiceField(
        choices=[value for value in Payout.WaitingFor.values if value],
        allow_null=True,
        help_text="Why it is not sent yet",
    )
    delayed = serializers.BooleanField(
        help_text="True while its outcome takes longer than usual: it is neither failed nor sent twice"
    )
    amount = serializers.IntegerField(help_text="Centavos that the beneficiary gets")
    currency = serializers.CharField(help_text="`MXN`")
    fee = serializers.IntegerField(help_text="Our fee in centavos, on top of the amount; 0 if it failed")
    fee_tax = serializers.IntegerField(help_text="The IVA on the fee, centavos")
    destination = PayoutDestination(help_text="Who gets the money")
    concept = serializers.CharField(help_text="What the beneficiary reads, as it is sent")
    reference_number = serializers.IntegerField(help_text="The numeric reference of the transfer")
    external_id = serializers.CharField(allow_null=True, help_text="Your own id")
    batch = serializers.CharField(allow_null=True, help_text="`bat_…` of the batch that it belongs to")
    tracking_key = serializers.CharField(help_text="The clave de rastreo, fixed before it is sent")
    operating_date = serializers.DateField(allow_null=True, help_text="The SPEI operating day on which it was sent")
    scheduled_for = serializers.DateTimeField(allow_null=True, help_text="Not to be sent before")
    completed_at = serializers.DateTimeField(allow_null=True, help_text="When it was settled")
    cep = serializers.DictField(allow_null=True, help_text="Banxico's receipt; null as long as there is none")
    failure = PayoutFailure(allow_null=True, help_text="Why it failed or was rejected")
    vars()["return"] = PayoutReturn(allow_null=True, help_text="Why it came back")
    approvals = PayoutApproval(many=True, help_text="Decisions by a second person, if it needed one")
    metadata = serializers.DictField(child=serializers.CharField(), help_text="Your own notes, as you gave them")


class PayoutPage(serializers.Serializer[Any]):
    """One page of payouts."""

    data = PayoutObject(many=True, help_text="Newest first")  # type: ignore[assignment]
    has_more = serializers.BooleanField(help_text="Whether another page follows")
    next_cursor = serializers.CharField(allow_null=True, help_text="`cursor` of the next page")


class PayoutsView(MerchantView):
    """``POST`` creates a payout, ``GET`` lists them, newest first."""

    scopes = {"GET": ApiKey.Scope.PAYOUTS_READ, "POST": ApiKey.Scope.PAYOUTS_WRITE}

    @extend_schema(
        tags=["payouts"],
        operation_id="create_payout",
        summary="Create a payout",
        description="Sends money by SPEI. Amount, fee and IVA are held from your available balance at once; the "
        "transfer is sent in the background. Wait for `payout.completed`, `payout.failed` or `payout.returned`; "
        "`waiting_for` says why it is not sent yet. Its outcome is never guessed: while it is unknown the payout stays "
        "`processing` with `delayed: true`.\n\nA refusal (422) stays under its key: after a top-up send a new key.",
        parameters=[schema.IDEMPOTENCY_KEY],
        request=PayoutRequest,
        responses={202: PayoutObject},
    )
    def post(self, request: Request) -> HttpResponse:
        try:
            fields = PayoutRequest.read(request.data)
        except serializers.ValidationError:
            if (answer := stored_response(self, request)) is not None:
                return answer
            raise
        new = _wanted(fields)
        return run_once(
            self,
            request,
            create=lambda: payout_service.create(
                self.merchant, livemode=self.livemode, wanted=new, maker=self.key.public_id, origin=self.origin
            ),
            find=lambda public_id: _payouts(self).get(public_id=public_id),
            public_id=lambda payout: payout.public_id,
            render=payout_resource,
            status=202,
        )

    @extend_schema(
        tags=["payouts"],
        operation_id="list_payouts",
        summary="List payouts",
        description="Your payouts in the key's mode, newest first. Filters narrow together; one that does not exist is "
        "refused. Those that refunds and settlements made are listed only with `kind`.",
        parameters=[
            *schema.PAGE,
            OpenApiParameter("status", enum=_STATUSES, description="Only those in this state"),
            OpenApiParameter("kind", enum=_KINDS, description="Those of this kind: `merchant` by default"),
            *filters.CREATED_AT_PARAMETERS,
            OpenApiParameter("amount[gte]", filters.AMOUNT, description="Centavos: this much or more."),
            OpenApiParameter("amount[lte]", filters.AMOUNT, description="Centavos: this much or less."),
            OpenApiParameter("external_id", filters.text_schema(100), description="Exactly this one of yours."),
            OpenApiParameter("tracking_key", filters.text_schema(30), description="Exactly this clave de rastreo."),
            OpenApiParameter(
                "q",
                filters.text_schema(MAX_LENGTH),
                description="Looks for a text in tracking key, external_id, CLABE and beneficiary.",
            ),
        ],
        responses={200: PayoutPage},
    )
    def get(self, request: Request) -> HttpResponse:
        query = request.query_params
        refuse_unknown(query, *_FILTERS)
        rows = _narrowed(_payouts(self), query)
        return ApiResponse(page(rows, query, owner=self.owner, render=payout_resource, prepare=with_approvals))


class PayoutView(MerchantView):
    """One payout."""

    scopes = {"GET": ApiKey.Scope.PAYOUTS_READ}

    @extend_schema(
        tags=["payouts"],
        operation_id="read_payout",
        summary="Read a payout",
        description="One payout as it is now.",
        parameters=[_ID],
        responses={200: PayoutObject},
    )
    def get(self, request: Request, payout_id: str) -> HttpResponse:
        return ApiResponse(payout_resource(self.find(_payouts(self), payout_id)))


class PayoutCancelView(MerchantView):
    """Withdraws a payout."""

    scopes = {"POST": ApiKey.Scope.PAYOUTS_WRITE}

    @extend_schema(
        tags=["payouts"],
        operation_id="cancel_payout",
        summary="Cancel a payout",
        description="Withdraws a payout that was not sent yet; its money is available again. Cancelling it again "
        "changes nothing. One that is being sent or has ended is 409 `illegal_transition`.",
        parameters=[_ID],
        request=None,
        responses={200: PayoutObject},
    )
    def post(self, request: Request, payout_id: str) -> HttpResponse:
        found = self.find(_payouts(self), payout_id)
        return ApiResponse(payout_resource(payout_service.cancel(found.public_id, origin=self.origin)))


def _payouts(view: MerchantView) -> Any:
    return view.own(Payout.objects.select_related("merchant").exclude(kind__in=INTERNAL_KINDS))


def _narrowed(rows: Any, query: QueryDict) -> Any:
    created_from, created_before = filters.created_at(query)
    given = {
        "status": filters.choice(query, "status", _STATUSES),
        "kind": filters.choice(query, "kind", _KINDS) or Payout.Kind.MERCHANT,
        "created_at__gte": created_from,
        "created_at__lt": created_before,
        "amount__gte": filters.amount(query, "amount[gte]"),
        "amount__lte": filters.amount(query, "amount[lte]"),
        "external_id": filters.text(query, "external_id", max_length=100),
        "tracking_key": filters.text(query, "tracking_key", max_length=30),
    }
    rows = rows.filter(**{name: value for name, value in given.items() if value is not None})
    q = filters.text(query, "q", max_length=MAX_LENGTH)
    if q is not None:
        rows = rows.annotate(search_text=PAYOUT_SEARCH_TEXT).filter(search_text__search_contains=q)
    return rows


def _wanted(fields: dict[str, Any]) -> payout_service.NewPayout:
    destination = fields["destination"]
    return payout_service.NewPayout(
        amount=fields["amount"],
        clabe=destination["clabe"],
        name=destination["name"],
        tax_id=destination.get("tax_id") or "",
        concept=fields["concept"],
        reference_number=fields.get("reference_number"),
        external_id=fields.get("external_id") or None,
        scheduled_for=fields.get("scheduled_for"),
        metadata=fields.get("metadata", {}),
    )
