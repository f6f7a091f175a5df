"""Model of API keys."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from core import clock, ids
from core.db import Frozen, FrozenOnce, Guard, NoDelete
from core.fields import IdentifierField, NetworkField
from core.guards import OnlyIf


class ApiKey(models.Model):
    """A merchant's credential. The secret is shown once; only its first characters and its SHA-256 are stored.

    Scopes never change: other scopes need a new key. An expiry, once set, can only become earlier.

    A key is issued by a person in the admin (``created_by``), by a key that rolled another (``created_by_key``), or, if
    both are empty, by a command on the host. The SQL function ``merchants_key_issuers`` computes from this who may know
    the secret; for a key issued on the host that is an unknown person.
    """

    class Scope(models.TextChoices):
        PAYMENTS_READ = "payments:read", _("read payments, balance and events")
        PAYMENTS_WRITE = "payments:write", _("create payments")
        PAYOUTS_READ = "payouts:read", _("read payouts and destinations")
        PAYOUTS_WRITE = "payouts:write", _("send money: payouts")
        REFUNDS_WRITE = "refunds:write", _("send money back: refunds")
        WEBHOOKS_MANAGE = "webhooks:manage", _("manage webhook endpoints")
        KYC_MANAGE = "kyc:manage", _("read and complete the verification")
        REPORTS_READ = "reports:read", _("order and download reports")

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "api_key")
    )
    merchant = models.ForeignKey("merchants.Merchant", models.PROTECT, related_name="api_keys")
    livemode = models.BooleanField(_("live"), help_text=_("Live keys move real money; test keys never do."))
    name = models.CharField(_("name"), max_length=100, blank=True, help_text=_("Where this key is used."))
    prefix = models.CharField(_("key begins with"), max_length=20)
    secret_sha256 = IdentifierField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=32, choices=Scope.choices), verbose_name=_("scopes"))
    networks = ArrayField(
        NetworkField(),
        verbose_name=_("allowed addresses"),
        default=list,
        db_default=[],
        blank=True,
        help_text=_("Only from these addresses or networks; from anywhere if there are none."),
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        verbose_name=_("created by"),
        related_name="+",
        null=True,
        blank=True,
        help_text=_("The person who issued it."),
    )
    created_by_key = models.ForeignKey(
        "self",
        models.PROTECT,
        verbose_name=_("created by API key"),
        related_name="+",
        null=True,
        blank=True,
        help_text=_("The API key that asked for it."),
        db_index=False,
    )
    replaces = models.ForeignKey(
        "self",
        models.PROTECT,
        verbose_name=_("replaces"),
        related_name="successors",
        null=True,
        blank=True,
        db_index=False,
    )
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)

    free_columns = {
        "networks": "staff restrict and move a key; it counts for requests to come",
    }

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="api_key_scopes_known",
                condition=Q(
                    scopes__contained_by=[
                        "payments:read",
                        "payments:write",
                        "payouts:read",
                        "payouts:write",
                        "refunds:write",
                        "webhooks:manage",
                        "kyc:manage",
                        "reports:read",
                    ]
                ),
            ),
            models.CheckConstraint(
                name="api_key_says_its_mode",
                condition=Q(livemode=True, prefix__startswith="sk_live_")
                | Q(livemode=False, prefix__startswith="sk_test_"),
            ),
            models.CheckConstraint(
                name="api_key_one_issuer", condition=Q(created_by__isnull=True) | Q(created_by_key__isnull=True)
            ),
            models.UniqueConstraint(
                name="api_key_one_successor", fields=["replaces"], condition=Q(revoked_at__isnull=True)
            ),
        ]
        triggers = [
            NoDelete(),
            Frozen(
                "id",
                "public_id",
                "merchant",
                "livemode",
                "name",
                "prefix",
                "secret_sha256",
                "scopes",
                "created_by",
                "created_by_key",
                "replaces",
                "created_at",
            ),
            FrozenOnce("OLD.revoked_at IS NOT NULL", "revoked_at"),
            OnlyIf(
                "ends_no_later",
                "OLD.expires_at IS NULL OR NEW.expires_at <= OLD.expires_at",
                "expires_at",
                says="cannot become later",
            ),
            OnlyIf(
                "used_no_earlier",
                "OLD.last_used_at IS NULL OR NEW.last_used_at >= OLD.last_used_at",
                "last_used_at",
                says="cannot become earlier",
            ),
            Guard(
                name="successor_may_no_more",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func="""
                    IF NEW.replaces_id IS NOT NULL AND NOT EXISTS (
                        SELECT 1 FROM public.merchants_apikey WHERE id = NEW.replaces_id
                            AND merchant_id = NEW.merchant_id AND livemode = NEW.livemode
                            AND scopes OPERATOR(pg_catalog.@>) NEW.scopes
                    ) THEN
                        RAISE EXCEPTION 'merchants_apikey: a successor is of the same merchant and may no more'
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}…"

    def works_at(self, moment: datetime) -> bool:
        """False once the key was revoked or has expired."""
        return self.revoked_at is None and (self.expires_at is None or moment < self.expires_at)
