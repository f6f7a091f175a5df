"""The inbox: one slim row for ever for each authentic notice, its raw bytes for as long as the law wants them."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django_fsm import transition

from core import clock, ids
from core.db import ROWS, AppendOnly, Frozen, FrozenOnce, NoDelete, SameMode, StateGuard
from core.state import ProtectedRefreshMixin, StatusField, TransitionRow


class Channel(models.TextChoices):
    """By which way a notice reached us; it decides how its bytes are read."""

    STP_DEPOSITS = "stp.deposits", _("STP: deposits")
    STP_ORDERS = "stp.orders", _("STP: sent orders")
    STP_CONCILIATION = "stp.conciliation", _("STP: asked for")
    CONEKTA_EVENTS = "conekta.events", _("Conekta: events")
    CONEKTA_LIST = "conekta.list", _("Conekta: asked for")


class ProviderEvent(ProtectedRefreshMixin):
    """One authentic notice of a provider, and what became of it.

    ``event_id`` is the provider's identity of the message (or, where it has none, of what it reports): an account
    never has two. The stored answer is given again to every repetition. A row is born decided, in the statement that
    writes its effect; its first settlement is this row itself, and every other change of state has its
    ``ProviderEventTransition``.
    """

    class Status(models.TextChoices):
        RECEIVED = "received", _("received")
        """In memory before the decision; stored, if applying failed and was rolled back."""
        PROCESSED = "processed", _("processed")
        """It changed something."""
        IGNORED = "ignored", _("ignored")
        """Nothing had to change; the reason says why."""
        RETRY = "retry", _("to be retried")
        """It could not be read or applied; the worker tries again at ``next_at``. A repetition may
        settle it too; one that fails changes nothing."""
        CONFLICT = "conflict", _("conflict")
        """It contradicts what is stored or booked; nothing was changed, somebody must look."""
        RESOLVED = "resolved", _("dealt with")
        """A contradiction that somebody looked at; the step says who, when and what came of it."""
        DEAD = "dead", _("given up")
        """Every try failed; somebody must look, and may replay it."""

    SETTLED = (Status.PROCESSED, Status.IGNORED, Status.CONFLICT, Status.RESOLVED)

    public_id = models.CharField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "provider_event")
    )
    account = models.ForeignKey(
        "payments.ProviderAccount",
        models.PROTECT,
        related_name="+",
        verbose_name=_("provider account"),
        db_index=False,
        db_constraint=False,  # SameMode
    )
    livemode = models.BooleanField(_("live"))
    channel = models.CharField(_("channel"), max_length=32, choices=Channel.choices, default="", db_default="")
    event_id = models.CharField(_("provider's id"), max_length=160)
    event_type = models.CharField(_("type"), max_length=64)
    business_key = models.CharField(_("tracking key or order"), max_length=64, blank=True, default="", db_default="")
    status = StatusField(_("status"), choices=Status.choices, default=Status.RECEIVED)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    object_id = models.CharField(_("object"), max_length=40, blank=True)
    body_sha256 = models.CharField(max_length=64)
    key_id = models.CharField(
        _("proven by"),
        max_length=16,
        blank=True,
        default="",
        db_default="",
        help_text=_("Start of the key's SHA-256."),
    )
    remote_address = models.GenericIPAddressField(_("address"), null=True)
    response_status = models.PositiveSmallIntegerField(_("answer"), null=True)
    response_body = models.JSONField(default=dict)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    """Tries of the worker that failed, and the try that settled it. A sender's repetitions do not count."""
    last_error = models.CharField(_("last error"), max_length=500, blank=True)
    received_at = models.DateTimeField(_("received"), default=clock.now)
    processed_at = models.DateTimeField(_("processed"), null=True)
    next_at = models.DateTimeField(_("next try"), null=True, db_default=Now())

    free_columns = {
        "attempts": "counts the tries of the worker; what came of each is in a transition row",
        "last_error": "the last try's error, for the person who looks; the steps keep the earlier ones",
        "next_at": "when the worker tries again; staff may bring it forward",
    }

    class Meta:
        verbose_name = _("provider event")
        verbose_name_plural = _("provider events")
        ordering = ["-id"]
        permissions = [
            ("replay_providerevent", "Can replay provider events"),
            ("resolve_providerevent", "Can mark contradictions as dealt with"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["account", "event_id"], name="provider_event_unique"),
            models.CheckConstraint(
                condition=~models.Q(status="retry") | models.Q(next_at__isnull=False), name="provider_event_retry_at"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_at"], condition=models.Q(status__in=["received", "retry"]), name="provider_event_due"
            ),
            models.Index(
                fields=["status", "-id"],
                condition=models.Q(status__in=["conflict", "dead"]),
                name="provider_event_attention",
            ),
            models.Index(fields=["object_id"], condition=~models.Q(object_id=""), name="provider_event_about"),
            models.Index(fields=["business_key"], condition=~models.Q(business_key=""), name="provider_event_business"),
            BrinIndex(fields=["received_at"], name="provider_event_received", autosummarize=True),
        ]
        triggers = [
            NoDelete(),
            StateGuard(initial=["received", "processed", "ignored", "conflict", "retry"]),
            Frozen(
                "id",
                "public_id",
                "account",
                "livemode",
                "channel",
                "event_id",
                "event_type",
                "business_key",
                "body_sha256",
                "key_id",
                "remote_address",
                "received_at",
            ),
            FrozenOnce(
                "OLD.status IN ('processed', 'ignored', 'conflict', 'resolved')",
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
    def postpone(self, *, error: str, next_at: datetime, counts: bool) -> None:
        """It could not be applied: that failed and was rolled back, or what it is about is not there yet.

        ``counts``: this was one of the worker's tries.
        """
        self.attempts += counts
        self.last_error = error[:500]
        self.next_at = next_at

    @transition(field=status, source=[Status.RECEIVED, Status.RETRY], target=Status.DEAD)
    def give_up(self, *, error: str, counts: bool) -> None:
        """The last try failed. ``counts`` as for ``postpone``."""
        self.attempts += counts
        self.last_error = error[:500]
        self.next_at = None

    @transition(field=status, source=Status.CONFLICT, target=Status.RESOLVED)
    def resolve(self) -> None:
        """Somebody looked at the contradiction and did outside what was to be done; why it is one stays."""

    @transition(
        field=status,
        source=[Status.IGNORED, Status.CONFLICT, Status.RESOLVED, Status.DEAD],
        target=Status.RETRY,
    )
    def reopen(self, *, next_at: datetime) -> None:
        """Somebody wants it applied again. What was applied is never reopened."""
        self.next_at = next_at

    @property
    def is_settled(self) -> bool:
        """True once it needs no further work."""
        return self.status in self.SETTLED

    @property
    def stored(self) -> ProviderEventBody | None:
        """Bytes and headers as they came; None once they were dropped."""
        return ProviderEventBody.objects.filter(event_id=self.pk, received_at=self.received_at).first()

    @property
    def body(self) -> bytes | None:
        """The raw bytes; None once they were dropped."""
        found = self.stored
        return None if found is None else bytes(found.body)

    def _settle(self, reason: str, object_id: str) -> None:
        self.attempts += 1
        self.reason = reason[:200]
        self.object_id = object_id
        self.processed_at = clock.now()
        self.next_at = None


class ProviderEventBody(models.Model):
    """Raw bytes and some headers of a notice, in monthly partitions that are dropped when their time is over.

    The table, its partitions and the two functions that make and drop them are SQL of a migration: the application may
    insert and read, and call the functions; it may not change the schema.
    """

    event = models.OneToOneField(ProviderEvent, models.PROTECT, primary_key=True, related_name="+", db_constraint=False)
    received_at = models.DateTimeField()
    headers = models.JSONField()
    body = models.BinaryField()

    class Meta:
        db_table = "webhooks_providereventbody"
        triggers = [AppendOnly()]

    def __str__(self) -> str:
        return f"body of {self.event_id}"


class InboxTally(models.Model):
    """How many repetitions and refusals a channel had in an hour: neither leaves a row of its own."""

    class Kind(models.TextChoices):
        DUPLICATE = "duplicate", _("repeated")
        REFUSED = "refused", _("refused")

    hour = models.DateTimeField()
    channel = models.CharField(max_length=32, choices=Channel.choices)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    count = models.BigIntegerField(default=0)

    free_columns = {
        "count": "grows with every repetition or refusal; a statistic, no money or right depends on it",
        ROWS: "a statistic",
    }

    class Meta:
        constraints = [models.UniqueConstraint(fields=["hour", "channel", "kind"], name="inbox_tally_unique")]
        triggers = [Frozen("id", "hour", "channel", "kind")]

    def __str__(self) -> str:
        return f"{self.channel} {self.kind}: {self.count}"


class ProviderPoll(models.Model):
    """How far a provider was asked for what it knows, and how many notices had never come."""

    account = models.OneToOneField("payments.ProviderAccount", models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(null=True)
    covered_until = models.DateTimeField(null=True)
    found = models.BigIntegerField(default=0)
    last_error = models.CharField(max_length=300, blank=True)

    free_columns = {
        "asked_at": "the worker's own place",
        "covered_until": "the worker's own place: how far back it asks next; what it finds is a notice like any other",
        "found": "a statistic: every notice found has its own row",
        "last_error": "the last try's error, for the person who looks",
    }

    class Meta:
        triggers = [NoDelete(), Frozen("id", "account")]

    def __str__(self) -> str:
        return f"{self.account}: {self.covered_until}"


class ProviderEventTransition(TransitionRow):
    """One change of a notice's state after the transaction that stored it, or one more try that changed nothing."""

    event = models.ForeignKey(ProviderEvent, models.PROTECT, related_name="transitions")

    class Meta(TransitionRow.Meta):
        verbose_name = _("step of a provider event")
        verbose_name_plural = _("steps of provider events")
        triggers: list[Any] = [AppendOnly()]
