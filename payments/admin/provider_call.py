"""Admin pages of provider calls."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.paginator import InfinitePaginator

from core.admin import (
    EMPTY,
    ModeFilter,
    ReadOnlyAdmin,
    breakable,
    column,
    label,
    mode,
    moment,
    object_link,
    related,
)
from payments.models import ProviderCall

OUTCOME_COLOURS = {
    ProviderCall.Outcome.ACCEPTED: "success",
    ProviderCall.Outcome.REFUSED: "danger",
    ProviderCall.Outcome.NOT_SENT: "info",
    ProviderCall.Outcome.UNKNOWN: "warning",
}


def outcome_label(call: ProviderCall) -> str:
    """The outcome of the call, or that it is open."""
    if not call.outcome:
        return label(_("no response yet"), "warning")
    return label(call.get_outcome_display(), OUTCOME_COLOURS[ProviderCall.Outcome(call.outcome)])


_outcome_column = column("outcome_label", _("outcome"), outcome_label)
_status = column("status_code", _("HTTP status"), lambda call: str(call.status) if call.status else EMPTY)
_duration = column(
    "duration", _("milliseconds"), lambda call: EMPTY if call.duration_ms is None else f"{call.duration_ms:,}"
)
_object = column("about", _("object"), lambda call: object_link(call.object_id) if call.object_id else EMPTY)


@admin.register(ProviderCall)
class ProviderCallAdmin(ReadOnlyAdmin):
    """Requests to providers and their responses."""

    paginator = InfinitePaginator
    list_display = [
        moment("began_at", _("started"), seconds=True),
        related("account", _("provider account"), lambda a: a.get_provider_display()),
        "operation",
        _object,
        _outcome_column,
        _status,
        mode(),
    ]
    list_filter = [
        ("outcome", ChoicesDropdownFilter),
        ("account", RelatedDropdownFilter),
        ModeFilter,
    ]
    search_fields = ["object_id__exact"]
    search_help_text = _("Id of the object")
    list_select_related = ["account"]
    ordering = ["-id"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("operation", _object),
                    (related("account", _("provider account")), mode()),
                    (moment("began_at", _("started"), seconds=True), _duration),
                    (_outcome_column, _status),
                ]
            },
        ),
        (
            _("Request and response"),
            {
                "fields": [
                    column("request_text", _("request"), lambda call: breakable(call.request) or EMPTY),
                    column("answer_text", _("response"), lambda call: breakable(call.answer) or EMPTY),
                ]
            },
        ),
    ]
