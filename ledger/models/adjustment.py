from __future__ import annotations

from functools import partial

import pgtrigger
from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from django_fsm import transition

from core import clock, ids
from core.db import Frozen, Guard, NoDelete, StateGuard
from core.fields import IdentifierField
from core.guards import WithTransition
from core.state import ProtectedRefreshMixin, StatusField


def evidence_path(adjustment: Adjustment, filename: str) -> str:
    """Storage path of the evidence; the uploaded file name is not used."""
    return f"ledger/{adjustment.public_id}"


class Adjustment(ProtectedRefreshMixin):
    """A correction of the ledger, proposed by one person with reason and evidence and decided by a second one.

    ``legs``: ``[{"account": code, "amount": centavos}, …]``, debits positive. One that reverses a transaction takes
    effect when it is approved and has no time of its own.
    """

    class Status(models.TextChoices):
        PROPOSED = "proposed", _("proposed")
        """Waiting for a second person; nothing is posted."""
        POSTED = "posted", _("posted")
        """Approved and posted at the same time."""
        REJECTED = "rejected", _("rejected")
        """Rejected, withdrawn or expired; nothing was posted."""

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "adjustment")
    )
    livemode = models.BooleanField(_("live"))
    description = models.CharField(_("description"), max_length=200)
    reason = models.CharField(_("reason"), max_length=500)
    legs = models.JSONField(_("legs"))
    reverses = models.ForeignKey(
        "ledger.Transaction",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="adjustments",
        verbose_name=_("reverses"),
    )
    effective_at = models.DateTimeField(_("effective"), null=True, blank=True)
    operating_date = models.DateField(_("operating date"), null=True, blank=True)
    evidence = models.FileField(_("evidence"), upload_to=evidence_path)
    evidence_name = models.CharField(_("file name"), max_length=150)
    evidence_type = models.CharField(_("content"), max_length=32)
    evidence_sha256 = models.CharField("SHA-256", max_length=64)
    maker = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("proposed by"))
    status = StatusField(_("status"), choices=Status.choices, default=Status.PROPOSED)
    created_at = models.DateTimeField(_("proposed"), default=clock.now, editable=False)
    resolved_at = models.DateTimeField(_("decided"), null=True, blank=True)

    class Meta:
        verbose_name = _("adjustment")
        verbose_name_plural = _("adjustments")
        ordering = ["-id"]
        default_permissions = ("add", "view")
        constraints = [
            models.CheckConstraint(condition=~models.Q(reason=""), name="adjustment_has_reason"),
            models.CheckConstraint(condition=~models.Q(evidence=""), name="adjustment_has_evidence"),
            models.CheckConstraint(
                condition=models.Q(evidence_type__in=["image/jpeg", "image/png", "application/pdf"]),
                name="adjustment_evidence_allowed",
            ),
            models.CheckConstraint(
                condition=models.Q(reverses=None, effective_at__isnull=False, operating_date__isnull=False)
                | models.Q(reverses__isnull=False, effective_at=None, operating_date=None),
                name="adjustment_moment_unless_reversal",
            ),
            models.CheckConstraint(
                condition=models.Q(status="proposed", resolved_at__isnull=True)
                | (~models.Q(status="proposed") & models.Q(resolved_at__isnull=False)),
                name="adjustment_resolved_has_moment",
            ),
        ]
        triggers = [
            NoDelete(),
            StateGuard(initial=["proposed"]),
            WithTransition(["posted", "rejected"], "resolved_at"),
            Frozen(
                "id",
                "public_id",
                "livemode",
                "description",
                "reason",
                "legs",
                "reverses",
                "effective_at",
                "operating_date",
                "evidence",
                "evidence_name",
                "evidence_type",
                "evidence_sha256",
                "maker",
                "created_at",
            ),
            Guard(
                name="approved_and_booked",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                judges={"status": "posted: a second person approved it, and it is in the books"},
                func="""
                    IF NEW.status = 'posted' AND OLD.status <> 'posted' THEN
                        IF NOT EXISTS (
                            SELECT 1 FROM public.staff_approval a
                            WHERE a.subject = NEW.public_id AND a.kind = 'ledger.adjustment'
                                AND a.status = 'approved' AND a.maker_id = NEW.maker_id
                        ) THEN
                            RAISE EXCEPTION 'ledger: adjustment % was not approved', NEW.public_id
                                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                        END IF;
                        IF NOT EXISTS (SELECT 1 FROM public.ledger_transaction t WHERE t.source = NEW.public_id) THEN
                            RAISE EXCEPTION 'ledger: adjustment % is not in the books', NEW.public_id
                                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                        END IF;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @transition(field=status, source=Status.PROPOSED, target=Status.POSTED)
    def book(self) -> None:
        """A second person approved. Ledger: the legs, as kind ``adjustment`` or ``reversal``."""
        self.resolved_at = clock.now()

    @transition(field=status, source=Status.PROPOSED, target=Status.REJECTED)
    def reject(self) -> None:
        """A second person rejected, or it was withdrawn or expired. Ledger: nothing."""
        self.resolved_at = clock.now()
