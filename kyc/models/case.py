"""Models of verification cases and their transitions."""

from __future__ import annotations

from functools import partial

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _
from django_fsm import transition

from core import clock, ids
from core.db import AppendOnly, Frozen, Guard, NoDelete, StateGuard
from core.fields import IdentifierField
from core.guards import Recorded, WithTransition
from core.state import ProtectedRefreshMixin, StatusField, TransitionRow


class Case(ProtectedRefreshMixin):
    """The verification of one merchant. Live payments open when it is approved."""

    class Status(models.TextChoices):
        DRAFT = "draft", _("draft")
        """Documents are being collected."""
        SUBMITTED = "submitted", _("submitted")
        """Waiting for a decision."""
        APPROVED = "approved", _("approved")
        """The merchant may take live payments."""
        REJECTED = "rejected", _("rejected")
        """The merchant may not take live payments, for the stated reason. The case can be reopened."""

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "kyc_case")
    )
    merchant = models.OneToOneField(
        "merchants.Merchant", models.PROTECT, related_name="kyc_case", verbose_name=_("merchant")
    )
    status = StatusField(_("status"), choices=Status.choices, default=Status.DRAFT)
    decision_reason = models.CharField(_("reason of the decision"), max_length=500, blank=True)
    decided_by = models.CharField(_("decided by"), max_length=150, blank=True)
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("KYC case")
        verbose_name_plural = _("KYC cases")
        ordering = ["-id"]
        triggers = [
            NoDelete(),
            StateGuard(initial=["draft"]),
            Recorded(),
            Frozen("id", "public_id", "merchant", "created_at"),
            WithTransition(["approved", "rejected"], "decision_reason", "decided_by", "decided_at"),
            Guard(
                name="with_documents",
                when=pgtrigger.Before,
                operation=pgtrigger.UpdateOf("status"),
                by_index=True,
                judges={"status": "submitted: has a document; decided: says who, when and why"},
                func="""
                    IF NEW.status = OLD.status THEN
                        RETURN NEW;
                    END IF;
                    IF NEW.status = 'submitted'
                            AND NOT EXISTS (SELECT 1 FROM public.kyc_document WHERE case_id = NEW.id) THEN
                        RAISE EXCEPTION 'kyc_case: a case without documents cannot be submitted'
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    IF NEW.status IN ('approved', 'rejected') AND (
                        NEW.decision_reason = '' OR NEW.decided_by = '' OR NEW.decided_at IS NULL
                    ) THEN
                        RAISE EXCEPTION 'kyc_case: a decision says who decided, when and why'
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return str(self.merchant)

    @transition(field=status, source=Status.DRAFT, target=Status.SUBMITTED)
    def submit(self) -> None:
        """Submit the documents for a decision."""

    @transition(field=status, source=Status.SUBMITTED, target=Status.APPROVED)
    def approve(self, *, reason: str, actor: str) -> None:
        """Confirm the merchant's identity and open live payments."""
        self._decide(reason, actor)

    @transition(field=status, source=Status.SUBMITTED, target=Status.REJECTED)
    def reject(self, *, reason: str, actor: str) -> None:
        """Keep the merchant out of live mode."""
        self._decide(reason, actor)

    @transition(field=status, source=Status.REJECTED, target=Status.DRAFT)
    def reopen(self) -> None:
        """Collect documents again after a rejection."""

    def _decide(self, reason: str, actor: str) -> None:
        self.decision_reason = reason
        self.decided_by = actor
        self.decided_at = clock.now()


class CaseTransition(TransitionRow):
    """One change of a case's state, with the reason given."""

    case = models.ForeignKey(Case, models.PROTECT, related_name="transitions")

    class Meta(TransitionRow.Meta):
        verbose_name = _("KYC transition")
        verbose_name_plural = _("KYC transitions")
        triggers = [AppendOnly()]
