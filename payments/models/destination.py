from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock
from core.db import AppendOnly


class Destination(models.Model):
    """A CLABE to which a merchant sends money in one mode. A new one may have to wait out a cool-down."""

    merchant = models.ForeignKey(
        "merchants.Merchant", models.PROTECT, related_name="destinations", verbose_name=_("merchant"), db_index=False
    )
    livemode = models.BooleanField(_("live"))
    clabe = models.CharField(_("CLABE"), max_length=18)
    usable_at = models.DateTimeField(_("usable from"), help_text=_("End of the cool-down of a new destination."))
    created_at = models.DateTimeField(_("first used"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("destination")
        verbose_name_plural = _("destinations")
        ordering = ["-id"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["merchant", "livemode", "clabe"], name="destination_unique"),
            models.CheckConstraint(condition=models.Q(clabe__regex=r"^[0-9]{18}$"), name="destination_is_clabe"),
        ]
        triggers = [AppendOnly()]

    def __str__(self) -> str:
        return self.clabe
