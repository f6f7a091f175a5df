from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.db import Frozen, NoDelete


class ProviderBalance(models.Model):
    """The last reading of what lies on our account at a provider. Centavos."""

    account = models.OneToOneField(
        "payments.ProviderAccount", models.PROTECT, related_name="balance", verbose_name=_("provider account")
    )
    amount = models.BigIntegerField(_("balance"), default=0)
    pending = models.BigIntegerField(_("orders in flight"), default=0)
    read_at = models.DateTimeField(_("read"), null=True, blank=True)
    asked_at = models.DateTimeField(_("last asked"), null=True, blank=True)

    free_columns = {
        "amount": "a reading that the next one replaces; the calls that brought it are kept",
        "pending": "a reading that the next one replaces; the calls that brought it are kept",
        "read_at": "when the last reading was had",
        "asked_at": "a lease: one process asks at a time, and not again at once after a failure",
    }

    class Meta:
        verbose_name = _("balance at a provider")
        verbose_name_plural = _("balances at providers")
        default_permissions = ("view",)
        triggers = [NoDelete(), Frozen("id", "account")]

    def __str__(self) -> str:
        return f"{self.account}"
