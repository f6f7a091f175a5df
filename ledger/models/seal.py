from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock
from core.db import AppendOnly


class Seal(models.Model):
    """A link of the ledger's hash chain: the SHA-256 of the previous seal and of one transaction's content."""

    seq = models.BigIntegerField(_("number"), primary_key=True)
    transaction = models.OneToOneField("ledger.Transaction", models.PROTECT, related_name="seal")
    hash = models.CharField("SHA-256", max_length=64)
    sealed_at = models.DateTimeField(_("sealed"), default=clock.now)

    class Meta:
        verbose_name = _("seal")
        verbose_name_plural = _("seals")
        ordering = ["-seq"]
        triggers = [AppendOnly()]

    def __str__(self) -> str:
        return f"{self.seq} {self.hash[:12]}"
