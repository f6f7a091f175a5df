"""Fee rules of merchants."""

from __future__ import annotations

from datetime import date

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, RangeBoundary, RangeOperators
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Func, Q
from django.utils.translation import gettext_lazy as _

from core import clock
from core.db import Frozen
from core.money import format_mxn
from payments.models.guards import FeesEndAndBegin
from payments.models.payment import Payment


def today() -> date:
    """The date in Mexico City."""
    return clock.mexico_city_date(clock.now())


class DateRange(Func):
    """SQL function ``daterange``."""

    function = "DATERANGE"
    output_field = DateRangeField()


class FeeRule(models.Model):
    """A merchant's fee for payments by one method, or for payouts, during a period: percent and fixed part, plus IVA.

    Both days are inclusive, in Mexico City; periods never overlap. A payment keeps the rule of the day on which it was
    created; without a rule there is no fee. A rule that has begun never changes: it ends, and a new one begins.
    """

    merchant = models.ForeignKey("merchants.Merchant", models.PROTECT, related_name="fee_rules")

    class Method(models.TextChoices):
        SPEI = Payment.Method.SPEI.value, "SPEI"
        OXXO = Payment.Method.OXXO.value, "OXXO"
        PAYOUT = "payout", _("payout")

    method = models.CharField(_("method"), max_length=8, choices=Method.choices)
    percent = models.DecimalField(
        _("percent"),
        max_digits=6,
        decimal_places=4,
        validators=[MinValueValidator(0), MaxValueValidator(50)],
        help_text=_("2.9 is 2.9 % of the amount."),
    )
    fixed = models.BigIntegerField(_("fixed"), validators=[MinValueValidator(0)], help_text=_("Centavos, before IVA."))
    valid_from = models.DateField(
        _("valid from"),
        default=today,
        db_default=date(2020, 1, 1),
        help_text=_("First day, in Mexico City. Earlier payments keep their fee."),
    )
    valid_until = models.DateField(
        _("valid until"), null=True, blank=True, help_text=_("Last day, inclusive. Empty: unlimited.")
    )

    class Meta:
        verbose_name = _("fee")
        verbose_name_plural = _("fees")
        constraints = [
            ExclusionConstraint(
                name="fee_rule_periods_apart",
                expressions=[
                    ("merchant", RangeOperators.EQUAL),
                    ("method", RangeOperators.EQUAL),
                    (
                        DateRange(
                            F("valid_from"),
                            F("valid_until"),
                            RangeBoundary(inclusive_lower=True, inclusive_upper=True),
                        ),
                        RangeOperators.OVERLAPS,
                    ),
                ],
                violation_error_message=_("This merchant already has a fee for this method in that period."),
            ),
            models.CheckConstraint(
                condition=Q(percent__gte=0, percent__lte=50, fixed__gte=0), name="fee_rule_sensible"
            ),
            models.CheckConstraint(
                condition=Q(valid_until__isnull=True) | Q(valid_until__gte=F("valid_from")),
                name="fee_rule_period_not_empty",
                violation_error_message=_("The last day is before the first."),
            ),
        ]
        triggers = [Frozen("id"), FeesEndAndBegin()]

    def clean(self) -> None:
        """Raise ``ValidationError`` for a day that ``FeesEndAndBegin`` would refuse."""
        before = None if self._state.adding else FeeRule.objects.filter(pk=self.pk).first()
        if before is None or not before.has_begun:
            if self.valid_from is not None and self.valid_from < today():
                raise ValidationError(
                    {"valid_from": _("A fee must begin today or later: existing payments keep their fee.")}
                )
        elif self.valid_until != before.valid_until:
            if before.has_ended:
                raise ValidationError({"valid_until": _("This fee has ended and cannot change. Add a new one.")})
            if self.valid_until is not None and self.valid_until < today():
                raise ValidationError(
                    {"valid_until": _("A fee must end today or later: it applies to today's payments already.")}
                )

    @property
    def has_begun(self) -> bool:
        """True from its first day on."""
        return self.valid_from <= today()

    @property
    def has_ended(self) -> bool:
        """True from the day after its last one."""
        return self.valid_until is not None and self.valid_until < today()

    def __str__(self) -> str:
        return f"{self.percent.normalize():f} % + {format_mxn(self.fixed)}"
