"""Home page of the admin: today's deposits, pending payments and problems, for live or test mode."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext as _

from backoffice.admin.transfer import COLUMNS
from backoffice.models import Transfer
from core import clock, horizon, invariants
from core.admin import object_link, short_id
from core.money import format_mxn
from ledger.services import gate
from payments.models import Deposit, Payment, Payout, ProviderAccount
from payments.services import payout_resolution
from webhooks.models import Endpoint, ProviderEvent

LAST_TRANSFERS = 10


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's dashboard callback. Each card is shown only to users who may view its objects."""
    livemode = _livemode(request)
    return {
        **context,
        "title": _("Home"),
        "livemode": livemode,
        "modes": [(_("Live mode"), "live", livemode), (_("Test mode"), "test", not livemode)],
        "broken": _broken(livemode),
        "warnings": _warnings(),
        "cards": _cards(request, livemode),
        "transfers": _last_transfers(livemode) if request.user.has_perm("backoffice.view_transfer") else None,
    }


def _broken(livemode: bool) -> list[str]:
    """One line for each ledger invariant that is broken in this mode."""
    meanings = {invariant.name: gettext(invariant.meaning) for invariant in invariants.all_invariants()}
    return [
        _("A check of the books is broken and stops the outgoing money that it concerns: %(meaning)s")
        % {"meaning": meanings.get(found.name, found.name)}
        for found in gate.broken()
        if (found.live if livemode else found.test)
    ]


def _warnings() -> list[str]:
    """Warnings for all staff, in both modes."""
    late = horizon.late()
    texts = {
        "events": _("Merchants see new events late: the newest have waited %(minutes)s min."),
        "ledger": _("Balance lists and reports are late: the newest movements have waited %(minutes)s min."),
    }
    return [texts[feed] % {"minutes": max(1, round(seconds / 60))} for feed, seconds in late.items()]


def _livemode(request: HttpRequest) -> bool:
    """The mode in ``?mode=``; by default live if there is a live provider account."""
    asked = request.GET.get("mode")
    if asked in ("live", "test"):
        return asked == "live"
    return ProviderAccount.objects.filter(livemode=True, takes_new=True).exists()


def _cards(request: HttpRequest, livemode: bool) -> list[dict[str, Any]]:
    may = request.user.has_perm
    cards = []
    if may("payments.view_deposit"):
        cards += [_received_today(method, livemode) for method in Payment.Method]
        suspended = Deposit.objects.filter(status=Deposit.Status.SUSPENDED, livemode=livemode)
        cards.append(_card(_("In suspense"), suspended, "payments_deposit", "status__exact=suspended", livemode, True))
    if may("payments.view_payment"):
        waiting = Payment.objects.filter(status__in=[Payment.Status.PENDING, Payment.Status.PROCESSING])
        pending = waiting.filter(livemode=livemode)
        cards.append(_card(_("Pending payments"), pending, "payments_payment", "status__exact=pending", livemode))
    if may("payments.view_payout"):
        titles = {
            "person": _("Payouts that need a person"),
            "delayed": _("Delayed payouts"),
            "liquidity": _("Payouts waiting for money at the provider"),
        }
        for attention, title in titles.items():
            rows = payout_resolution.narrowed(Payout.objects.filter(livemode=livemode), attention)
            cards.append(_card(title, rows, "payments_payout", f"attention={attention}", livemode, True))
    if may("webhooks.view_providerevent"):
        count = ProviderEvent.objects.filter(
            status__in=[ProviderEvent.Status.RETRY, ProviderEvent.Status.CONFLICT, ProviderEvent.Status.DEAD],
            livemode=livemode,
        ).count()
        cards.append(
            {
                "title": _("Events that need attention"),
                "figure": str(count),
                "note": _("not applied yet, or in conflict") if count else _("all applied"),
                "url": _list_url("webhooks_providerevent", "status__in=retry,conflict,dead", livemode),
                "alarm": count > 0,
            }
        )
    if may("webhooks.view_endpoint"):
        count = Endpoint.objects.filter(status__in=["failing", "paused"], livemode=livemode).count()
        cards.append(
            {
                "title": _("Webhook endpoints that fail"),
                "figure": str(count),
                "note": _("failing or paused") if count else _("none fails"),
                "url": _list_url("webhooks_endpoint", "attention=unwell", livemode),
                "alarm": count > 0,
            }
        )
    return cards


def _received_today(method: Payment.Method, livemode: bool) -> dict[str, Any]:
    start, end = clock.local_day_bounds(clock.mexico_city_date(clock.now()))
    credited = Deposit.objects.filter(
        created_at__gte=start,
        created_at__lt=end,
        status=Deposit.Status.CREDITED,
        livemode=livemode,
        payment__method=method,
    )
    title = _("Received today by %(method)s") % {"method": method.label}
    return _card(title, credited, "payments_deposit", "status__exact=credited", livemode)


def _card(
    title: str, rows: QuerySet[Any], page: str, query: str, livemode: bool, alarm: bool = False
) -> dict[str, Any]:
    found = rows.aggregate(count=Count("pk"), total=Sum("amount"))
    return {
        "title": title,
        "figure": format_mxn(int(found["total"] or 0)),
        "note": _("%(count)s in total") % {"count": found["count"]} if found["count"] else _("none"),
        "url": _list_url(page, query, livemode),
        "alarm": alarm and found["count"] > 0,
    }


def _list_url(page: str, query: str, livemode: bool) -> str:
    return f"{reverse(f'admin:{page}_changelist')}?{query}&livemode__exact={int(livemode)}"


def _last_transfers(livemode: bool) -> dict[str, Any]:
    rows = Transfer.objects.filter(livemode=livemode).select_related("merchant").order_by("-created_at")
    shown = [name for name in COLUMNS if name != "livemode"]
    return {
        "headers": [_title(COLUMNS[name]) for name in shown],
        "rows": [[_cell(name, transfer) for name in shown] for transfer in rows[:LAST_TRANSFERS]],
    }


def _title(column: Any) -> Any:
    return Transfer._meta.get_field(column).verbose_name if isinstance(column, str) else column.short_description


def _cell(name: str, transfer: Transfer) -> Any:
    if name == "id":
        return object_link(transfer.id, short_id(transfer.id))
    column = COLUMNS[name]
    if callable(column):
        return column(transfer)
    return transfer.get_method_display() if name == "method" else getattr(transfer, name) or "-"
