"""The merchant's admin page with its webhook endpoints."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core.admin import ReadOnlyInline, column, mode, object_link, short_id
from merchants.models import Merchant
from payments.admin import MerchantWithFunding
from webhooks.outbound.admin.words import endpoint_status_column, events_column, url_column
from webhooks.outbound.models import Endpoint

admin.site.unregister(Merchant)


class EndpointInline(ReadOnlyInline):
    model = Endpoint
    fields = [
        column("public_id", _("id"), lambda endpoint: object_link(endpoint.public_id, short_id(endpoint.public_id))),
        mode(),
        endpoint_status_column,
        url_column,
        events_column,
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Endpoint]:
        rows: QuerySet[Endpoint] = super().get_queryset(request)
        return rows.filter(deleted_at=None)


@admin.register(Merchant)
class MerchantWithEndpoints(MerchantWithFunding):
    """A merchant with its API keys, funding CLABEs and webhook endpoints."""

    inlines = [*MerchantWithFunding.inlines, EndpointInline]
