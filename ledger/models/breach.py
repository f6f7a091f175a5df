from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock
from core.db import Frozen, FrozenOnce, NoDelete


class Breach(models.Model):
    """A broken invariant and how long it was broken. While the breach is open, outgoing money in its scope is stopped.

    The scope is a mode, a merchant and an account at a provider; an empty part means all. The account is identified by
    its public id, because the ledger does not depend on providers.
    """

    invariant = models.CharField(_("invariant"), max_length=64)
    merchant = models.ForeignKey(
        "merchants.Merchant",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("merchant"),
        db_index=False,
    )
    livemode = models.BooleanField(_("live"), null=True, blank=True, help_text=_("Empty: both modes."))
    provider_account = models.CharField(
        _("provider account"),
        max_length=40,
        blank=True,
        default="",
        db_default="",
        help_text=_("Public id. Empty: every account."),
    )
    message = models.CharField(_("what was found"), max_length=500)
    found_at = models.DateTimeField(_("found"), default=clock.now)
    cleared_at = models.DateTimeField(_("cleared"), null=True, blank=True)

    class Meta:
        verbose_name = _("breach")
        verbose_name_plural = _("breaches")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["invariant", "merchant", "livemode", "provider_account"],
                condition=models.Q(cleared_at=None),
                nulls_distinct=False,
                name="breach_open_once",
            ),
            models.CheckConstraint(
                condition=models.Q(livemode__isnull=False) | models.Q(merchant=None, provider_account=""),
                name="breach_scope_has_mode",
            ),
        ]
        triggers = [
            NoDelete(),
            Frozen("id", "invariant", "merchant", "livemode", "provider_account", "message", "found_at"),
            FrozenOnce("OLD.cleared_at IS NOT NULL", "cleared_at"),
        ]

    def __str__(self) -> str:
        return f"{self.invariant}: {self.message}"
