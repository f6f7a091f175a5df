"""Admin page of exceptions to the banking calendar."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core import calendar, clock
from core.admin import column, day, moment
from core.admin_list import ListAdmin
from core.mx.banking_days import banking_holidays, is_weekend
from staff.models import BankingDay


class BankingDayForm(forms.ModelForm):  # type: ignore[type-arg]
    """Validates what the database would refuse."""

    class Meta:
        model = BankingDay
        fields = ["day", "is_open", "reason"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        day, is_open = cleaned.get("day"), cleaned.get("is_open", False)
        if day is None:
            return cleaned
        if day < clock.mexico_city_date(clock.now()):
            self.add_error("day", _("This day is over: existing bookings keep their date."))
        elif is_weekend(day):
            self.add_error("day", _("Banks are closed on Saturdays and Sundays anyway."))
        elif is_open != (day in banking_holidays(day.year)):
            text = (
                _("The calendar has a holiday on this day already.")
                if not is_open
                else _("The calendar has no holiday on this day: banks work anyway.")
            )
            self.add_error("is_open", text)
        return cleaned


@admin.register(BankingDay)
class BankingDayAdmin(ListAdmin):
    """Editable until the day is over."""

    form = BankingDayForm
    list_display = [
        day("day", _("day")),
        column("is_open", _("banks"), lambda row: _("work") if row.is_open else _("are closed"), order="is_open"),
        "reason",
        "created_by",
        moment("created_at", _("entered")),
    ]
    list_filter = ["is_open"]
    search_fields = ["reason"]
    list_select_related = ["created_by"]
    ordering = ["-day"]
    actions = None

    def get_fieldsets(self, request: HttpRequest, obj: BankingDay | None = None) -> Any:
        description = _(
            "The calendar knows the CNBV's yearly holidays. Enter here only what differs: a day that was added, or a "
            "holiday on which banks work. SPEI's operating dates follow within a minute."
        )
        return [(None, {"fields": ["day", "is_open", "reason"], "description": description})]

    def save_model(self, request: HttpRequest, obj: BankingDay, form: Any, change: bool) -> None:
        if not change:
            obj.created_by = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)
        transaction.on_commit(calendar.forget)

    def delete_model(self, request: HttpRequest, obj: BankingDay) -> None:
        super().delete_model(request, obj)
        transaction.on_commit(calendar.forget)

    def has_change_permission(self, request: HttpRequest, obj: BankingDay | None = None) -> bool:
        return super().has_change_permission(request, obj) and not _is_over(obj)

    def has_delete_permission(self, request: HttpRequest, obj: BankingDay | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not _is_over(obj)


def _is_over(row: BankingDay | None) -> bool:
    return row is not None and row.day < clock.mexico_city_date(clock.now())
