"""Models of webhook endpoints and their secrets."""

from __future__ import annotations

from functools import partial

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django_fsm import transition

from core import clock, ids
from core.db import ROWS, Frozen, FrozenOnce, Guard, NoDelete, StateGuard
from core.fields import EncryptedJSONField, IdentifierField
from core.guards import OnlyIf
from core.state import ProtectedRefreshMixin, StatusField

MAX_ENDPOINTS = 16
"""Endpoints of one merchant and mode."""


class Endpoint(ProtectedRefreshMixin):
    """A merchant's URL that receives events of one mode.

    ``slot`` limits their number: a merchant has ``MAX_ENDPOINTS`` slots per mode. A deleted endpoint keeps its row, for
    its history.

    Which events are fanned out to it: those above ``starts_after``. ``cursor`` is null while it shares the feed's
    common cursor; a paused endpoint has its own, and keeps it until it has caught up. ``settling`` marks an endpoint
    whose waiting deliveries do not match its status yet; the worker brings them into line in batches.

    Its health: ``failures`` and ``failing_since`` describe the current series of failures without a success,
    ``throttle`` and ``hold_until`` slow it down.
    """

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        """Events are delivered."""
        FAILING = "failing", _("failing")
        """Deliveries fail; they are tried at a slower pace."""
        PAUSED = "paused", _("paused")
        """Only failures for days: deliveries are kept, and one is tried each hour."""
        DISABLED = "disabled", _("disabled")
        """Nothing is delivered or kept for it: a person or the receiver (410) switched it off."""

    class DisabledReason(models.TextChoices):
        GONE = "gone", _("the receiver answered 410 Gone")
        MERCHANT = "merchant", _("by the merchant")
        STAFF = "staff", _("by staff")

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "webhook_endpoint")
    )
    merchant = models.ForeignKey(
        "merchants.Merchant", models.PROTECT, related_name="+", verbose_name=_("merchant"), db_index=False
    )
    livemode = models.BooleanField(_("live"))
    slot = models.PositiveSmallIntegerField()
    url = models.CharField("URL", max_length=2048)
    events = ArrayField(models.CharField(max_length=64), verbose_name=_("events"))
    description = models.CharField(_("description"), max_length=200, blank=True)
    api_version = models.CharField(_("API version"), max_length=10)
    ordered = models.BooleanField(
        _("ordered"), default=False, help_text=_("One delivery at a time for each object, in the order of its events.")
    )
    metadata = models.JSONField(default=dict, blank=True)
    status = StatusField(_("status"), choices=Status.choices, default=Status.ACTIVE)
    disabled_reason = models.CharField(
        _("reason"), max_length=16, choices=DisabledReason.choices, blank=True, default=""
    )
    starts_after = models.BigIntegerField()
    cursor = models.BigIntegerField(null=True, blank=True)
    settling = models.BooleanField(default=False)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True)
    throttle = models.PositiveSmallIntegerField(default=0)
    hold_until = models.DateTimeField(_("on hold until"), null=True, blank=True)
    probe_at = models.DateTimeField(_("next probe"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)

    free_columns = {
        **dict.fromkeys(
            ("url", "events", "description", "api_version", "ordered", "metadata"),
            "the merchant changes it; it counts for deliveries to come, and each attempt keeps its URL",
        ),
        **dict.fromkeys(
            ("settling", "failures", "failing_since", "throttle", "hold_until", "probe_at"),
            "bookkeeping of the worker, recomputed from the next attempts",
        ),
        "disabled_reason": "explains the status, whose changes are guarded",
    }

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [
            ("switch_endpoint", "Can disable and enable webhook endpoints"),
            ("replay_endpoint", "Can deliver events of a period again"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "livemode", "slot"],
                condition=Q(deleted_at__isnull=True),
                name="endpoint_slot_unique",
            ),
            models.CheckConstraint(condition=Q(slot__gte=1, slot__lte=MAX_ENDPOINTS), name="endpoint_slots"),
            models.CheckConstraint(
                condition=~Q(status="paused") | Q(cursor__isnull=False, probe_at__isnull=False),
                name="endpoint_paused_has_cursor",
            ),
            models.CheckConstraint(
                condition=~Q(status="disabled") | (~Q(disabled_reason="") & Q(cursor__isnull=True)),
                name="endpoint_disabled_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(deleted_at__isnull=True) | Q(status="disabled"), name="endpoint_deleted_is_disabled"
            ),
        ]
        indexes = [
            models.Index(fields=["merchant", "livemode", "-id"], name="endpoint_list"),
            models.Index(fields=["id"], condition=Q(settling=True), name="endpoint_settling"),
            models.Index(fields=["id"], condition=Q(status__in=["failing", "paused"]), name="endpoint_unwell"),
        ]
        triggers = [
            NoDelete(),
            StateGuard(initial=["active"]),
            Frozen("id", "public_id", "merchant", "livemode", "slot", "created_at"),
            FrozenOnce("OLD.deleted_at IS NOT NULL", "deleted_at"),
            OnlyIf(
                "forward",
                "NEW.starts_after >= OLD.starts_after"
                " AND (OLD.cursor IS NULL OR NEW.cursor IS NULL OR NEW.cursor >= OLD.cursor)",
                "starts_after",
                "cursor",
                says="cannot step back",
            ),
        ]

    def __str__(self) -> str:
        return self.url

    @transition(field=status, source=Status.ACTIVE, target=Status.FAILING)
    def warn(self) -> None:
        """Its deliveries have been failing for some minutes."""

    @transition(field=status, source=Status.FAILING, target=Status.PAUSED)
    def pause(self, *, cursor: int) -> None:
        """It has been failing for days: events after ``cursor`` wait in the feed."""
        self.cursor = cursor if self.cursor is None else self.cursor
        self.settling = True

    @transition(field=status, source=[Status.FAILING, Status.PAUSED], target=Status.ACTIVE)
    def recover(self) -> None:
        """A delivery succeeded; what it missed is delivered next."""
        self.probe_at = None
        self.settling = True

    @transition(field=status, source=[Status.ACTIVE, Status.FAILING, Status.PAUSED], target=Status.DISABLED)
    def disable(self, reason: str) -> None:
        """It gets nothing any more; what waits is cancelled."""
        self.disabled_reason = reason
        self.cursor = self.probe_at = None
        self.settling = True

    @transition(field=status, source=Status.DISABLED, target=Status.ACTIVE)
    def enable(self, *, starts_after: int) -> None:
        """Events after ``starts_after`` are delivered again."""
        self.disabled_reason = ""
        self.starts_after = starts_after
        self.failures, self.failing_since, self.throttle, self.hold_until = 0, None, 0, None


class EndpointSecret(models.Model):
    """A secret that signs an endpoint's deliveries, encrypted, until ``expires_at``; null for the current one."""

    endpoint = models.ForeignKey(Endpoint, models.PROTECT, related_name="secrets")
    secret = EncryptedJSONField()
    created_at = models.DateTimeField(default=clock.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint"], condition=Q(expires_at__isnull=True), name="endpoint_secret_current"
            )
        ]
        triggers = [
            Frozen("id", "endpoint", "secret", "created_at"),
            FrozenOnce("OLD.expires_at IS NOT NULL", "expires_at"),
            Guard(
                name="kept_while_valid",
                when=pgtrigger.Before,
                operation=pgtrigger.Delete,
                judges={ROWS: "are deleted once they have expired or their endpoint is deleted"},
                func="""
                    IF OLD.expires_at IS NULL AND NOT EXISTS (
                        SELECT 1 FROM public.webhooks_endpoint
                        WHERE id = OLD.endpoint_id AND deleted_at IS NOT NULL
                    ) THEN
                        RAISE EXCEPTION 'webhooks_endpointsecret: the current secret cannot be deleted'
                            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    RETURN OLD;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"secret of {self.endpoint_id}"
