from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from payments.models.payment import Payment


class FeeRule(models.Model):
    """What a merchant pays for a payment by one method: percent and fixed part, IVA on top. No rule, no fee."""

    merchant = models.ForeignKey("merchants.Merchant", models.PROTECT, related_name="fee_rules")
    method = models.CharField(_("method"), max_length=8, choices=Payment.Method.choices)
    percent = models.DecimalField(
        _("percent"),
        max_digits=6,
        decimal_places=4,
        validators=[MinValueValidator(0), MaxValueValidator(50)],
        help_text=_("2.9 is 2.9 % of the amount."),
    )
    fixed = models.BigIntegerField(_("fixed"), validators=[MinValueValidator(0)], help_text=_("Centavos, before IVA."))

    class Meta:
        verbose_name = _("fee")
        verbose_name_plural = _("fees")
        constraints = [
            models.UniqueConstraint(fields=["merchant", "method"], name="fee_rule_unique"),
            models.CheckConstraint(
                condition=models.Q(percent__gte=0, percent__lte=50, fixed__gte=0), name="fee_rule_sensible"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.percent} % + {self.fixed}"
