"""Our accounts at providers."""

from __future__ import annotations

from functools import partial

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock, ids
from core.db import Frozen, FrozenOnce, NoDelete
from core.fields import EncryptedJSONField, IdentifierField

CLABE_SEQUENCES = 16
"""Maximum number of accounts with CLABEs; each has its own database sequence, created by a migration."""

_USED_AT_STP = (
    "OLD.provider = 'stp' AND ("
    "EXISTS (SELECT FROM public.payments_deposit WHERE provider_account_id = OLD.id) "
    "OR EXISTS (SELECT FROM public.payments_clabe WHERE provider_account_id = OLD.id) "
    "OR EXISTS (SELECT FROM public.payments_payment WHERE provider_account_id = OLD.id))"
)
"""A used account cannot change its company, which identifies money that is reported twice."""


class ProviderAccount(models.Model):
    """Our account at a provider, in one mode. The account that authenticates a notice determines the notice's mode.

    ``credentials`` authenticate us at the provider: for Conekta ``{"api_key"}``. ``webhook_username`` and
    ``webhook_secret_sha256`` authenticate STP's notices (HTTP Basic, in the registered URL), from ``webhook_networks``
    if given, because STP does not sign notices. ``webhook_public_keys`` verify Conekta's DIGEST. During an exchange two
    secrets or keys are valid: ``webhook_next_secret_sha256`` in addition to the first, or two public keys.

    Accounts at STP with the same ``name`` and mode are one company (empresa): each has its own CLABE prefix, and STP
    reports the money of all of them to any.
    """

    same_company: tuple[ProviderAccount, ...] | None = None
    """All accounts of its company, set by ``payments.services.provider_account``."""

    class Provider(models.TextChoices):
        STP = "stp", "STP"
        CONEKTA = "conekta", "Conekta"

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "provider_account")
    )
    provider = models.CharField(_("provider"), max_length=16, choices=Provider.choices)
    livemode = models.BooleanField(_("live"))
    name = models.CharField(_("name"), max_length=100, help_text=_("For STP the name of the company (empresa)."))
    takes_new = models.BooleanField(
        _("takes new payments"),
        default=True,
        help_text=_("New payments and CLABEs are created here. Only one account per provider and mode."),
    )
    hears_notices = models.BooleanField(
        _("accepts notices"),
        default=True,
        help_text=_("Its notices are accepted, and its provider is polled. Money may still arrive after the last use."),
    )
    base_url = models.URLField(_("API address"), blank=True)
    credentials = EncryptedJSONField(default=dict, editable=False)
    webhook_username = IdentifierField(max_length=64, null=True, blank=True, unique=True)
    webhook_secret_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    webhook_next_secret_sha256 = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    webhook_public_keys = ArrayField(models.TextField(), default=list, blank=True)
    webhook_networks = ArrayField(
        models.CharField(max_length=43),
        null=True,
        blank=True,
        verbose_name=_("allowed addresses"),
        help_text=_("Networks (CIDR) from which STP sends notices; empty: any."),
    )
    clabe_prefix = IdentifierField(
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
        "ordering_clabe": "configuration: the account that future orders are paid from",
        "ordering_name": "configuration: the sender's name in future orders",
        "ordering_tax_id": "configuration: the sender's RFC in future orders",
        "base_url": "configuration: where future requests are sent",
        "credentials": "secrets are exchanged; encrypted",
        "webhook_username": "exchanged together with the secret",
        "webhook_secret_sha256": "secrets are exchanged; each notice records which one authenticated it (`key_id`)",
        "webhook_next_secret_sha256": "the second valid secret while the first is exchanged",
        "webhook_public_keys": "keys are exchanged; each notice records which one authenticated it (`key_id`)",
        "webhook_networks": "addresses of the provider change; each notice records its own (`remote_address`)",
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
                    clabe_prefix__isnull=False,  # because a CHECK that evaluates to NULL passes
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
