"""Theme and menu of the admin (django-unfold)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse, reverse_lazy
from django.utils.functional import lazy
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

_capfirst = lazy(capfirst, str)


def _item(title: Any, icon: str, model: str, query: str = "") -> dict[str, Any]:
    """A menu entry for the list of ``model`` ("app_name") with filter ``query``, shown to users who may view it."""
    app, name = model.split("_")

    def may_view(request: HttpRequest) -> bool:
        return request.user.has_perm(f"{app}.view_{name}") or request.user.has_perm(f"{app}.change_{name}")

    return {
        "title": _capfirst(title),
        "icon": icon,
        "link": lazy(lambda: reverse(f"admin:{model}_changelist") + query, str)(),
        "permission": may_view,
    }


_FAVICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='4' fill='%230b7a55'/%3E"
    "%3Cpath d='M4 6h8m-3-3 3 3-3 3M12 11H4' stroke='white' stroke-width='1.5' fill='none'/%3E%3C/svg%3E"
)


def _favicon(request: HttpRequest) -> str:
    return _FAVICON


UNFOLD = {
    "SITE_TITLE": "Pagos MX",
    "SITE_HEADER": "Pagos MX",
    "SITE_SUBHEADER": _("Payments back office"),
    "SITE_SYMBOL": "account_balance",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _favicon}],
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "backoffice.home.dashboard",
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "primary": {
            "50": "oklch(97.9% .021 166.113)",
            "100": "oklch(95% .052 163.051)",
            "200": "oklch(90.5% .093 164.15)",
            "300": "oklch(84.5% .143 164.978)",
            "400": "oklch(76.5% .177 163.223)",
            "500": "oklch(60.6% .145 162.48)",
            "600": "oklch(50.8% .118 165.612)",
            "700": "oklch(43.2% .095 166.913)",
            "800": "oklch(37.8% .077 168.94)",
            "900": "oklch(33% .065 170)",
            "950": "oklch(26.2% .051 172.552)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "navigation": [
            {
                "title": _("Operations"),
                "items": [
                    {"title": _("Home"), "icon": "home", "link": reverse_lazy("admin:index")},
                    _item(_("Transfer history"), "swap_horiz", "backoffice_transfer"),
                    _item(_("Payments"), "payments", "payments_payment"),
                    _item(_("Deposits"), "savings", "payments_deposit"),
                    _item(_("Payouts"), "send_money", "payments_payout"),
                    _item(_("Refunds"), "currency_exchange", "payments_refund"),
                    _item(_("Payouts to look at"), "support_agent", "payments_payout", "?attention=person"),
                    _item(_("Review cases"), "rule", "payments_reviewcase", "?due=waiting"),
                    _item(_("Provider events"), "move_to_inbox", "webhooks_providerevent"),
                    _item(_("Reports"), "table_view", "payments_report"),
                    _item(_("Approvals"), "how_to_reg", "staff_approval", "?status__exact=pending"),
                ],
            },
            {
                "title": _("Merchants"),
                "separator": True,
                "items": [
                    _item(_("Merchants"), "storefront", "merchants_merchant"),
                    _item(_("API keys"), "key", "merchants_apikey"),
                    _item(_("Fees"), "percent", "payments_feerule"),
                    _item(_("Reusable CLABEs"), "tag", "payments_clabe"),
                    _item(_("Destinations"), "pin_drop", "payments_destination"),
                    _item(_("KYC cases"), "verified_user", "kyc_case"),
                    _item(_("Webhook endpoints"), "webhook", "webhooks_endpoint", "?attention=kept"),
                    _item(_("Webhook deliveries"), "outbox", "webhooks_delivery"),
                ],
            },
            {
                "title": _("Accounting"),
                "separator": True,
                "items": [
                    _item(_("Transactions"), "receipt_long", "ledger_transaction"),
                    _item(_("Accounts"), "account_balance_wallet", "ledger_account"),
                    _item(_("Adjustments"), "balance", "ledger_adjustment"),
                    _item(_("Holds"), "lock", "ledger_hold"),
                    _item(_("Checks"), "fact_check", "ledger_breach"),
                    _item(_("Seals"), "verified", "ledger_seal"),
                ],
            },
            {
                "title": _("System"),
                "separator": True,
                "items": [
                    _item(_("Users"), "group", "auth_user"),
                    _item(_("Groups"), "groups", "auth_group"),
                    _item(_("Banking days"), "calendar_month", "staff_bankingday"),
                    _item(_("Account changes"), "manage_history", "staff_accountchange"),
                    _item(_("Provider accounts"), "hub", "payments_provideraccount"),
                    _item(_("Provider calls"), "call_made", "payments_providercall"),
                ],
            },
        ],
    },
}
