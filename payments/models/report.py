"""Reports: files that merchants order."""

from __future__ import annotations

from functools import partial

from django.db import models
from django.utils.translation import gettext_lazy as _
from django_fsm import transition

from core import clock, ids
from core.db import AppendOnly, Frozen, FrozenOnce, NoDelete, StateGuard
from core.fields import IdentifierField
from core.guards import OnlyIf, Recorded, WithTransition
from core.state import ProtectedRefreshMixin, StatusField, TransitionRow


class Report(ProtectedRefreshMixin):
    """A file about a period that a merchant ordered, written by the worker and kept for a limited time.

    ``attempt`` counts its writers: a writer whose lease expired before another one started cannot finish it. The row
    remains after its file is removed.
    """

    class Type(models.TextChoices):
        PAYMENTS = "payments", _("payments")
        PAYOUTS = "payouts", _("payouts")
        BALANCE_TRANSACTIONS = "balance_transactions", _("balance transactions")
        STATEMENT = "statement", _("statement")

    class Format(models.TextChoices):
        CSV = "csv", "CSV"
        """For processing by programs."""
        XLSX = "xlsx", "Excel"
        """For reading in Excel."""

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        """Waiting for the worker."""
        PROCESSING = "processing", _("processing")
        """The worker is writing it."""
        COMPLETED = "completed", _("completed")
        """The file can be downloaded until it expires."""
        FAILED = "failed", _("failed")
        """It could not be written; the failure says why."""

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "report")
    )
    merchant = models.ForeignKey(
        "merchants.Merchant", models.PROTECT, related_name="+", verbose_name=_("merchant"), db_index=False
    )
    livemode = models.BooleanField(_("live"))
    type = models.CharField(_("type"), max_length=32, choices=Type.choices)
    format = models.CharField(
        _("format"), max_length=8, choices=Format.choices, default=Format.CSV, db_default=Format.CSV
    )
    start_date = models.DateField(_("first day"), help_text=_("In Mexico City."))
    end_date = models.DateField(_("last day"), help_text=_("Inclusive."))
    metadata = models.JSONField(default=dict, blank=True)
    status = StatusField(_("status"), choices=Status.choices, default=Status.PENDING)
    rows_done = models.BigIntegerField(_("rows written"), default=0)
    rows_total = models.BigIntegerField(_("total rows"), null=True, blank=True)
    attempt = models.PositiveSmallIntegerField(_("attempts"), default=0)
    leased_until = models.DateTimeField(null=True, blank=True, help_text="End of the writer's lease.")
    size = models.BigIntegerField(_("size"), null=True, blank=True, help_text=_("Bytes."))
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    failure_code = models.CharField(max_length=64, blank=True)
    failure_message = models.CharField(max_length=250, blank=True)
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)
    completed_at = models.DateTimeField(_("completed at"), null=True, blank=True)
    expires_at = models.DateTimeField(_("file kept until"), null=True, blank=True)
    removed_at = models.DateTimeField(_("file removed"), null=True, blank=True)

    class Meta:
        verbose_name = _("report")
        verbose_name_plural = _("reports")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(end_date__gte=models.F("start_date")), name="report_days_in_order"
            ),
            models.CheckConstraint(
                condition=~models.Q(status="completed")
                | models.Q(size__isnull=False, completed_at__isnull=False, expires_at__isnull=False),
                name="report_completed_has_file",
            ),
        ]
        indexes = [
            models.Index(fields=["merchant", "livemode", "-id"], name="report_list"),
            models.Index(
                fields=["id"], condition=models.Q(status__in=["pending", "processing"]), name="report_unfinished"
            ),
            models.Index(
                fields=["expires_at"], condition=models.Q(status="completed", removed_at=None), name="report_kept"
            ),
        ]
        triggers = [
            NoDelete(),
            StateGuard(initial=["pending"]),
            Recorded(),
            OnlyIf(
                "with_file",
                "NEW.status IS DISTINCT FROM 'completed' OR ("
                "OLD.leased_until IS NOT NULL AND OLD.attempt > 0 AND NEW.attempt = OLD.attempt "
                "AND NEW.size > 0 AND NEW.sha256 ~ '^[0-9a-f]{64}$' AND NEW.rows_done = NEW.rows_total "
                "AND NEW.expires_at > NEW.completed_at)",
                "status",
                says="can become completed only by the writer that holds the lease, with the size and hash of its file",
            ),
            Frozen(
                "id",
                "public_id",
                "merchant",
                "livemode",
                "type",
                "format",
                "start_date",
                "end_date",
                "metadata",
                "created_at",
            ),
            FrozenOnce("OLD.status IN ('completed', 'failed')", "rows_done", "rows_total", "attempt", "leased_until"),
            WithTransition(["completed"], "size", "sha256", "expires_at"),
            WithTransition(["failed"], "failure_code", "failure_message"),
            WithTransition(["completed", "failed"], "completed_at"),
            OnlyIf(
                "removed_late",
                "OLD.removed_at IS NULL AND NEW.removed_at >= OLD.expires_at",
                "removed_at",
                says="can only be set once, after the file has expired",
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @transition(field=status, source=Status.PENDING, target=Status.PROCESSING)
    def start(self) -> None:
        """The worker starts to write it."""

    @transition(field=status, source=Status.PROCESSING, target=Status.COMPLETED)
    def complete(self, *, rows: int, size: int, sha256: str) -> None:
        """The file is complete and can be downloaded."""
        self.rows_done = self.rows_total = rows
        self.size = size
        self.sha256 = sha256
        self.completed_at = clock.now()

    @transition(field=status, source=[Status.PENDING, Status.PROCESSING], target=Status.FAILED)
    def fail(self, *, code: str, message: str) -> None:
        """It could not be written and is not retried."""
        self.failure_code = code
        self.failure_message = message[:250]
        self.completed_at = clock.now()


class ReportTransition(TransitionRow):
    """One change of a report's state."""

    report = models.ForeignKey(Report, models.PROTECT, related_name="transitions")

    class Meta(TransitionRow.Meta):
        verbose_name = _("report transition")
        verbose_name_plural = _("report transitions")
        triggers = [AppendOnly()]
