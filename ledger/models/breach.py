from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock
from core.db import Frozen, FrozenOnce, NoDelete


class Breach(models.Model):
    """An invariant that was found broken, from when to when. While it is open no money leaves.

    Without a merchant it concerns everybody.
    """

    invariant = models.CharField(_("invariant"), max_length=64)
    merchant = models.ForeignKey(
        "merchants.Merchant", models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("merchant")
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
                fields=["invariant", "merchant"],
                condition=models.Q(cleared_at=None),
                nulls_distinct=False,
                name="breach_open_once",
            ),
        ]
        triggers = [
            NoDelete(),
            Frozen("id", "invariant", "merchant", "message", "found_at"),
            FrozenOnce("OLD.cleared_at IS NOT NULL", "cleared_at"),
        ]

    def __str__(self) -> str:
        return f"{self.invariant}: {self.message}"
