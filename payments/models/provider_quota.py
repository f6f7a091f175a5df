"""Counters for the request quotas of providers."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.db import ROWS, Frozen


class ProviderQuota(models.Model):
    """The number of requests of one kind by a company to its provider within one hour of the clock (UTC)."""

    account = models.ForeignKey("payments.ProviderAccount", models.PROTECT, related_name="+", db_index=False)
    name = models.CharField(max_length=16)
    hour = models.DateTimeField()
    spent = models.PositiveIntegerField(default=0)

    free_columns = {"spent": "a counter of requests", ROWS: "counters of past hours are not needed"}

    class Meta:
        verbose_name = _("provider quota")
        verbose_name_plural = _("provider quotas")
        constraints = [models.UniqueConstraint(fields=["account", "name", "hour"], name="provider_quota_unique")]
        triggers = [Frozen("id", "account", "name", "hour")]

    def __str__(self) -> str:
        return f"{self.name} {self.hour}: {self.spent}"
