"""URL routes of the site."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from core.api.errors import problem_response
from core.errors import InvalidRequest, NotFound, PaymentsError
from merchants.api.api_key import ApiKeyRollView, ApiKeysView
from merchants.api.bank import BanksView
from merchants.api.event import EventsView, EventView
from merchants.api.idempotency_key import IdempotencyKeyView
from payments.api.balance import BalanceView
from payments.api.balance_transaction import BalanceTransactionsView
from payments.api.clabe import ClabeCloseView, ClabesView, ClabeView
from payments.api.destination import DestinationsView
from payments.api.merchant import MerchantSelfView
from payments.api.payment import PaymentCancelView, PaymentsView, PaymentView
from payments.api.payout import PayoutCancelView, PayoutsView, PayoutView
from payments.api.refund import RefundCancelView, RefundsView, RefundView
from payments.api.report import ReportsView, ReportView
from payments.api.report import download as download_report
from payments.api.simulation import SimulatedOutcomeView, SimulatedPaymentView
from payments.api.topup import TopupsView, TopupView
from payments.pages import payment_page
from payments_site import health, metrics
from payments_site.openapi import views as openapi
from webhooks.inbound.api.views import ConektaView, StpDepositsView, StpOrdersView
from webhooks.outbound.api.delivery import DeliveryRetryView, DeliveryView
from webhooks.outbound.api.endpoint import (
    EndpointDeliveriesView,
    EndpointReplayView,
    EndpointSecretView,
    EndpointsView,
    EndpointTestView,
    EndpointView,
)


def home(request: HttpRequest) -> HttpResponse:
    """Redirect the root to the admin."""
    return HttpResponseRedirect("/admin/")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404 as an HTML page; the API's is ``unknown``."""
    return render(request, "404.html", status=404)


@csrf_exempt
def unknown(request: HttpRequest, rest: str) -> HttpResponse:
    """404 as a problem for unknown API addresses, also with DEBUG."""
    return problem_response(NotFound(), request)


def server_error(request: HttpRequest) -> HttpResponse:
    """500 without internal details."""
    if request.path.startswith(("/v1/", "/webhooks/")):
        return problem_response(PaymentsError(), request)
    return render(request, "500.html", status=500)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400 for requests refused before any view, e.g. for their Host: a page in the admin, else a problem."""
    if request.path.startswith("/admin/"):
        return render(request, "400.html", status=400)
    return problem_response(InvalidRequest(), request)


handler400 = bad_request
handler404 = not_found
handler500 = server_error

urlpatterns = [  # matched in order: the busiest routes come first
    path("webhooks/stp/deposits", StpDepositsView.as_view()),
    path("webhooks/stp/orders", StpOrdersView.as_view()),
    path("webhooks/conekta", ConektaView.as_view()),
    path("v1/payments", PaymentsView.as_view()),
    path("v1/payments/<str:payment_id>", PaymentView.as_view()),
    path("v1/payments/<str:payment_id>/cancel", PaymentCancelView.as_view()),
    path("v1/payouts", PayoutsView.as_view()),
    path("v1/payouts/<str:payout_id>", PayoutView.as_view()),
    path("v1/payouts/<str:payout_id>/cancel", PayoutCancelView.as_view()),
    path("v1/refunds", RefundsView.as_view()),
    path("v1/refunds/<str:refund_id>", RefundView.as_view()),
    path("v1/refunds/<str:refund_id>/cancel", RefundCancelView.as_view()),
    path("v1/destinations", DestinationsView.as_view()),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
    path("", home),
    path("admin/", admin.site.urls),
    path("pay/<str:payment_id>", payment_page, name="payment_page"),
    path("v1/clabes", ClabesView.as_view()),
    path("v1/clabes/<str:clabe_id>", ClabeView.as_view()),
    path("v1/clabes/<str:clabe_id>/close", ClabeCloseView.as_view()),
    path("v1/topups", TopupsView.as_view()),
    path("v1/topups/<str:topup_id>", TopupView.as_view()),
    path("v1/test/payments/<str:payment_id>/pay", SimulatedPaymentView.as_view()),
    path("v1/test/payouts/<str:payout_id>/outcome", SimulatedOutcomeView.as_view()),
    path("v1/balance", BalanceView.as_view()),
    path("v1/balance/transactions", BalanceTransactionsView.as_view()),
    path("v1/reports", ReportsView.as_view()),
    path("v1/reports/<str:report_id>", ReportView.as_view()),
    path("reports/<str:report_id>", download_report),
    path("v1/events", EventsView.as_view()),
    path("v1/events/<str:event_id>", EventView.as_view()),
    path("v1/webhook-endpoints", EndpointsView.as_view()),
    path("v1/webhook-endpoints/<str:webhook_endpoint_id>", EndpointView.as_view()),
    path("v1/webhook-endpoints/<str:webhook_endpoint_id>/rotate-secret", EndpointSecretView.as_view()),
    path("v1/webhook-endpoints/<str:webhook_endpoint_id>/test", EndpointTestView.as_view()),
    path("v1/webhook-endpoints/<str:webhook_endpoint_id>/deliveries", EndpointDeliveriesView.as_view()),
    path("v1/webhook-endpoints/<str:webhook_endpoint_id>/replay", EndpointReplayView.as_view()),
    path("v1/deliveries/<str:delivery_id>", DeliveryView.as_view()),
    path("v1/deliveries/<str:delivery_id>/retry", DeliveryRetryView.as_view()),
    path("v1/merchant", MerchantSelfView.as_view()),
    path("v1/api-keys", ApiKeysView.as_view()),
    path("v1/api-keys/<str:api_key_id>/roll", ApiKeyRollView.as_view()),
    path("v1/banks", BanksView.as_view()),
    path("v1/idempotency-keys/<str:key>", IdempotencyKeyView.as_view()),
    path("v1/openapi.json", openapi.openapi, name="openapi"),
    path("v1/docs", openapi.docs, name="docs"),
    path("v1/<path:rest>", unknown),
    path("webhooks/<path:rest>", unknown),
]
