"""Endpoints that receive notices from STP and Conekta."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from core import request_context
from core.api import schema
from core.api.views import ApiResponse, JsonView
from core.errors import NoticeRejected, RequestRefused
from payments.models import ProviderAccount
from webhooks.inbound.api.authentication import AuthenticatedBody, ConektaDigest, StpSecret
from webhooks.inbound.models import Channel, InboxTally
from webhooks.inbound.services import inbox, tally

KEPT_HEADERS = {
    "CONTENT_TYPE": "Content-Type",
    "HTTP_USER_AGENT": "User-Agent",
    "HTTP_DATE": "Date",
    "HTTP_DIGEST": "DIGEST",
    "HTTP_X_REQUEST_ID": "X-Request-Id",
}
"""Headers stored with a notice as evidence; never a credential."""

MAX_HEADER = 2_000


class NoticeView(JsonView):
    """Receives one notice: authenticates, stores and applies it before the response."""

    permission_classes = []
    parser_classes = []
    renderer_classes = [JSONRenderer]
    channel: Channel
    account: ProviderAccount
    authenticated: AuthenticatedBody

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate the provider account."""
        self.account, self.authenticated = self.authenticator.authenticate(request)  # type: ignore[misc]

    def post(self, request: Request) -> HttpResponse:
        meta = request._request.META
        answer = inbox.receive(
            self.account,
            self.authenticated.raw,
            channel=self.channel,
            remote_address=request_context.client_address(request._request) or None,
            headers={name: meta[key][:MAX_HEADER] for key, name in KEPT_HEADERS.items() if key in meta},
            key_id=self.authenticated.key_id,
        )
        if answer.repeated:
            tally.count(self.channel, InboxTally.Kind.DUPLICATE)
        return ApiResponse(answer.body, answer.status)

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        if isinstance(exc, NoticeRejected | RequestRefused):
            tally.count(self.channel, InboxTally.Kind.REFUSED)
        return super().handle_exception(exc)


class StpDepositsView(NoticeView):
    """STP reports an incoming SPEI transfer (abono)."""

    channel = Channel.STP_DEPOSITS
    authentication_classes: list[type[BaseAuthentication]] = [StpSecret]

    @extend_schema(
        tags=["provider webhooks"],
        operation_id="stp_deposit",
        summary="STP: incoming SPEI transfer",
        description="STP's *abono*. The response decides about the money: 200 `confirmar` keeps it, 400 `devolver` "
        "returns it to the payer. STP authenticates with the user name and secret of the registered URL.",
        request={"application/json": OpenApiTypes.OBJECT},
        responses={
            200: OpenApiTypes.OBJECT,
            (400, "application/json"): OpenApiTypes.OBJECT,
            **schema.problems(400, 403, 415),
        },
    )
    def post(self, request: Request) -> HttpResponse:
        return super().post(request)


class StpOrdersView(NoticeView):
    """STP reports the state of an order that we sent."""

    channel = Channel.STP_ORDERS
    authentication_classes: list[type[BaseAuthentication]] = [StpSecret]

    @extend_schema(
        tags=["provider webhooks"],
        operation_id="stp_order",
        summary="STP: state of a sent order",
        description="STP's *cambio de estado*. Every readable or unreadable notice is stored and answered with 200 "
        "`recibido`. STP authenticates as for deposits.",
        request={"application/json": OpenApiTypes.OBJECT},
        responses={200: OpenApiTypes.OBJECT, **schema.problems(400, 403, 415)},
    )
    def post(self, request: Request) -> HttpResponse:
        return super().post(request)


class ConektaView(NoticeView):
    """Conekta reports an event."""

    channel = Channel.CONEKTA_EVENTS
    authentication_classes: list[type[BaseAuthentication]] = [ConektaDigest]

    @extend_schema(
        tags=["provider webhooks"],
        operation_id="conekta_event",
        summary="Conekta: event",
        description="Any event of Conekta; the header `DIGEST` signs the raw body. Events of types that we do not use "
        "are stored and answered with 200, too.",
        request={"application/json": OpenApiTypes.OBJECT},
        responses={200: OpenApiTypes.OBJECT, **schema.problems(400, 415)},
    )
    def post(self, request: Request) -> HttpResponse:
        return super().post(request)
