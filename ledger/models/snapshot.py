from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.db import NoDelete


class Snapshot(models.Model):
    """What an account's entries below ``position`` sum to: a cache that the worker moves forward.

    A balance is this total and the entries from ``position`` on. Nothing below it can appear any more, so the cache is
    provable from the entries at any time (``manage.py audit_ledger`` does it).
    """

    account = models.OneToOneField("ledger.Account", models.PROTECT, primary_key=True, related_name="snapshot")
    position = models.BigIntegerField()
    total = models.BigIntegerField(help_text="Centavos; debits are positive, credits negative.")
    taken_at = models.DateTimeField()

    class Meta:
        verbose_name = _("balance snapshot")
        verbose_name_plural = _("balance snapshots")
        triggers = [NoDelete()]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.total}"
