from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock
from core.db import NoDelete, SameMode
from payments.models.guards import FilledOnce


class ProviderCall(models.Model):
    """One HTTP request to a provider: committed before it is sent, its outcome filled in once, never changed again.

    A row without an outcome is a request whose process died, or whose database was away: nothing is known of it. Texts
    hold no secret and no signature, people's data are masked. Rows are kept for ever (docs/adr/0032).
    """

    class Outcome(models.TextChoices):
        ACCEPTED = "accepted", _("accepted")
        REFUSED = "refused", _("refused")
        NOT_SENT = "not_sent", _("not sent")
        """The provider did nothing: it was not reached, or turned the request away. It may be tried again."""
        UNKNOWN = "unknown", _("unknown")
        """The provider may have done it."""

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
    began_at = models.DateTimeField(_("began"), default=clock.now)
    outcome = models.CharField(_("outcome"), max_length=8, choices=Outcome.choices, blank=True, default="")
    status = models.PositiveSmallIntegerField(_("HTTP status"), null=True)
    answer = models.TextField(_("answer"), blank=True, default="")
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
