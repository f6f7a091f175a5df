"""Records of HTTP requests to providers."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock
from core.db import NoDelete, SameMode
from payments.models.guards import FilledOnce


class ProviderCall(models.Model):
    """One HTTP request to a provider: inserted and committed before it is sent; the outcome is filled in once.

    A row without an outcome is a request whose process was killed or whose database failed: its outcome is unknown.
    Texts contain no secret or signature, and personal data are masked. Rows are never deleted (docs/adr/0032).
    """

    class Outcome(models.TextChoices):
        ACCEPTED = "accepted", _("accepted")
        REFUSED = "refused", _("refused")
        NOT_SENT = "not_sent", _("not sent")
        """The provider did nothing: it was not reached or rejected the request beforehand. It may be retried."""
        UNKNOWN = "unknown", _("unknown")
        """The provider may have executed it."""

    account = models.ForeignKey(
        "payments.ProviderAccount",
        models.PROTECT,
        related_name="calls",
        verbose_name=_("provider account"),
        db_index=False,
        db_constraint=False,  # SameMode
    )
    livemode = models.BooleanField(_("live"))
    operation = models.CharField(_("operation"), max_length=40)
    object_id = models.CharField(_("object"), max_length=40, blank=True)
    request = models.TextField(_("request"), blank=True)
    began_at = models.DateTimeField(_("started"), default=clock.now)
    outcome = models.CharField(_("outcome"), max_length=8, choices=Outcome.choices, blank=True, default="")
    status = models.PositiveSmallIntegerField(_("HTTP status"), null=True)
    answer = models.TextField(_("response"), blank=True, default="")
    duration_ms = models.PositiveIntegerField(_("milliseconds"), null=True)

    class Meta:
        verbose_name = _("provider call")
        verbose_name_plural = _("provider calls")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(outcome="", status__isnull=True, answer="", duration_ms__isnull=True)
                | models.Q(outcome__in=["accepted", "refused", "not_sent", "unknown"], duration_ms__isnull=False),
                name="provider_call_filled_at_once",
            ),
        ]
        indexes = [
            models.Index(fields=["object_id", "id"], condition=~models.Q(object_id=""), name="provider_call_about"),
        ]
        triggers = [
            NoDelete(),
            FilledOnce("outcome", "status", "answer", "duration_ms"),
            SameMode("account"),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.object_id}".strip()
