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
from payments.models.payout import Payout

KIND = "payments.payout_resolution"
"""Name of its approvals."""


def evidence_path(resolution: PayoutResolution, filename: str) -> str:
    """Storage path of the evidence; the uploaded file name is not used."""
    return f"payouts/{resolution.public_id}"


class PayoutResolution(ProtectedRefreshMixin):
    """What people say became of a payout: proposed by one person with evidence, carried out when a second approves.

    ``reason`` is the evidence as text; a file is optional. ``happened_at`` is when the money was settled or came back.
    """

    class Decision(models.TextChoices):
        NEVER_LEFT = "never_left", _("it never left")
        """It fails, and its hold is released. Refused while the order may still be carried out."""
        SETTLED = "settled", _("it was settled")
        RETURNED = "returned", _("it came back")
        NOT_RETURNED = "not_returned", _("the matched transfer was not its return")
        """The match is undone: the transfer is in suspense again, and the payout is completed."""
        SEEN = "seen", _("seen, nothing to do")
        """Clears ``Payout.needs_staff``."""

    class Status(models.TextChoices):
        PROPOSED = "proposed", _("proposed")
        """Waiting for a second person; nothing is changed."""
        APPLIED = "applied", _("carried out")
        """Approved and carried out at the same time."""
        REJECTED = "rejected", _("rejected")
        """Rejected, withdrawn or expired; nothing was changed."""

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "payout_resolution")
    )
    payout = models.ForeignKey(Payout, models.PROTECT, related_name="resolutions", verbose_name=_("payout"))
    decision = models.CharField(_("decision"), max_length=16, choices=Decision.choices)
    happened_at = models.DateTimeField(_("when it happened"), null=True, blank=True)
    reason = models.CharField(_("evidence in words"), max_length=500)
    evidence = models.FileField(_("evidence"), upload_to=evidence_path, blank=True)
    evidence_name = models.CharField(_("file name"), max_length=150, blank=True)
    evidence_type = models.CharField(_("content"), max_length=32, blank=True)
    evidence_sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    maker = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="+",
        verbose_name=_("proposed by"),
    )
    status = StatusField(_("status"), choices=Status.choices, default=Status.PROPOSED)
    created_at = models.DateTimeField(_("proposed"), default=clock.now, editable=False)
    resolved_at = models.DateTimeField(_("decided"), null=True, blank=True)

    class Meta:
        verbose_name = _("resolution of a payout")
        verbose_name_plural = _("resolutions of payouts")
        ordering = ["-id"]
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=~models.Q(reason=""), name="payout_resolution_has_reason"),
            models.CheckConstraint(
                condition=models.Q(decision__in=["never_left", "not_returned", "seen"], happened_at=None)
                | models.Q(decision__in=["settled", "returned"], happened_at__isnull=False),
                name="payout_resolution_moment_if_moved",
            ),
            models.CheckConstraint(
                condition=models.Q(evidence="", evidence_type="", evidence_sha256="")
                | models.Q(~models.Q(evidence=""), evidence_type__in=["image/jpeg", "image/png", "application/pdf"]),
                name="payout_resolution_evidence_allowed",
            ),
            models.CheckConstraint(
                condition=models.Q(status="proposed", resolved_at__isnull=True)
                | (~models.Q(status="proposed") & models.Q(resolved_at__isnull=False)),
                name="payout_resolution_resolved_has_moment",
            ),
            models.UniqueConstraint(
                fields=["payout"], condition=models.Q(status="proposed"), name="payout_resolution_one_open"
            ),
        ]
        triggers = [
            NoDelete(),
            StateGuard(initial=["proposed"]),
            WithTransition(["applied", "rejected"], "resolved_at"),
            Frozen(
                "id",
                "public_id",
                "payout",
                "decision",
                "happened_at",
                "reason",
                "evidence",
                "evidence_name",
                "evidence_type",
                "evidence_sha256",
                "maker",
                "created_at",
            ),
            Guard(
                name="approved_and_possible",
                when=pgtrigger.Before,
                operation=pgtrigger.UpdateOf("status"),
                condition=pgtrigger.Condition("(NEW.status = 'applied' AND OLD.status <> 'applied')"),
                declare=[("p", "public.payments_payout")],
                judges={
                    "status": "applied: a second person approved it; "
                    "`never_left` only of a payout that cannot have left"
                },
                # Checked before the payout changes: the service writes this row first.
                func=f"""
                    IF NOT EXISTS (
                        SELECT 1 FROM public.staff_approval a
                        WHERE a.subject = NEW.public_id AND a.kind = '{KIND}' AND a.status = 'approved'
                            AND a.maker_id = NEW.maker_id AND public.staff_approved(a.id)
                    ) THEN
                        RAISE EXCEPTION 'payments_payoutresolution: % was not approved', NEW.public_id
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    IF NEW.decision = 'never_left' THEN
                        SELECT * INTO p FROM public.payments_payout WHERE id = NEW.payout_id FOR NO KEY UPDATE;
                        IF NOT (
                            (p.send_outcome = 'not_sent' AND NOT EXISTS (
                                SELECT 1 FROM public.payments_providercall
                                WHERE object_id = p.public_id AND operation = 'send_payout' AND outcome <> 'not_sent'
                            ))
                            OR (p.send_outcome = 'unknown' AND p.needs_staff = 'order_differs' AND p.operating_date
                                < (pg_catalog.clock_timestamp() AT TIME ZONE 'America/Mexico_City')::date)
                        ) THEN
                            RAISE EXCEPTION 'payments_payoutresolution: % may have left', p.public_id
                                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                        END IF;
                    END IF;
                    RETURN NEW;
                """,  # noqa: S608 - constants only
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @transition(field=status, source=Status.PROPOSED, target=Status.APPLIED)
    def apply(self) -> None:
        """A second person approved. Money moves as the payout's change of state says."""
        self.resolved_at = clock.now()

    @transition(field=status, source=Status.PROPOSED, target=Status.REJECTED)
    def reject(self) -> None:
        """A second person rejected, or it was withdrawn or expired. Nothing changes."""
        self.resolved_at = clock.now()
