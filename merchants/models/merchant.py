from __future__ import annotations

from functools import partial

from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock, ids
from core.db import NoDelete


class Merchant(models.Model):
    """A business whose payments pass through this system."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        SUSPENDED = "suspended", _("suspended")

    public_id = models.CharField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "merchant")
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("Trade name: what payers see."))
    legal_name = models.CharField(_("legal name"), max_length=200, help_text=_("Exactly as on the tax certificate."))
    status = models.CharField(
        _("status"),
        max_length=16,
        choices=Status.choices,
        default=Status.ACTIVE,
        help_text=_("A suspended merchant's API keys are refused."),
    )
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("merchant")
        verbose_name_plural = _("merchants")
        ordering = ["name"]
        triggers = [NoDelete()]

    def __str__(self) -> str:
        return self.name
