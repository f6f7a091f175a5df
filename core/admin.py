"""Building blocks of staff pages: read-only bases, columns for money and states, a page that confirms an action.

Nothing here changes an object. Changes are made by services from an ``action_page``: GET shows the page, only POST with
its CSRF token acts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import RadioFilter, RangeDateFilter
from unfold.contrib.filters.forms import RangeDateForm
from unfold.utils import display_for_label
from unfold.widgets import INPUT_CLASSES

from core import clock, ids
from core.admin_list import ListAdmin
from core.errors import RequestRefused
from core.forms import show_refusal
from core.money import format_mxn
from core.mx import clabe
from core.state import Origin, TransitionRow

Column = Callable[[Any], Any]

EMPTY = "-"

_PAGES = {
    "payment": "payments_payment",
    "payout": "payments_payout",
    "payout_resolution": "payments_payoutresolution",
    "refund": "payments_refund",
    "deposit": "payments_deposit",
    "clabe": "payments_clabe",
    "review_case": "payments_reviewcase",
    "report": "payments_report",
    "provider_account": "payments_provideraccount",
    "provider_event": "webhooks_providerevent",
    "webhook_endpoint": "webhooks_endpoint",
    "delivery": "webhooks_delivery",
    "transaction": "ledger_transaction",
    "hold": "ledger_hold",
    "adjustment": "ledger_adjustment",
    "approval": "staff_approval",
    "account_proposal": "staff_accountproposal",
    "merchant": "merchants_merchant",
    "api_key": "merchants_apikey",
    "kyc_case": "kyc_case",
    "document": "kyc_document",
}
"""Kind of public id -> URL name of its admin page."""

_CAUSES = {
    TransitionRow.Cause.API: gettext_lazy("API"),
    TransitionRow.Cause.NOTICE: gettext_lazy("provider notice"),
    TransitionRow.Cause.STAFF: gettext_lazy("staff"),
    TransitionRow.Cause.WORKER: gettext_lazy("worker"),
}


class NoDeleteAdmin(ListAdmin):
    """Base for objects that are never deleted. Pages are found by database id or public id."""

    actions = None
    id_field = "public_id"
    list_per_page = 50
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # each would count the whole table
    list_filter_submit = True
    list_fullwidth = True

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        if ids.is_id(object_id):
            return self.get_queryset(request).filter(**{self.id_field: object_id}).first()
        return super().get_object(request, object_id, from_field)


class ReadOnlyAdmin(NoDeleteAdmin):
    """Base for objects that are shown but not edited."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return flatten_fieldsets(self.get_fieldsets(request, obj)) if self.fieldsets else ()


class ReadOnlyInline(TabularInline):
    """Read-only rows that belong to an object."""

    extra = 0
    can_delete = False
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields or ()


def transition_fields(statuses: Any, colours: Mapping[Any, str], reasons: Any = None) -> list[Any]:
    """The columns of an inline of ``TransitionRow``.

    ``reasons`` are the choices of reasons that are codes; any other reason is free text.
    """
    known = dict(reasons.choices) if reasons else {}
    return [
        moment("created_at", gettext_lazy("when"), seconds=True),
        badge("from_status", colours, gettext_lazy("from"), statuses),
        badge("to_status", colours, gettext_lazy("to"), statuses),
        column("cause", gettext_lazy("cause"), lambda row: _CAUSES.get(row.cause, row.cause)),
        column("actor", gettext_lazy("by"), lambda row: object_link(row.actor)),
        column("reference", gettext_lazy("reference"), lambda row: object_link(row.reference)),
        column("reason", gettext_lazy("reason"), lambda row: known.get(row.reason, row.reason) or EMPTY),
    ]


class DayInput(forms.DateInput):
    """The browser's native date field with a label."""

    def __init__(self, label: Any) -> None:
        super().__init__(format="%Y-%m-%d", attrs={"type": "date", "class": " ".join(INPUT_CLASSES)})
        self.label = label

    def render(self, *args: Any, **kwargs: Any) -> SafeString:
        return format_html('<label class="w-full">{} {}</label>', self.label, super().render(*args, **kwargs))


class DayRangeForm(RangeDateForm):
    """Unfold's form without its calendar, which covers a field when the browser is in another time zone."""

    class Media:
        extend = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field, label in zip(self.fields.values(), (_("From"), _("To")), strict=True):
            field.widget = DayInput(label)


class DayRangeFilter(RangeDateFilter):
    """A range of days in Mexico City, both included."""

    form_class = DayRangeForm

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = (self._day(end) for end in ("from", "to"))
        if first is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": clock.local_day_bounds(first)[0]})
        if last is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": clock.local_day_bounds(last)[1]})
        return queryset

    def _day(self, end: str) -> date | None:
        try:
            day = forms.DateField().to_python(self.used_parameters.get(f"{self.parameter_name}_{end}"))
        except forms.ValidationError:
            return None
        return day if day is not None and 1900 <= day.year <= 9000 else None


class ModeFilter(RadioFilter):
    """Filter by mode: live or test."""

    title = gettext_lazy("mode")
    parameter_name = "livemode__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", gettext_lazy("live")), ("0", gettext_lazy("test"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(livemode=self.value() == "1") if self.value() in ("0", "1") else queryset


def column(name: str, title: Any, show: Column, *, order: str | None = None) -> Column:
    """A column or read-only field that shows ``show(object)`` under ``title``."""

    def shown(obj: Any) -> Any:
        return show(obj)

    shown.__name__ = f"{name}_shown"  # with the field's own name, the admin would show its help text for forms
    shown.short_description = title  # type: ignore[attr-defined]
    if order is not None:
        shown.admin_order_field = order  # type: ignore[attr-defined]
    return shown


def money(name: str, title: Any) -> Column:
    """A column of centavos, shown as pesos."""

    def show(obj: Any) -> str:
        amount = getattr(obj, name)
        return EMPTY if amount is None else in_one_line(format_mxn(amount))

    return column(name, title, show, order=name)


def moment(name: str, title: Any, *, seconds: bool = False, order: str | None = None) -> Column:
    """A column with a timestamp in Mexico City time, short enough for a list; sorted by ``order`` if given."""
    return column(name, title, lambda obj: format_moment(getattr(obj, name), seconds=seconds), order=order or name)


def day(name: str, title: Any) -> Column:
    """A column with a date, short enough for a list."""

    def show(obj: Any) -> str:
        value = getattr(obj, name)
        return in_one_line(formats.date_format(value, "d/m/Y")) if value else EMPTY

    return column(name, title, show, order=name)


def related(name: str, title: Any, text: Column = str) -> Column:
    """A column with a link to the object of a foreign key."""

    def show(obj: Any) -> str:
        target = getattr(obj, name)
        return EMPTY if target is None else object_link(target.public_id, text(target))

    return column(name, title, show)


def masked(name: str, title: Any) -> Column:
    """A column with a masked account number."""
    return column(name, title, lambda obj: clabe.mask(getattr(obj, name) or "") or EMPTY)


def badge(name: str, colours: Mapping[Any, str], title: Any, choices: Any = None) -> Column:
    """A column with a state as a coloured label. ``choices`` if the field itself has none."""

    def show(obj: Any) -> str:
        value = getattr(obj, name)
        if not value:
            return EMPTY
        text = dict(choices.choices).get(value, value) if choices else getattr(obj, f"get_{name}_display")()
        return label(text, colours.get(value, ""))

    return column(name, title, show, order=None if choices else name)


def mode() -> Column:
    """A column with the mode, live or test."""

    def show(obj: Any) -> str:
        return label(_("live"), "info") if obj.livemode else label(_("test"), "warning")

    return column("livemode", gettext_lazy("mode"), show, order="livemode")


def failure() -> Column:
    """A column with the cause of a failure, translated where the message is ours, and its code."""

    def show(obj: Any) -> str:
        message = _(obj.failure_message) if obj.failure_message else ""
        return (
            f"{message} ({obj.failure_code})" if message and obj.failure_code else message or obj.failure_code or EMPTY
        )

    return column("failure", gettext_lazy("failure"), show)


def label(text: Any, colour: str = "") -> str:
    """A small label with a colour: success, info, warning, danger, or none."""
    return display_for_label((colour, text), EMPTY, {colour: colour} if colour else {"": "default"})


def in_one_line(text: str) -> str:
    """Text without line breaks in a narrow column."""
    return format_html('<span class="whitespace-nowrap">{}</span>', text)


def breakable(text: str, *, min_width: str = "0") -> str:
    """Long text without spaces (a hash) that may be broken anywhere, at least ``min_width`` wide."""
    style = f"overflow-wrap: anywhere; display: inline-block; min-width: {min_width}"
    return format_html('<span style="{}">{}</span>', style, text)


def format_moment(value: datetime | None, *, seconds: bool = False) -> str:
    """``23/11/2026 13:04`` in Mexico City."""
    if value is None:
        return EMPTY
    return formats.date_format(timezone.localtime(value, clock.MEXICO_CITY), "d/m/Y H:i:s" if seconds else "d/m/Y H:i")


def short_id(public_id: str) -> str:
    """``pay_…0035abcd``, for lists. The full id is shown on hover, read by screen readers and copied."""
    return format_html(
        '<span class="whitespace-nowrap" title="{}">{}<span aria-hidden="true" class="select-none">…</span>'
        '<span style="font-size: 0">{}</span>{}</span>',
        public_id,
        public_id[:4],
        public_id[4:-8],
        public_id[-8:],
    )


def id_column() -> Column:
    """A column with the object's public id, shortened."""
    return column("public_id", gettext_lazy("id"), lambda obj: short_id(obj.public_id), order="public_id")


def object_url(public_id: str) -> str | None:
    """URL of the admin page of the object with this public id; None if it is not such an id."""
    for kind, page in _PAGES.items():
        if ids.is_id(public_id, kind):
            return reverse(f"admin:{page}_change", args=[public_id])
    return None


def object_link(public_id: str, text: Any = None) -> str:
    """A link to an object's page by its public id; other text is returned unchanged."""
    url = object_url(public_id)
    if url is None:
        return public_id or EMPTY
    style = "text-link" if text else "text-link whitespace-nowrap"
    return format_html('<a href="{}" class="{}">{}</a>', url, style, text or public_id)


def staff_origin(request: HttpRequest) -> Origin:
    """The origin of a change made by this staff request."""
    return Origin(TransitionRow.Cause.STAFF, request.user.get_username()[:100], getattr(request, "request_id", ""))


def object_or_404(admin: NoDeleteAdmin, request: HttpRequest, object_id: str) -> Any:
    """The object of an action's URL. Raises ``Http404`` or, without permission to view it, ``PermissionDenied``."""
    obj = admin.get_object(request, unquote(object_id))
    if obj is None:
        raise Http404
    if not admin.has_view_permission(request, obj):
        raise PermissionDenied
    return obj


def action_page(
    admin: NoDeleteAdmin,
    request: HttpRequest,
    obj: Any,
    *,
    title: Any,
    run: Callable[[dict[str, Any]], HttpResponse | None],
    form_class: type[forms.Form] = forms.Form,
    text: Any = "",
    danger: bool = False,
    initial: dict[str, Any] | None = None,
    preview: Callable[[dict[str, Any]], Any] | None = None,
    log: Callable[[dict[str, Any]], str] | None = None,
) -> HttpResponse:
    """Confirm an action on ``obj``. A valid POST calls ``run`` with the form's data and redirects to the object.

    A ``RequestRefused`` of a service is shown on the form. ``run`` may return a response of its own. With ``preview``
    the first valid POST only shows the text that it returns, to confirm. ``log``: a note for the object's history.
    """
    form = form_class(request.POST, request.FILES) if request.method == "POST" else form_class(initial=initial)
    for field in form.fields.values():
        field.label = capfirst(field.label)
    back = reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[obj.public_id])
    confirms = False
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            if preview is not None and "confirmed" not in request.POST:
                text, confirms = preview(data), True
            else:
                answer = run(data)
        except RequestRefused as refused:
            show_refusal(form, refused)
        else:
            if not confirms:
                admin.log_change(request, obj, f"{title}: {log(data)}" if log is not None else str(title))
                if answer is not None:
                    return answer
                messages.success(request, _("Done: %(action)s.") % {"action": title})
                return HttpResponseRedirect(back)
    context = {
        **admin.admin_site.each_context(request),
        "title": title,
        "opts": obj._meta,
        "original": obj,
        "form": form,
        "question": title,
        "text": text,
        "danger": danger,
        "back": back,
        "confirms": confirms,
    }
    return TemplateResponse(request, "admin/action_page.html", context)
