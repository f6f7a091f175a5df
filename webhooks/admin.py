"""Staff's view of what providers sent us and what became of it."""

from __future__ import annotations

import json
import re

from django.contrib import admin
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.paginator import InfinitePaginator

from core.admin import (
    EMPTY,
    DayRangeFilter,
    ModeFilter,
    ReadOnlyAdmin,
    badge,
    column,
    mode,
    moment,
    object_link,
    related,
)
from core.mx import clabe
from webhooks.inbound.models import ProviderEvent

STATUS_COLOURS = {
    ProviderEvent.Status.RECEIVED: "info",
    ProviderEvent.Status.PROCESSED: "success",
    ProviderEvent.Status.RETRY: "warning",
    ProviderEvent.Status.CONFLICT: "danger",
    ProviderEvent.Status.DEAD: "danger",
}

_ACCOUNT_FIELD = re.compile(r'("cuenta\w*"\s*:\s*"?)(\d+)')
_ACCOUNT_NUMBER = re.compile(r"(?<!\d)(?:\d{18}|\d{16})(?!\d)")

_AS_WRITTEN = "\ue000"
"""Marks a decimal while it passes through ``json``, which would turn it into a float."""

_object = column("object", _("object"), lambda event: object_link(event.object_id))
_account = related("account", _("provider"), lambda account: account.get_provider_display())
_received = moment("received_at", _("received"), seconds=True)
_status = badge("status", STATUS_COLOURS, _("status"))


def readable_body(body: bytes) -> str:
    """The notice as people read it: JSON indented, every account number masked."""
    text = body.decode("utf-8", "replace")
    try:
        text = json.dumps(json.loads(text, parse_float=_AS_WRITTEN.__add__), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        pass  # what is no JSON is shown as it came
    text = re.sub(f'"{_AS_WRITTEN}([^"]*)"', r"\1", text)
    text = _ACCOUNT_FIELD.sub(lambda found: found[1] + clabe.mask(found[2]), text)
    return _ACCOUNT_NUMBER.sub(lambda found: clabe.mask(found[0]), text)


def _shown_body(event: ProviderEvent) -> str:
    body = event.body
    return str(_("deleted: its time was over")) if body is None else readable_body(body)


def _pre(text: str) -> str:
    return format_html(
        '<pre class="overflow-x-auto" style="white-space: pre-wrap; overflow-wrap: anywhere;">{}</pre>', text
    )


_body = column("body", _("body"), lambda event: _pre(_shown_body(event)))
_answer = column(
    "answer", _("our answer"), lambda e: _pre(f"{e.response_status or EMPTY} {json.dumps(e.response_body)}")
)


@admin.register(ProviderEvent)
class ProviderEventAdmin(ReadOnlyAdmin):
    paginator = InfinitePaginator
    list_display = [
        "public_id",
        _received,
        _account,
        mode(),
        "event_type",
        _status,
        "reason",
        _object,
    ]
    list_filter = [
        ("received_at", DayRangeFilter),
        ("status", ChoicesDropdownFilter),
        "account",
        ModeFilter,
    ]
    search_fields = ["public_id__exact", "object_id__exact", "business_key__exact", "event_id__exact"]
    list_select_related = ["account"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", _status),
                    (_account, mode()),
                    ("event_type", "reason"),
                    ("event_id", _object),
                    (_received, moment("processed_at", _("processed"), seconds=True)),
                    ("attempts", "last_error"),
                    "remote_address",
                ]
            },
        ),
        (_("Message"), {"fields": [_body, column("body_sha256", "SHA-256", lambda e: e.body_sha256), _answer]}),
    ]
