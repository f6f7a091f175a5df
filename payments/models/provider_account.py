from __future__ import annotations

from functools import partial

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock, ids
from core.db import Frozen, FrozenOnce, NoDelete
from core.fields import EncryptedJSONField

CLABE_SEQUENCES = 16
"""How many accounts may hand out CLABEs; each has a database sequence of its own, made by a migration."""

_USED_AT_STP = (
    "OLD.provider = 'stp' AND ("
    "EXISTS (SELECT FROM public.payments_deposit WHERE provider_account_id = OLD.id) "
    "OR EXISTS (SELECT FROM public.payments_clabe WHERE provider_account_id = OLD.id) "
    "OR EXISTS (SELECT FROM public.payments_payment WHERE provider_account_id = OLD.id))"
)
"""An account that has been used stays with its company: by that, money reported twice is known to be the same."""


class ProviderAccount(models.Model):
    """Our account at a provider, in one mode. The account that authenticates a notice fixes the notice's mode.

    ``credentials`` is what we show the provider: for Conekta ``{"api_key"}``. ``webhook_username`` and
    ``webhook_secret_sha256`` are what STP shows us (Basic, in the URL it was given), from ``webhook_networks`` if any
    are named: STP signs nothing. ``webhook_public_keys`` verify Conekta's DIGEST. While a secret or key is exchanged
    two are valid: ``webhook_next_secret_sha256`` beside the first, or two public keys.

    Accounts at STP with one ``name`` and mode are one company (empresa) there: each has a CLABE prefix of its own, and
    STP reports money of all of them to any.
    """

    same_company: tuple[ProviderAccount, ...] | None = None
    """All accounts of its company, where ``payments.services.provider_account`` read them together."""

    class Provider(models.TextChoices):
        STP = "stp", "STP"
        CONEKTA = "conekta", "Conekta"

    public_id = models.CharField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "provider_account")
    )
    provider = models.CharField(_("provider"), max_length=16, choices=Provider.choices)
    livemode = models.BooleanField(_("live"))
    name = models.CharField(_("name"), max_length=100, help_text=_("For STP the name of the company (empresa)."))
    takes_new = models.BooleanField(
        _("takes new payments"),
        default=True,
        help_text=_("New payments and CLABEs are made here. One account of a provider and mode does so."),
    )
    hears_notices = models.BooleanField(
        _("hears notices"),
        default=True,
        help_text=_("Its notices are accepted, and its provider is asked. Money may still arrive after the last use."),
    )
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
    ordering_clabe = models.CharField(
        _("ordering CLABE"),
        max_length=18,
        blank=True,
        default="",
        db_default="",
        help_text=_("Our own account from which orders are paid. Without it nothing can be sent."),
    )
    ordering_name = models.CharField(
        _("ordering name"),
        max_length=40,
        blank=True,
        default="",
        db_default="",
        help_text=_("What beneficiaries see as the sender, in plain ASCII."),
    )
    ordering_tax_id = models.CharField(_("ordering RFC"), max_length=18, blank=True, default="", db_default="")
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)

    free_columns = {
        "takes_new": "configuration: which account takes new payments; earlier payments keep theirs",
        "hears_notices": "configuration: whose notices are accepted",
        "ordering_clabe": "configuration: from where orders to come are paid; each provider call keeps its own",
        "ordering_name": "configuration: the sender's name in orders to come",
        "ordering_tax_id": "configuration: the sender's RFC in orders to come",
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
                fields=["provider", "livemode"],
                condition=models.Q(takes_new=True),
                name="provider_account_takes_new_one",
            ),
            models.CheckConstraint(
                condition=models.Q(takes_new=False) | models.Q(hears_notices=True),
                name="provider_account_takes_and_hears",
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
            FrozenOnce(_USED_AT_STP, "name"),
        ]

    def __str__(self) -> str:
        return f"{self.get_provider_display()} {'live' if self.livemode else 'test'}"
