"""Exceptions to the banking calendar."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock
from core.db import ROWS, Guard

_TODAY = "(clock_timestamp() AT TIME ZONE 'America/Mexico_City')::date"


class BankingDay(models.Model):
    """A day that differs from the CNBV's yearly calendar: closed although the calendar says open, or the reverse.

    SPEI's operating dates follow it (``core.calendar``). The database refuses to change past days, so existing bookings
    keep their date.
    """

    day = models.DateField(_("day"), unique=True, help_text=_("Monday to Friday, today or later."))
    is_open = models.BooleanField(
        _("banks work"),
        default=False,
        help_text=_("Off: banks are closed on this day. On: they work although the calendar says holiday."),
    )
    reason = models.CharField(
        _("reason"), max_length=200, help_text=_("Where it was announced, for example the CNBV's notice in the DOF.")
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", editable=False, verbose_name=_("entered by")
    )
    created_at = models.DateTimeField(_("entered"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("banking day")
        verbose_name_plural = _("banking days")
        ordering = ["-day"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(day__week_day__in=[1, 7]), name="banking_day_on_weekday"),
            models.CheckConstraint(condition=~models.Q(reason=""), name="banking_day_has_reason"),
        ]
        triggers = [
            Guard(
                name="not_over",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
                judges=dict.fromkeys(
                    ("id", "day", "is_open", "reason", "created_by", "created_at"), "never changes once the day is over"
                )
                | {ROWS: "are deleted only until the day is over"},
                func=f"""
                    IF (TG_OP <> 'INSERT' AND OLD.day < {_TODAY}) OR (TG_OP <> 'DELETE' AND NEW.day < {_TODAY}) THEN
                        RAISE EXCEPTION 'staff_bankingday: a day that is over does not change'
                            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    IF TG_OP = 'DELETE' THEN
                        RETURN OLD;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.day.isoformat()
