from __future__ import annotations

from functools import partial

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock, ids
from core.db import Frozen, NoDelete
from core.fields import EncryptedJSONField

CLABE_SEQUENCES = 16
"""How many accounts may hand out CLABEs; each has a database sequence of its own, made by a migration."""


class ProviderAccount(models.Model):
    """Our account at a provider, in one mode. The account that authenticates a notice fixes the notice's mode.

    ``credentials`` is what we show the provider: for Conekta ``{"api_key"}``. ``webhook_username`` and
    ``webhook_secret_sha256`` are what STP shows us (Basic, in the URL it was given), from ``webhook_networks`` if any
    are named: STP signs nothing. ``webhook_public_keys`` verify Conekta's DIGEST. While a secret or key is exchanged
    two are valid: ``webhook_next_secret_sha256`` beside the first, or two public keys.
    """

    class Provider(models.TextChoices):
        STP = "stp", "STP"
        CONEKTA = "conekta", "Conekta"

    public_id = models.CharField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "provider_account")
    )
    provider = models.CharField(_("provider"), max_length=16, choices=Provider.choices)
    livemode = models.BooleanField(_("live"))
    name = models.CharField(_("name"), max_length=100, help_text=_("For STP the name of the company (empresa)."))
    is_active = models.BooleanField(_("active"), default=True)
    base_url = models.URLField(_("API address"), blank=True)
    credentials = EncryptedJSONField(default=dict, editable=False)
    webhook_username = models.CharField(max_length=64, null=True, blank=True, unique=True)
    webhook_secret_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    webhook_next_secret_sha256 = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    webhook_public_keys = ArrayField(models.TextField(), default=list, blank=True)
    webhook_networks = ArrayField(
        models.CharField(max_length=43),
        null=True,
        blank=True,
        verbose_name=_("allowed addresses"),
        help_text=_("Networks (CIDR) from which STP calls us; empty: any."),
    )
    clabe_prefix = models.CharField(
        _("CLABE prefix"),
        max_length=10,
        null=True,
        blank=True,
        unique=True,
        validators=[RegexValidator(r"^646180[0-9]{4}$")],
        help_text=_("646180 and the four digits that STP assigned."),
    )
    clabe_sequence = models.PositiveSmallIntegerField(null=True, blank=True, unique=True)
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)

    free_columns = {
        "name": "configuration of the operator: sent with orders to come",
        "is_active": "configuration: which account takes new payments; earlier payments keep theirs",
        "base_url": "configuration: where requests to come are sent",
        "credentials": "secrets are exchanged; encrypted",
        "webhook_username": "exchanged together with the secret",
        "webhook_secret_sha256": "secrets are exchanged; each notice keeps by which one it was proven (`key_id`)",
        "webhook_next_secret_sha256": "the second valid secret while the first is exchanged",
        "webhook_public_keys": "keys are exchanged; each notice keeps by which one it was proven (`key_id`)",
        "webhook_networks": "addresses of the provider change; each notice keeps its own (`remote_address`)",
    }

    class Meta:
        verbose_name = _("provider account")
        verbose_name_plural = _("provider accounts")
        ordering = ["provider", "-livemode"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "livemode"], condition=models.Q(is_active=True), name="provider_account_active_one"
            ),
            models.CheckConstraint(
                condition=~models.Q(provider="stp")
                | models.Q(
                    clabe_prefix__isnull=False,  # said, because a CHECK that comes to NULL is passed
                    clabe_prefix__regex=r"^646180[0-9]{4}$",
                    clabe_sequence__isnull=False,
                    clabe_sequence__range=(1, CLABE_SEQUENCES),
                ),
                name="provider_account_stp_clabes",
            ),
        ]
        triggers = [
            NoDelete(),
            Frozen("id", "public_id", "provider", "livemode", "clabe_prefix", "clabe_sequence", "created_at"),
        ]

    def __str__(self) -> str:
        return f"{self.get_provider_display()} {'live' if self.livemode else 'test'}"
