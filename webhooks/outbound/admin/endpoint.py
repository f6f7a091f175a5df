"""Admin pages of merchants' webhook endpoints."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RadioFilter, RelatedDropdownFilter
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.paginator import InfinitePaginator
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextareaWidget

from core import clock
from core.admin import (
    EMPTY,
    ModeFilter,
    ReadOnlyAdmin,
    action_page,
    column,
    format_moment,
    id_column,
    mode,
    moment,
    object_or_404,
    related,
)
from core.forms import MomentField
from webhooks.outbound.admin.chart import chart, rate
from webhooks.outbound.admin.words import code_block, endpoint_status_column, events_column, url_column
from webhooks.outbound.models import Endpoint
from webhooks.outbound.services import figures, replay, switch

LISTED_DELIVERIES, SHOWN_DELIVERIES = 100, 10_000
"""Deliveries of each endpoint whose attempts are read for the list, and for one endpoint's page."""
DAY, WEEK, HISTORY = timedelta(days=1), timedelta(days=7), timedelta(days=90)

ONLY = [
    (replay.Only.MISSING.value, _("those that were never delivered and are not waiting")),
    (replay.Only.FAILED.value, _("those that were given up after the last attempt")),
    (replay.Only.ALL.value, _("all, also those that were delivered")),
]


class ReasonForm(forms.Form):
    """Form for the reason of a change."""

    reason = forms.CharField(
        label=_("reason"),
        max_length=500,
        help_text=_("Kept with your name on the endpoint's page. The merchant does not see it."),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )


class ReplayForm(ReasonForm):
    """Form for the events that are delivered again."""

    since = MomentField(
        label=_("events from"), help_text=_("Mexico City time; at most 90 days ago."), initial=lambda: _minute(DAY)
    )
    until = MomentField(
        label=_("events before"), help_text=_("Mexico City time."), initial=lambda: _minute(timedelta(minutes=-1))
    )
    only = forms.ChoiceField(
        label=_("which"),
        choices=ONLY,
        initial=replay.Only.MISSING.value,
        widget=UnfoldAdminRadioSelectWidget(),
    )
    field_order = ["since", "until", "only", "reason"]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        since, until = data.get("since"), data.get("until")
        if since is not None and until is not None and until <= since:
            self.add_error("until", gettext("The period ends before it begins."))
        if since is not None and since < clock.now() - HISTORY:
            self.add_error("since", gettext("Replay events of the last 90 days."))
        return data


class HealthFilter(RadioFilter):
    """Filter by what staff has to look at."""

    title = _("to look at")
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("unwell", _("failing or paused")), ("kept", _("not deleted"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "unwell":
            return queryset.filter(status__in=["failing", "paused"])
        return queryset.filter(deleted_at=None) if self.value() == "kept" else queryset


class EndpointChangeList(ChangeList):
    """Reads the figures of all lines of a page at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        shown: list[Endpoint] = list(self.result_list)  # type: ignore[has-type]
        pks = [endpoint.pk for endpoint in shown]
        backlogs = figures.backlogs(pks)
        records = figures.records(pks, deliveries=LISTED_DELIVERIES)
        for endpoint in shown:
            endpoint.backlog, endpoint.record = backlogs[endpoint.pk], records[endpoint.pk]  # type: ignore[attr-defined]
        self.result_list = shown


@admin.register(Endpoint)
class EndpointAdmin(ReadOnlyAdmin):
    """Merchants' endpoints. Merchants make and change them over the API; staff switches them and replays events."""

    paginator = InfinitePaginator
    list_display = [
        id_column(),
        related("merchant", _("merchant")),
        mode(),
        url_column,
        events_column,
        endpoint_status_column,
        column("backlog", _("waiting"), lambda e: _backlog(e.backlog)),
        column("last", _("last success and failure"), lambda e: _last(e.record)),
        column("rate", _("success, 24 h"), lambda e: rate(*e.record.since(clock.now(), DAY)) or EMPTY),
    ]
    list_filter = [
        ("status", ChoicesDropdownFilter),
        HealthFilter,
        ("merchant", RelatedDropdownFilter),
        ModeFilter,
    ]
    search_fields = ["public_id__exact", "url", "description", "merchant__name", "merchant__public_id__exact"]
    search_help_text = _("Id, URL, description or merchant")
    list_select_related = ["merchant"]
    ordering = ["-id"]
    actions_detail = ["deliveries", "replay", "enable", "disable"]
    change_form_outer_after_template = "webhooks/endpoint.html"
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", related("merchant", _("merchant"))),
                    (endpoint_status_column, mode()),
                    (url_column, "description"),
                    (events_column, "ordered"),
                    ("api_version", column("secret", _("secret"), lambda e: _secrets(e))),
                    column("metadata", _("metadata"), lambda e: _metadata(e)),
                    (
                        moment("created_at", _("created"), seconds=True),
                        moment("deleted_at", _("deleted"), seconds=True),
                    ),
                ]
            },
        ),
        (
            _("Health"),
            {
                "description": _(
                    "Three failures over three minutes: failing; its deliveries are slowed down. Five days of failures "
                    "only: paused; events are kept and one delivery is tried each hour. A success ends both, and it "
                    "gets what it missed. An endpoint that answers 410 is disabled."
                ),
                "fields": [
                    (moment("failing_since", _("failing since"), seconds=True), "failures"),
                    (
                        moment("hold_until", _("on hold until"), seconds=True),
                        moment("probe_at", _("next probe"), seconds=True),
                    ),
                ],
            },
        ),
    ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EndpointChangeList

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        endpoint = self.get_object(request, object_id)
        shown = endpoint is not None and self.has_view_permission(request, endpoint)
        return super().change_view(
            request, object_id, form_url, {**(extra_context or {}), **(_context(endpoint) if shown else {})}
        )

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        endpoint = self.get_object(request, str(object_id))
        fitting = {"deliveries"} if request.user.has_perm("webhooks.view_delivery") else set()
        if endpoint is not None and endpoint.deleted_at is None:
            is_disabled = endpoint.status == Endpoint.Status.DISABLED
            fitting |= set() if is_disabled else {"replay", "disable"}
            fitting |= set() if endpoint.status == Endpoint.Status.ACTIVE else {"enable"}
        actions = super().get_actions_detail(request, object_id)
        return [one for one in actions if one.method.original_function_name in fitting]

    @action(description=_("Deliveries"), url_path="deliveries", icon="outbox")
    def deliveries(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(_deliveries_url(object_or_404(self, request, object_id)))

    @action(
        description=_("Deliver events again"),
        permissions=["webhooks.replay_endpoint"],
        url_path="replay",
        icon="replay",
    )
    def replay(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Count the events first; they are delivered once the person has confirmed the number."""
        endpoint = _existing(self, request, object_id)

        def found(data: dict[str, Any], *, dry_run: bool) -> replay.Found:
            with transaction.atomic():
                return replay.replay(
                    endpoint.pk,
                    since=data["since"],
                    until=data["until"],
                    only=replay.Only(data["only"]),
                    dry_run=dry_run,
                )

        def preview(data: dict[str, Any]) -> str:
            counted = found(data, dry_run=True)
            text = _("Events from %(since)s to before %(until)s that would be delivered again: %(number)s.") % {
                "since": format_moment(data["since"]),
                "until": format_moment(data["until"]),
                "number": f"{counted.events:,}",
            }
            if counted.has_more:
                text += " " + _("There are more: replay the rest afterwards, from a later moment on.")
            return text

        def run(data: dict[str, Any]) -> None:
            data["found"] = found(data, dry_run=False)

        def log(data: dict[str, Any]) -> str:
            return (
                f"{data['found'].events} ({format_moment(data['since'])} - {format_moment(data['until'])}, "
                f"{dict(ONLY)[data['only']]}). {data['reason']}"
            )

        return action_page(
            self,
            request,
            endpoint,
            title=_("Deliver events again"),
            text=_(
                "Each event becomes a new delivery. The receiver must recognise repeated events by their id. Failures "
                "of these deliveries do not count against the endpoint. First they are counted."
            ),
            form_class=ReplayForm,
            preview=preview,
            run=run,
            log=log,
        )

    @action(description=_("Enable"), permissions=["webhooks.switch_endpoint"], url_path="enable", icon="play_circle")
    def enable(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = _existing(self, request, object_id)
        is_disabled = endpoint.status == Endpoint.Status.DISABLED
        return action_page(
            self,
            request,
            endpoint,
            title=_("Enable endpoint"),
            text=_("It gets the events from now on. Deliver earlier ones again afterwards, if it needs them.")
            if is_disabled
            else _("It counts as working again, and gets at once what it missed. Ask the merchant first."),
            form_class=ReasonForm,
            run=lambda data: switch.switch_on(endpoint.pk),
            log=lambda data: data["reason"],
        )

    @action(
        description=_("Disable"),
        permissions=["webhooks.switch_endpoint"],
        url_path="disable",
        icon="block",
        variant=ActionVariant.DANGER,
    )
    def disable(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = _existing(self, request, object_id)
        return action_page(
            self,
            request,
            endpoint,
            title=_("Disable endpoint"),
            text=_(
                "It gets no more events, and what waits is cancelled. The merchant is told, and can enable it again. "
                "Its events stay in the feed of the API."
            ),
            form_class=ReasonForm,
            run=lambda data: switch.switch_off(endpoint.pk),
            log=lambda data: data["reason"],
            danger=True,
        )


def _minute(ago: timedelta) -> Any:
    return (clock.now() - ago).replace(second=0, microsecond=0)


def _existing(model_admin: EndpointAdmin, request: HttpRequest, object_id: str) -> Endpoint:
    """The endpoint of an action. Raises ``Http404`` also if it is deleted."""
    endpoint: Endpoint = object_or_404(model_admin, request, object_id)
    if endpoint.deleted_at is not None:
        raise Http404
    return endpoint


def _deliveries_url(endpoint: Endpoint, query: str = "") -> str:
    return f"{reverse('admin:webhooks_delivery_changelist')}?endpoint={endpoint.public_id}{query}"


def _last(record: figures.Record) -> str:
    return format_html(
        '<span class="whitespace-nowrap">✓ {}</span><br><span class="whitespace-nowrap">✗ {}</span>',
        format_moment(record.last_success),
        format_moment(record.last_failure),
    )


def _backlog(backlog: figures.Backlog) -> str:
    number = f"{backlog.events:,}"
    return str(_("more than %(number)s") % {"number": number}) if backlog.has_more else number


def _metadata(endpoint: Endpoint) -> str:
    if not endpoint.metadata:
        return EMPTY
    return code_block(json.dumps(endpoint.metadata, indent=2, ensure_ascii=False))


def _secrets(endpoint: Endpoint) -> str:
    """When the secret was made, and until when earlier ones sign; never the secret."""
    texts = []
    for made, ends in endpoint.secrets.order_by("-id").values_list("created_at", "expires_at"):
        if ends is None:
            texts.append(_("not shown; since %(moment)s") % {"moment": format_moment(made)})
        elif ends > clock.now():
            texts.append(_("the one before signs until %(moment)s") % {"moment": format_moment(ends)})
    return "; ".join(map(str, texts)) or EMPTY


def _context(endpoint: Endpoint) -> dict[str, Any]:
    """Figures, charts and what staff did, below an endpoint's fields."""
    now = clock.now()
    record = figures.records([endpoint.pk], deliveries=SHOWN_DELIVERIES)[endpoint.pk]
    backlog = figures.backlogs([endpoint.pk])[endpoint.pk]
    return {
        "figures": [
            {
                "title": _("Waiting"),
                "figure": _backlog(backlog),
                "note": _("events"),
                "url": _deliveries_url(endpoint, "&status__exact=pending"),
            },
            {"title": _("Last success"), "figure": format_moment(record.last_success, seconds=True)},
            {"title": _("Last failure"), "figure": format_moment(record.last_failure, seconds=True)},
            _rate_card(_("Success, 24 hours"), *record.since(now, DAY)),
            _rate_card(_("Success, 7 days"), *record.since(now, WEEK)),
        ],
        "charts": [
            chart(record, now=now, title=_("Attempts in 24 hours"), bars=24, hours=1),
            chart(record, now=now, title=_("Attempts in 7 days"), bars=28, hours=6),
        ],
        "charts_note": _("From the last %(number)s deliveries of this endpoint.") % {"number": f"{SHOWN_DELIVERIES:,}"},
        "trail": [_staff_table(endpoint)],
    }


def _rate_card(title: Any, made: int, good: int) -> dict[str, Any]:
    note = _("%(good)s of %(made)s attempts") % {"good": f"{good:,}", "made": f"{made:,}"} if made else _("no attempts")
    return {"title": title, "figure": rate(made, good) or EMPTY, "note": note}


def _staff_table(endpoint: Endpoint) -> dict[str, Any]:
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(Endpoint), object_id=str(endpoint.pk)
    ).select_related("user")[:50]
    return {
        "title": _("What staff did"),
        "headers": [_("when"), _("by"), _("action and reason")],
        "rows": [
            [format_moment(entry.action_time, seconds=True), entry.user.get_username(), entry.get_change_message()]
            for entry in entries
        ]
        or [[_("nothing yet"), "", ""]],
    }
