"""Review cases: deposits in suspense that staff must decide about."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from django.db import models
from django.utils.translation import gettext_lazy as _
from django_fsm import transition

from core import clock, ids
from core.db import AppendOnly, Frozen, NoDelete, SameMode, StateGuard
from core.fields import IdentifierField
from core.guards import Recorded, WithTransition
from core.state import ProtectedRefreshMixin, StatusField, TransitionRow
from payments.models.deposit import Deposit
from payments.models.guards import ResolvedIsCredited


class ReviewCase(ProtectedRefreshMixin):
    """A deposit in suspense that staff must credit or assign. It is open as long as the money is in suspense.

    The evidence is the deposit, the notice that reported it, and the payment or CLABE to which it was sent. The
    transition row records who decided, when and why.
    """

    class Status(models.TextChoices):
        OPEN = "open", _("to be decided")
        """The money is in suspense; staff must decide."""
        CREDITED = "credited", _("credited as sent")
        """The money was credited to its original destination."""
        ASSIGNED = "assigned", _("assigned to another")
        """The money was credited to another payment, CLABE or merchant."""

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "review_case")
    )
    livemode = models.BooleanField(_("live"))
    deposit = models.OneToOneField(Deposit, models.PROTECT, related_name="review_case", verbose_name=_("deposit"))
    merchant = models.ForeignKey(
        "merchants.Merchant",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="review_cases",
        verbose_name=_("merchant"),
    )
    payment = models.ForeignKey(
        "payments.Payment",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="review_cases",
        verbose_name=_("payment"),
        db_index=False,
    )
    reason = models.CharField(_("reason"), max_length=32, choices=Deposit.SuspenseReason.choices)
    status = StatusField(_("status"), choices=Status.choices, default=Status.OPEN)
    due_at = models.DateTimeField(_("due"))
    resolved_at = models.DateTimeField(_("resolved"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("review case")
        verbose_name_plural = _("review cases")
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [
            ("credit_reviewcase", "Can credit a deposit under review"),
            ("assign_reviewcase", "Can assign a deposit under review"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status="open", resolved_at__isnull=True)
                | (~models.Q(status="open") & models.Q(resolved_at__isnull=False)),
                name="review_case_resolved_has_moment",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(status="open"), name="review_case_open"),
        ]
        triggers = [
            NoDelete(),
            StateGuard(initial=["open"]),
            Recorded(),
            Frozen("id", "public_id", "livemode", "deposit", "merchant", "payment", "reason", "due_at", "created_at"),
            WithTransition(["credited", "assigned"], "resolved_at"),
            SameMode("deposit"),
            ResolvedIsCredited(),
        ]

    def __str__(self) -> str:
        return self.public_id

    @transition(field=status, source=Status.OPEN, target=Status.CREDITED)
    def credit(self, *, at: datetime) -> None:
        """Credit the original destination. Ledger: suspense -> merchant, fee, IVA."""
        self.resolved_at = at

    @transition(field=status, source=Status.OPEN, target=Status.ASSIGNED)
    def assign(self, *, at: datetime) -> None:
        """Credit another destination. Ledger: suspense -> merchant, fee, IVA."""
        self.resolved_at = at


class ReviewCaseTransition(TransitionRow):
    """One change of a review case's state."""

    review_case = models.ForeignKey(ReviewCase, models.PROTECT, related_name="transitions")

    class Meta(TransitionRow.Meta):
        verbose_name = _("review case transition")
        verbose_name_plural = _("review case transitions")
        triggers = [AppendOnly()]
