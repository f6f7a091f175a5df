"""Admin pages of reports."""

from __future__ import annotations

from django.contrib import admin
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.paginator import InfinitePaginator

from core.admin import (
    EMPTY,
    DayRangeFilter,
    ModeFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    badge,
    breakable,
    column,
    day,
    failure,
    id_column,
    mode,
    moment,
    related,
    transition_fields,
)
from payments.models import Report, ReportTransition

STATUS_COLOURS = {
    Report.Status.PENDING: "warning",
    Report.Status.PROCESSING: "info",
    Report.Status.COMPLETED: "success",
    Report.Status.FAILED: "danger",
}

_size = column("size", _("size"), lambda r: filesizeformat(r.size) if r.size is not None else EMPTY)
_sha256 = column("sha256", "SHA-256", lambda r: breakable(r.sha256) if r.sha256 else EMPTY)
_progress = column(
    "progress",
    _("rows"),
    lambda r: f"{r.rows_done:,}" if r.rows_total in (None, r.rows_done) else f"{r.rows_done:,} / {r.rows_total:,}",
)


class ReportTransitionInline(ReadOnlyInline):
    model = ReportTransition
    fields = transition_fields(Report.Status, STATUS_COLOURS)
    verbose_name_plural = _("history")


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    """Reports of merchants and their progress. The files are not accessible to staff."""

    paginator = InfinitePaginator
    list_display = [
        id_column(),
        related("merchant", _("merchant")),
        "type",
        "format",
        day("start_date", _("first day")),
        day("end_date", _("last day")),
        badge("status", STATUS_COLOURS, _("status")),
        _progress,
        mode(),
        moment("created_at", _("created")),
    ]
    list_filter = [
        ("created_at", DayRangeFilter),
        ("status", ChoicesDropdownFilter),
        ("type", ChoicesDropdownFilter),
        ("merchant", RelatedDropdownFilter),
        ModeFilter,
    ]
    search_fields = ["public_id__exact", "merchant__name"]
    list_select_related = ["merchant"]
    inlines = [ReportTransitionInline]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", related("merchant", _("merchant"))),
                    ("type", "format", badge("status", STATUS_COLOURS, _("status"))),
                    (day("start_date", _("first day")), day("end_date", _("last day"))),
                    (mode(), failure()),
                    (_progress, "attempt"),
                    (_size, _sha256),
                    (moment("created_at", _("created"), seconds=True), moment("completed_at", _("completed at"))),
                    (moment("expires_at", _("file kept until")), moment("removed_at", _("file removed"))),
                ]
            },
        )
    ]
