"""Models of the inbox: a permanent row per authentic notice, and its raw body for the retention required by law."""

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
from core.fields import IdentifierField
from core.state import ProtectedRefreshMixin, StatusField, TransitionRow


class Channel(models.TextChoices):
    """The way by which a notice reached us; it determines the parser."""

    STP_DEPOSITS = "stp.deposits", _("STP: deposits")
    STP_ORDERS = "stp.orders", _("STP: sent orders")
    STP_CONCILIATION = "stp.conciliation", _("STP: polled")
    CONEKTA_EVENTS = "conekta.events", _("Conekta: events")
    CONEKTA_LIST = "conekta.list", _("Conekta: polled")


class ProviderEvent(ProtectedRefreshMixin):
    """One authentic notice of a provider, and its outcome.

    ``event_id`` is the provider's identity of the message or, without one, of its subject; it is unique per account.
    Every repetition gets the stored response. The statement that writes the effect inserts the row, usually settled;
    every later change of state has a ``ProviderEventTransition``.
    """

    class Status(models.TextChoices):
        RECEIVED = "received", _("received")
        """Only in memory; stored if applying failed and was rolled back."""
        PROCESSED = "processed", _("processed")
        """Applied, with an effect."""
        IGNORED = "ignored", _("ignored")
        """Nothing had to change, for the stored reason."""
        RETRY = "retry", _("to be retried")
        """It could not be parsed or applied; the worker retries it at ``next_at``. A repetition may also settle it."""
        CONFLICT = "conflict", _("conflict")
        """It contradicts stored or booked data; nothing was changed, and staff must review it."""
        RESOLVED = "resolved", _("dealt with")
        """A conflict that staff resolved; the transition row records who, when and how."""
        DEAD = "dead", _("given up")
        """All attempts failed; staff must review it and may replay it."""

    SETTLED = (Status.PROCESSED, Status.IGNORED, Status.CONFLICT, Status.RESOLVED)

    public_id = IdentifierField(
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
        _("authenticated by"),
        max_length=16,
        blank=True,
        default="",
        db_default="",
        help_text=_("Start of the key's SHA-256."),
    )
    remote_address = models.GenericIPAddressField(_("address"), null=True)
    response_status = models.PositiveSmallIntegerField(_("response"), null=True)
    response_body = models.JSONField(default=dict)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    """Failed attempts of the worker, and the attempt that settled it; repetitions do not count."""
    last_error = models.CharField(_("last error"), max_length=500, blank=True)
    received_at = models.DateTimeField(_("received"), default=clock.now)
    processed_at = models.DateTimeField(_("processed"), null=True)
    next_at = models.DateTimeField(_("next try"), null=True, db_default=Now())

    free_columns = {
        "attempts": "counts the attempts of the worker; each has a transition row with its result",
        "last_error": "the last attempt's error, for staff; transition rows keep the earlier ones",
        "next_at": "when the worker retries; staff may bring it forward",
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
        """Applied, with an effect on ``object_id``."""
        self._settle(reason, object_id)

    @transition(field=status, source=[Status.RECEIVED, Status.RETRY], target=Status.IGNORED)
    def ignore(self, *, reason: str, object_id: str) -> None:
        """Nothing had to change."""
        self._settle(reason, object_id)

    @transition(field=status, source=[Status.RECEIVED, Status.RETRY], target=Status.CONFLICT)
    def contradict(self, *, reason: str, object_id: str) -> None:
        """It contradicts stored or booked data."""
        self._settle(reason, object_id)

    @transition(field=status, source=[Status.RECEIVED, Status.RETRY], target=Status.RETRY)
    def postpone(self, *, error: str, next_at: datetime, counts: bool) -> None:
        """Retry later: applying failed and was rolled back, or the target does not exist yet.

        ``counts``: this was an attempt of the worker.
        """
        self.attempts += counts
        self.last_error = error[:500]
        self.next_at = next_at

    @transition(field=status, source=[Status.RECEIVED, Status.RETRY], target=Status.DEAD)
    def give_up(self, *, error: str, counts: bool) -> None:
        """The last attempt failed. ``counts`` as for ``postpone``."""
        self.attempts += counts
        self.last_error = error[:500]
        self.next_at = None

    @transition(field=status, source=Status.CONFLICT, target=Status.RESOLVED)
    def resolve(self) -> None:
        """Staff resolved the conflict outside the system; its reason stays."""

    @transition(
        field=status,
        source=[Status.IGNORED, Status.CONFLICT, Status.RESOLVED, Status.DEAD],
        target=Status.RETRY,
    )
    def reopen(self, *, next_at: datetime) -> None:
        """Apply it again. An applied notice is never reopened."""
        self.next_at = next_at

    @property
    def is_settled(self) -> bool:
        """True if it needs no further processing."""
        return self.status in self.SETTLED

    @property
    def stored(self) -> ProviderEventBody | None:
        """Raw body and headers; None after they were dropped."""
        return ProviderEventBody.objects.filter(event_id=self.pk, received_at=self.received_at).first()

    @property
    def body(self) -> bytes | None:
        """The raw body; None after it was dropped."""
        found = self.stored
        return None if found is None else bytes(found.body)

    def _settle(self, reason: str, object_id: str) -> None:
        self.attempts += 1
        self.reason = reason[:200]
        self.object_id = object_id
        self.processed_at = clock.now()
        self.next_at = None


class ProviderEventBody(models.Model):
    """Raw body and some headers of a notice, in monthly partitions that are dropped after their retention.

    The table, its partitions and the two functions that create and drop partitions are SQL of a migration: the
    application may insert, read and call the functions, but not change the schema.
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
    """Number of repeated or refused notices of a channel in one hour; they have no rows of their own."""

    class Kind(models.TextChoices):
        DUPLICATE = "duplicate", _("repeated")
        REFUSED = "refused", _("refused")

    hour = models.DateTimeField()
    channel = models.CharField(max_length=32, choices=Channel.choices)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    count = models.BigIntegerField(default=0)

    free_columns = {
        "count": "grows with every repetition or refusal; a statistic on which no money or permission depends",
        ROWS: "a statistic",
    }

    class Meta:
        constraints = [models.UniqueConstraint(fields=["hour", "channel", "kind"], name="inbox_tally_unique")]
        triggers = [Frozen("id", "hour", "channel", "kind")]

    def __str__(self) -> str:
        return f"{self.channel} {self.kind}: {self.count}"


class ProviderPoll(models.Model):
    """Progress of polling an account, and the number of notices that did not arrive as webhooks."""

    account = models.OneToOneField("payments.ProviderAccount", models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(null=True)
    covered_until = models.DateTimeField(null=True)
    found = models.BigIntegerField(default=0)
    last_error = models.CharField(max_length=300, blank=True)

    free_columns = {
        "asked_at": "state of the worker",
        "covered_until": "state of the worker: the start of the next poll; polled notices are processed like any other",
        "found": "a statistic: every found notice has its own row",
        "last_error": "the last attempt's error, for staff",
    }

    class Meta:
        triggers = [NoDelete(), Frozen("id", "account")]

    def __str__(self) -> str:
        return f"{self.account}: {self.covered_until}"


class ProviderEventTransition(TransitionRow):
    """One change of a notice's state after it was stored, or one more attempt that changed nothing."""

    event = models.ForeignKey(ProviderEvent, models.PROTECT, related_name="transitions")

    class Meta(TransitionRow.Meta):
        verbose_name = _("provider event transition")
        verbose_name_plural = _("provider event transitions")
        triggers: list[Any] = [AppendOnly()]
