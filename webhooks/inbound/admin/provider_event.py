"""Admin pages of notices from providers, and the health of the inbox."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RadioFilter
from unfold.decorators import action
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminTextareaWidget

from core import clock
from core.admin import (
    EMPTY,
    DayRangeFilter,
    ModeFilter,
    ReadOnlyAdmin,
    action_page,
    badge,
    breakable,
    column,
    format_moment,
    id_column,
    label,
    mode,
    moment,
    object_link,
    object_or_404,
    related,
    staff_origin,
)
from core.errors import IllegalTransition
from core.money import format_mxn
from payments.models import Deposit, Payment, ProviderAccount
from webhooks.inbound.admin.body import readable_body
from webhooks.inbound.admin.reason import reason_text
from webhooks.inbound.models import Channel, ProviderEvent
from webhooks.inbound.services import applying, health, replay

STATUS_COLOURS = {
    ProviderEvent.Status.RECEIVED: "info",
    ProviderEvent.Status.PROCESSED: "success",
    ProviderEvent.Status.RETRY: "warning",
    ProviderEvent.Status.CONFLICT: "danger",
    ProviderEvent.Status.RESOLVED: "success",
    ProviderEvent.Status.DEAD: "danger",
}

_object = column("object", _("object"), lambda event: object_link(event.object_id))
_account = related("account", _("provider"), lambda account: account.get_provider_display())
_why = column("why_it_ended", _("reason"), lambda event: reason_text(event.reason) or EMPTY)
_received = moment("received_at", _("received"), seconds=True)
_status = badge("status", STATUS_COLOURS, _("status"))


def _pre(text: str) -> str:
    return format_html(
        '<pre class="overflow-x-auto" style="white-space: pre-wrap; overflow-wrap: anywhere;">{}</pre>', text
    )


def _stored(event: ProviderEvent) -> tuple[str, str]:
    """Body and headers as text."""
    stored = event.stored
    if stored is None:
        return str(_("deleted after its retention")), EMPTY
    headers = "\n".join(f"{name}: {value}" for name, value in sorted(stored.headers.items()))
    return readable_body(bytes(stored.body)), headers or EMPTY


_body = column("body", _("body"), lambda event: _pre(_stored(event)[0]))
_headers = column("headers", _("headers"), lambda event: _pre(_stored(event)[1]))
_answer = column(
    "answer", _("our response"), lambda e: _pre(f"{e.response_status or EMPTY} {json.dumps(e.response_body)}")
)


class AgeFilter(RadioFilter):
    """Filter open notices by their age."""

    title = _("waiting for")
    parameter_name = "waiting"
    ages = {"all": timedelta(0), "1m": timedelta(minutes=1), "1h": timedelta(hours=1), "1d": timedelta(days=1)}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("all", _("any time")),
            ("1m", _("more than a minute")),
            ("1h", _("more than an hour")),
            ("1d", _("more than a day")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        age = self.ages.get(str(self.value()))
        if age is None:
            return queryset
        return queryset.filter(status__in=["received", "retry"], received_at__lte=clock.now() - age)


class ProviderFilter(RadioFilter):
    """Filter by provider."""

    title = _("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(ProviderAccount.Provider.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        known = self.value() in ProviderAccount.Provider.values
        return queryset.filter(account__provider=self.value()) if known else queryset


class ReplayForm(forms.Form):
    """Form for the reason of a replay."""

    reason = forms.CharField(label=_("reason"), max_length=300, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))


class ResolveForm(forms.Form):
    """Form for the resolution of a conflict."""

    reason = forms.CharField(
        label=_("reason"),
        max_length=500,
        help_text=_("Stored permanently with the event: whom you asked, what is correct and what was done."),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )


class ReplayFailed(IllegalTransition):
    """Applying it failed, and everything was rolled back. See the log for the cause."""


@admin.register(ProviderEvent)
class ProviderEventAdmin(ReadOnlyAdmin):
    paginator = InfinitePaginator
    list_display = [
        id_column(),
        _received,
        _account,
        mode(),
        "event_type",
        _status,
        column("why", _("reason"), lambda event: reason_text(event.reason or event.last_error) or EMPTY),
        _object,
    ]
    list_filter = [
        ("received_at", DayRangeFilter),
        ("status", ChoicesDropdownFilter),
        AgeFilter,
        ProviderFilter,
        ("channel", ChoicesDropdownFilter),
        ModeFilter,
    ]
    search_fields = ["public_id__exact", "object_id__exact", "business_key__exact", "event_id__exact"]
    search_help_text = _("Complete id of the event or object, tracking key or order.")
    list_select_related = ["account"]
    actions_list = ["health"]
    actions_detail = ["resolve", "replay"]
    change_form_outer_after_template = "backoffice/trail.html"
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", _status),
                    (_account, mode()),
                    ("event_type", "channel"),
                    (_why, _object),
                    (column("event_id", _("provider's id"), lambda e: breakable(e.event_id)), "business_key"),
                    (_received, moment("processed_at", _("processed"), seconds=True)),
                    ("attempts", column("last_error", _("last error"), lambda e: reason_text(e.last_error) or EMPTY)),
                    (moment("next_at", _("next try"), seconds=True), "remote_address"),
                ]
            },
        ),
        (
            _("Message"),
            {
                "fields": [
                    _body,
                    _headers,
                    column("body_sha256", "SHA-256", lambda e: breakable(e.body_sha256)),
                    "key_id",
                    _answer,
                ]
            },
        ),
    ]

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.health_page)
        return [path("health/", page, name="webhooks_inbox_health"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        event = self.get_object(request, object_id)
        shown = event is not None and self.has_view_permission(request, event)
        context = {**(extra_context or {}), "trail": [_timeline(event)] if shown else []}
        return super().change_view(request, object_id, form_url, context)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        event = self.get_object(request, str(object_id))
        fitting = set()
        if event is not None and replay.refusal(event) is None:
            fitting.add("replay")
        if event is not None and event.status == ProviderEvent.Status.CONFLICT:
            fitting.add("resolve")
        actions = super().get_actions_detail(request, object_id)
        return [one for one in actions if one.method.original_function_name in fitting]

    @action(
        description=_("Mark as dealt with"),
        permissions=["webhooks.resolve_providerevent"],
        url_path="resolve",
        icon="task_alt",
    )
    def resolve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Mark a conflict as resolved."""
        event = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> None:
            applying.resolve(event.pk, origin=staff_origin(request), reason=data["reason"])

        text = _("Conflict: %(why)s. This books and changes nothing; it only removes the event from the queue.") % {
            "why": reason_text(event.reason) or EMPTY
        }
        return action_page(
            self, request, event, title=_("Mark as dealt with"), run=run, form_class=ResolveForm, text=text
        )

    @action(description=_("Replay"), permissions=["webhooks.replay_providerevent"], url_path="replay", icon="replay")
    def replay(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show a preview of the replay; with a reason, execute it."""
        event = object_or_404(self, request, object_id)

        def run(data: dict[str, Any]) -> None:
            try:
                replay.replay(event.pk, origin=staff_origin(request), reason=data["reason"])
            except IllegalTransition:
                raise
            except Exception as error:
                raise ReplayFailed from error

        text = "" if request.method == "POST" else _preview(event)
        return action_page(self, request, event, title=_("Replay event"), run=run, form_class=ReplayForm, text=text)

    @action(description=_("Health"), url_path="to-health", icon="monitor_heart")
    def health(self, request: HttpRequest) -> HttpResponse:
        return self.health_page(request)

    def health_page(self, request: HttpRequest) -> HttpResponse:
        """Page with the health of the inbox."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = health.measure()
        context = {
            **self.admin_site.each_context(request),
            "title": _("Health of the inbox"),
            "opts": ProviderEvent._meta,
            "cards": _cards(found),
            "trail": [_traffic_table(found), _failure_table(found), _poll_table(found)],
        }
        return TemplateResponse(request, "webhooks/health.html", context)


def _preview(event: ProviderEvent) -> str:
    """The preview of a replay, line by line."""
    try:
        effect = replay.preview(event.pk)
    except IllegalTransition as refused:
        return str(refused.message)
    except Exception as error:  # noqa: BLE001 - staff must see any error
        return str(_("Applying it fails again (%(error)s).") % {"error": type(error).__name__})
    lines: list[Any] = [
        _("It would become: %(status)s (%(why)s).")
        % {"status": _status_text(effect.status), "why": reason_text(effect.reason)}
    ]
    payment, deposit = dict(Payment.Status.choices), dict(Deposit.Status.choices)
    lines += [
        _("Payment %(id)s: %(a)s → %(b)s.") % {"id": p, "a": payment.get(a, a or "∅"), "b": payment.get(b, b)}
        for p, a, b in effect.payments
    ]
    lines += [
        _("New deposit of %(amount)s: %(status)s.")
        % {"amount": format_mxn(amount), "status": deposit.get(status, status)}
        for _id, status, amount in effect.deposits
    ]
    if effect.changes_nothing:
        lines.append(_("Nothing else would change."))
    else:
        lines.append(
            _("Ledger transactions: %(n)s. Events for merchants: %(m)s.") % {"n": effect.postings, "m": effect.events}
        )
    return format_html_join("", "{}<br>", ((line,) for line in lines))


def _status_text(status: str) -> str:
    return str(dict(ProviderEvent.Status.choices).get(status, status))


def _timeline(event: ProviderEvent) -> dict[str, Any]:
    """All states of the notice. A notice that was settled on arrival has no transition row."""
    steps = list(event.transitions.all())
    came = [format_moment(event.received_at, seconds=True), _badge("received"), object_link(event.account.public_id)]
    rows = [[*came, event.remote_address or EMPTY]]
    if not steps and event.is_settled:
        settled = [format_moment(event.processed_at, seconds=True), _badge(event.status)]
        rows.append([*settled, object_link(event.account.public_id), reason_text(event.reason) or EMPTY])
    rows += [
        [
            format_moment(s.created_at, seconds=True),
            _badge(s.to_status),
            object_link(s.actor),
            reason_text(s.reason) or EMPTY,
        ]
        for s in steps
    ]
    return {"title": _("Timeline"), "headers": [_("when"), _("status"), _("by"), _("reason")], "rows": rows}


def _badge(status: str) -> str:
    return label(_status_text(status), STATUS_COLOURS.get(ProviderEvent.Status(status), ""))


def _cards(found: health.Health) -> list[dict[str, Any]]:
    oldest = format_moment(found.oldest_waiting, seconds=True)
    return [
        {"title": _("Waiting"), "figure": found.waiting, "note": "", "query": "waiting=all"},
        {"title": _("Oldest waiting"), "figure": oldest, "note": "", "query": "waiting=all"},
        *[
            {"title": _status_text(status), "figure": n, "note": "", "query": f"status__in={status}"}
            for status, n in found.attention.items()
        ],
    ]


def _traffic_table(found: health.Health) -> dict[str, Any]:
    return {
        "title": _("Notices in the last 24 hours"),
        "headers": [_("channel"), _("last hour"), _("24 hours"), _("processed"), _("repeated"), _("refused")],
        "rows": [
            [_channel(t.channel), t.last_hour, t.last_day, t.applied, t.repeated, t.refused] for t in found.traffic
        ]
        or [[_("none"), "", "", "", "", ""]],
    }


def _failure_table(found: health.Health) -> dict[str, Any]:
    return {
        "title": _("Failures by reason"),
        "headers": [_("status"), _("reason"), _("notices"), _("oldest")],
        "rows": [
            [_badge(f.status), reason_text(f.reason) or EMPTY, f.count, format_moment(f.oldest, seconds=True)]
            for f in found.failures
        ]
        or [[_("none"), "", "", ""]],
    }


def _poll_table(found: health.Health) -> dict[str, Any]:
    return {
        "title": _("Polling of providers"),
        "headers": [
            _("provider account"),
            _("last polled"),
            _("complete until"),
            _("found by polling"),
            _("last error"),
        ],
        "rows": [
            [
                object_link(poll.account.public_id, str(poll.account)),
                format_moment(poll.asked_at, seconds=True),
                format_moment(poll.covered_until, seconds=True),
                poll.found,
                reason_text(poll.last_error) or EMPTY,
            ]
            for poll in found.polls
        ]
        or [[_("no provider was polled yet"), "", "", "", ""]],
    }


def _channel(value: str) -> str:
    return str(dict(Channel.choices).get(value, value or EMPTY))
