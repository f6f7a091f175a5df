"""Models of deliveries of events to endpoints, and of their attempts."""

from __future__ import annotations

from functools import partial

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django_fsm import transition

from core import clock, ids
from core.db import ROWS, Frozen, Guard, StateGuard
from core.fields import IdentifierField
from core.guards import OnlyIf
from core.state import ProtectedRefreshMixin, StatusField

OPEN = ["pending", "paused"]


def _kept_thirty_days(moment: str) -> Guard:
    return Guard(
        name="kept_thirty_days",
        when=pgtrigger.Before,
        operation=pgtrigger.Delete,
        judges={ROWS: "are deleted after thirty days at the earliest"},
        condition=pgtrigger.Condition(f"(OLD.{moment} > pg_catalog.now() - interval '30 days')"),
        func="""
            RAISE EXCEPTION '% keeps its rows for thirty days', TG_TABLE_NAME
                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
        """,
    )


class Delivery(ProtectedRefreshMixin):
    """An event on its way to an endpoint. Its state is the truth; processes only act on it.

    ``event`` refers to the event's sequence. ``queue`` is the event's object if the endpoint is ordered, else "": only
    the first of the open deliveries of a queue has a ``next_attempt_at``. Replays are not queued. ``manual`` marks an
    attempt that a person asked for, or a probe: it is made although the endpoint is paused or on hold.

    ``live_attempt`` is the id of the attempt in flight; only the worker that holds it may write the result. A
    process that died loses it at ``leased_until``.
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        """It is tried at ``next_attempt_at``, or after the earlier events of its object."""
        DELIVERED = "delivered", _("delivered")
        """The receiver answered 2xx."""
        EXHAUSTED = "exhausted", _("exhausted")
        """The schedule of attempts ended."""
        CANCELLED = "cancelled", _("cancelled")
        """The endpoint was disabled or deleted."""
        PAUSED = "paused", _("paused")
        """It waits until its endpoint recovers."""

    class Kind(models.TextChoices):
        FEED = "feed", _("event")
        TEST = "test", _("test")
        REPLAY = "replay", _("replay")

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "delivery")
    )
    endpoint = models.ForeignKey(
        "webhooks.Endpoint", models.PROTECT, related_name="deliveries", verbose_name=_("endpoint"), db_index=False
    )
    event = models.ForeignKey(
        "merchants.Event",
        models.PROTECT,
        to_field="sequence",
        related_name="+",
        verbose_name=_("event"),
        db_index=False,
    )
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices, default=Kind.FEED)
    queue = models.CharField(max_length=40, blank=True, default="")
    status = StatusField(_("status"), choices=Status.choices, default=Status.PENDING)
    tries = models.PositiveSmallIntegerField(_("failed attempts"), default=0)
    manual = models.BooleanField(default=False)
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True, blank=True)
    live_attempt = models.CharField(max_length=40, null=True, blank=True)  # noqa: DJ001 - part of the lease
    live_since = models.DateTimeField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    free_columns = dict.fromkeys(
        ("tries", "manual", "next_attempt_at", "finished_at"),
        "the schedule of the worker; the status and the attempts are guarded",
    )

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [("retry_delivery", "Can have a delivery made again")]
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint", "event"], condition=~Q(kind="replay"), name="delivery_event_unique"
            ),
            models.CheckConstraint(
                condition=Q(live_attempt__isnull=True, live_since__isnull=True, leased_until__isnull=True)
                | Q(
                    live_attempt__isnull=False,
                    live_since__isnull=False,
                    leased_until__isnull=False,
                    leased_until__gt=F("live_since"),
                ),
                name="delivery_lease_whole",
            ),
            models.CheckConstraint(
                condition=Q(status="pending") | Q(next_attempt_at__isnull=True, live_attempt__isnull=True),
                name="delivery_only_pending_is_tried",
            ),
            models.CheckConstraint(
                condition=~Q(status="pending") | Q(next_attempt_at__isnull=False) | ~Q(queue=""),
                name="delivery_pending_is_due",
            ),
            models.CheckConstraint(
                condition=Q(status__in=OPEN, finished_at__isnull=True)
                | (~Q(status__in=OPEN) & Q(finished_at__isnull=False)),
                name="delivery_finished_has_moment",
            ),
        ]
        indexes = [
            models.Index(fields=["endpoint", "-id"], name="delivery_list"),
            models.Index(fields=["endpoint", "event"], name="delivery_event"),
            models.Index(fields=["endpoint"], condition=Q(kind="replay", status__in=OPEN), name="delivery_replay_open"),
            models.Index(
                fields=["endpoint", "next_attempt_at", "event"],
                condition=Q(status="pending", next_attempt_at__isnull=False),
                name="delivery_due",
            ),
            models.Index(fields=["endpoint"], condition=Q(leased_until__isnull=False), name="delivery_leased"),
            models.Index(fields=["endpoint"], condition=Q(manual=True, status="pending"), name="delivery_manual"),
            models.Index(
                fields=["endpoint", "queue", "event"],
                condition=Q(status__in=OPEN) & ~Q(queue=""),
                name="delivery_queue",
            ),
            models.Index(
                fields=["endpoint", "event"],
                condition=Q(status__in=["paused", "exhausted"]),
                name="delivery_parked",
            ),
        ]
        triggers = [
            StateGuard(initial=["pending"]),
            Frozen("id", "public_id", "endpoint", "event", "kind", "created_at"),
            OnlyIf(
                "queued_while_open",
                "OLD.status IN ('pending', 'paused') AND OLD.kind <> 'replay'",
                "queue",
                says="can only change while it is open",
            ),
            OnlyIf(
                "one_attempt",
                "OLD.leased_until IS NULL OR NEW.leased_until IS NULL OR NEW.live_since >= OLD.leased_until",
                "live_attempt",
                "live_since",
                "leased_until",
                says="cannot be taken while an attempt is in flight",
            ),
            _kept_thirty_days("created_at"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @transition(field=status, source=Status.PENDING, target=Status.DELIVERED)
    def deliver(self) -> None:
        """The receiver took it."""

    @transition(field=status, source=Status.PENDING, target=Status.EXHAUSTED)
    def exhaust(self) -> None:
        """The last attempt of the schedule failed."""

    @transition(field=status, source=[Status.PENDING, Status.PAUSED], target=Status.CANCELLED)
    def cancel(self) -> None:
        """Its endpoint takes no more events."""

    @transition(field=status, source=Status.PENDING, target=Status.PAUSED)
    def park(self) -> None:
        """Its endpoint is paused."""

    @transition(field=status, source=[Status.PAUSED, Status.EXHAUSTED, Status.CANCELLED], target=Status.PENDING)
    def try_again(self) -> None:
        """Its endpoint recovered, is probed, or a person asked for another attempt."""


class DeliveryAttempt(models.Model):
    """One request to an endpoint and its answer. ``error`` says why there is no complete answer."""

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "delivery_attempt")
    )
    delivery = models.ForeignKey(Delivery, models.PROTECT, related_name="attempts", verbose_name=_("delivery"))
    at = models.DateTimeField(_("at"))
    url = models.CharField("URL", max_length=2048)
    manual = models.BooleanField(_("by hand"), default=False)
    status_code = models.PositiveSmallIntegerField(_("status"), null=True, blank=True)
    error = models.CharField(_("error"), max_length=64, blank=True, default="")
    duration_ms = models.PositiveIntegerField(_("duration"), null=True, blank=True, help_text=_("Milliseconds."))
    response_excerpt = models.TextField(_("answer"), blank=True, default="")

    class Meta:
        verbose_name = _("delivery attempt")
        verbose_name_plural = _("delivery attempts")
        ordering = ["id"]
        default_permissions = ()
        triggers = [
            Frozen(
                "id",
                "public_id",
                "delivery",
                "at",
                "url",
                "manual",
                "status_code",
                "error",
                "duration_ms",
                "response_excerpt",
            ),
            _kept_thirty_days("at"),
        ]

    def __str__(self) -> str:
        return self.public_id
