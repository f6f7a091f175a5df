from __future__ import annotations

from functools import partial

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock, ids
from core.db import Frozen, FrozenOnce, NoDelete


class ApiKey(models.Model):
    """A merchant's credential. The key itself is shown once; here are its first characters and its SHA-256."""

    class Scope(models.TextChoices):
        PAYMENTS_READ = "payments:read", _("read payments")
        PAYMENTS_WRITE = "payments:write", _("create payments")

    public_id = models.CharField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "api_key")
    )
    merchant = models.ForeignKey("merchants.Merchant", models.PROTECT, related_name="api_keys")
    livemode = models.BooleanField(_("live"), help_text=_("Live keys move real money; test keys never do."))
    name = models.CharField(_("name"), max_length=100, blank=True, help_text=_("Where this key is used."))
    prefix = models.CharField(_("key begins with"), max_length=20)
    secret_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=32, choices=Scope.choices), verbose_name=_("scopes"))
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["-id"]
        triggers = [
            NoDelete(),
            Frozen("public_id", "merchant", "livemode", "prefix", "secret_sha256", "scopes"),
            FrozenOnce("OLD.revoked_at IS NOT NULL", "revoked_at"),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}…"
