from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock
from core.db import Frozen, NoDelete

FLOORED = ("available", "pending", "reserved", "blocked", "debt", "suspense", "suspense_reserved")
"""Purposes whose balance never falls below zero."""


class Account(models.Model):
    """An account of a merchant or of the platform, in one mode and currency.

    ``code`` identifies it: ``mer_x:available``, ``platform:iva_payable``.
    """

    class Side(models.TextChoices):
        DEBIT = "debit", _("debit")
        CREDIT = "credit", _("credit")

    code = models.CharField(_("code"), max_length=80)
    purpose = models.CharField(_("purpose"), max_length=32, help_text=_("Its line in the chart of accounts."))
    merchant = models.ForeignKey(
        "merchants.Merchant",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("merchant"),
        help_text=_("Empty for the platform's own accounts."),
    )
    livemode = models.BooleanField(_("live"))
    currency = models.CharField(_("currency"), max_length=3)
    normal_side = models.CharField(_("normal side"), max_length=8, choices=Side.choices)
    floor = models.BigIntegerField(
        _("floor"),
        null=True,
        blank=True,
        help_text=_("Least balance on its normal side, in centavos; no money may be taken below it. Empty: no floor."),
    )
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        ordering = ["code"]
        constraints = [
            models.UniqueConstraint(fields=["code", "livemode", "currency"], name="account_code_unique"),
            models.CheckConstraint(condition=models.Q(currency="MXN"), name="account_currency_known"),
            models.CheckConstraint(
                condition=~models.Q(purpose__in=FLOORED)
                | models.Q(floor__isnull=False, floor=0, purpose="debt", normal_side="debit")
                | models.Q(~models.Q(purpose="debt"), floor__isnull=False, floor=0, normal_side="credit"),
                name="account_floor_by_purpose",
            ),
        ]
        triggers = [
            NoDelete(),
            Frozen("id", "code", "purpose", "merchant", "livemode", "currency", "normal_side", "floor", "created_at"),
        ]

    def __str__(self) -> str:
        return self.code
