"""The merchant's admin page with what payments add to it: funding CLABEs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from core.admin import action_page, object_or_404, object_url, staff_origin
from merchants.admin import MerchantAdmin
from merchants.models import Merchant
from payments.services import clabe as clabe_service

admin.site.unregister(Merchant)


@admin.register(Merchant)
class MerchantWithFunding(MerchantAdmin):
    """A merchant; staff creates its funding CLABE in each mode."""

    actions_detail = [*MerchantAdmin.actions_detail, "fund_test", "fund_live"]

    @action(
        description=_("Funding CLABE, test"),
        permissions=["payments.add_clabe"],
        url_path="funding-clabe-test",
        icon="account_balance",
    )
    def fund_test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._fund(request, object_id, livemode=False, title=_("Funding CLABE, test"))

    @action(
        description=_("Funding CLABE, live"),
        permissions=["payments.add_clabe"],
        url_path="funding-clabe-live",
        icon="account_balance",
    )
    def fund_live(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._fund(request, object_id, livemode=True, title=_("Funding CLABE, live"))

    def _fund(self, request: HttpRequest, object_id: str, *, livemode: bool, title: Any) -> HttpResponse:
        merchant = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> HttpResponse:
            with transaction.atomic():
                clabe = clabe_service.create_funding(merchant, livemode=livemode, origin=staff_origin(request))
            return HttpResponseRedirect(object_url(clabe.public_id) or "")

        return action_page(
            self,
            request,
            merchant,
            title=title,
            text=_(
                "The merchant transfers to this CLABE to add money to its balance, without a fee. There is one per "
                "mode; if it exists already, you are shown it. STP registers it in the merchant's name."
            ),
            run=run,
        )
