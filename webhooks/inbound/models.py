from __future__ import annotations

from functools import partial

from django.db import models
from django.utils.translation import gettext_lazy as _
from django_fsm import transition

from core import clock, ids
from core.db import Frozen, FrozenOnce, NoDelete, SameMode, StateGuard
from core.state import ProtectedRefreshMixin, StatusField


class ProviderEvent(ProtectedRefreshMixin):
    """One authentic notice of a provider, byte for byte, and what became of it.

    ``event_id`` is the provider's identity of the message (or, where it has none, of what it reports): an account
    never has two. The stored answer is given again to every repetition.
    """

    class Status(models.TextChoices):
        RECEIVED = "received", _("received")
        """Stored; not applied yet."""
        PROCESSED = "processed", _("processed")
        """It changed something."""
        IGNORED = "ignored", _("ignored")
        """Nothing had to change; the reason says why."""
        RETRY = "retry", _("to be retried")
        """It could not be read or applied; it is tried again when it is sent again, and by the worker."""
        CONFLICT = "conflict", _("conflict")
        """It contradicts what is stored or booked; nothing was changed, somebody must look."""

    public_id = models.CharField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "provider_event")
    )
    account = models.ForeignKey(
        "payments.ProviderAccount", models.PROTECT, related_name="+", verbose_name=_("provider account")
    )
    livemode = models.BooleanField(_("live"))
    event_id = models.CharField(_("provider's id"), max_length=160)
    event_type = models.CharField(_("type"), max_length=64)
    status = StatusField(_("status"), choices=Status.choices, default=Status.RECEIVED)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    object_id = models.CharField(_("object"), max_length=40, blank=True)
    body = models.BinaryField()
    body_sha256 = models.CharField(max_length=64)
    remote_address = models.GenericIPAddressField(_("address"), null=True)
    response_status = models.PositiveSmallIntegerField(_("answer"), null=True)
    response_body = models.JSONField(default=dict)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    last_error = models.CharField(_("last error"), max_length=500, blank=True)
    received_at = models.DateTimeField(_("received"), default=clock.now)
    processed_at = models.DateTimeField(_("processed"), null=True)

    class Meta:
        verbose_name = _("provider event")
        verbose_name_plural = _("provider events")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "event_id"], name="provider_event_unique"),
        ]
        indexes = [
            models.Index(
                fields=["id"], condition=models.Q(status__in=["received", "retry"]), name="provider_event_open"
            ),
            models.Index(fields=["object_id"], name="provider_event_object"),
        ]
        triggers = [
            NoDelete(),
            StateGuard(initial=["received"]),
            Frozen("public_id", "account", "livemode", "event_id", "event_type", "body", "body_sha256", "received_at"),
            FrozenOnce(
                "OLD.status IN ('processed', 'ignored', 'conflict')",
                "reason",
                "object_id",
                "response_status",
                "response_body",
                "processed_at",
            ),
            SameMode("account"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.event_id}"

    @transition(field=status, source=[Status.RECEIVED, Status.RETRY], target=Status.PROCESSED)
    def process(self, *, reason: str, object_id: str) -> None:
        """Applied: it changed ``object_id``."""
        self._settle(reason, object_id)

    @transition(field=status, source=[Status.RECEIVED, Status.RETRY], target=Status.IGNORED)
    def ignore(self, *, reason: str, object_id: str) -> None:
        """Nothing had to change."""
        self._settle(reason, object_id)

    @transition(field=status, source=[Status.RECEIVED, Status.RETRY], target=Status.CONFLICT)
    def contradict(self, *, reason: str, object_id: str) -> None:
        """It says something else than what is stored or booked."""
        self._settle(reason, object_id)

    @transition(field=status, source=[Status.RECEIVED, Status.RETRY], target=Status.RETRY)
    def fail(self, *, error: str) -> None:
        """Applying it failed; whatever it wrote was rolled back."""
        self.attempts += 1
        self.last_error = error[:500]

    @property
    def is_settled(self) -> bool:
        """True once it needs no further work."""
        return self.status in (self.Status.PROCESSED, self.Status.IGNORED, self.Status.CONFLICT)

    def _settle(self, reason: str, object_id: str) -> None:
        self.attempts += 1
        self.reason = reason[:200]
        self.object_id = object_id
        self.processed_at = clock.now()
