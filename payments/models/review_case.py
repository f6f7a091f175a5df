"""Review cases: deposits in suspense that staff must decide about."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from django.db import models
from django.utils.translation import gettext_lazy as _
from django_fsm import transition

from core import clock, ids
from core.db import AppendOnly, Frozen, FrozenOnce, NoDelete, SameMode, StateGuard
from core.fields import IdentifierField
from core.guards import Recorded, WithTransition
from core.state import ProtectedRefreshMixin, StatusField, TransitionRow
from payments.models.deposit import Deposit
from payments.models.guards import ResolvedIsCredited, UndoneByTwoPeople

if TYPE_CHECKING:
    from payments.models.payout import Payout


class ReviewCase(ProtectedRefreshMixin):
    """A deposit in suspense that staff must credit or assign. It is open as long as the money is in suspense.

    Money that looks like the return of a payout is first matched to that payout, by its tracking key or by people, or
    found to be no return. ``return_of`` is the tracking key that it names; ``listed_at`` is when the provider's list
    showed the transfer, which its notice, without a signature, does not prove: nothing is decided about it before.

    The evidence is the deposit, the notice that reported it, and the payment or CLABE to which it was sent. The
    transition row records who decided, when and why.
    """

    class Status(models.TextChoices):
        TO_MATCH = "to_match", _("to be matched")
        """The money is in suspense, and may be the return of a payout."""
        OPEN = "open", _("to be decided")
        """The money is in suspense; staff must decide."""
        CREDITED = "credited", _("credited as sent")
        """The money was credited to its original destination."""
        ASSIGNED = "assigned", _("assigned to another")
        """The money was credited to another payment, CLABE or merchant."""
        MATCHED = "matched", _("matched")
        """The money is the return of ``payout``."""

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
    return_of = models.CharField(_("tracking key of the payout"), max_length=40, blank=True, default="", db_default="")
    listed_at = models.DateTimeField(_("confirmed by the provider's list"), null=True, blank=True)
    payout = models.ForeignKey(
        "payments.Payout",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="return_cases",
        verbose_name=_("returned payout"),
        db_index=False,
        db_constraint=False,  # SameMode
    )
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
            ("match_reviewcase", "Can match a returned transfer to its payout"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=["to_match", "open"], resolved_at__isnull=True)
                | (~models.Q(status__in=["to_match", "open"]) & models.Q(resolved_at__isnull=False)),
                name="review_case_resolved_has_moment",
            ),
            models.CheckConstraint(
                condition=models.Q(status="matched", payout__isnull=False)
                | (~models.Q(status="matched") & models.Q(payout__isnull=True)),
                name="review_case_matched_has_payout",
            ),
            models.UniqueConstraint(
                fields=["payout"], condition=models.Q(payout__isnull=False), name="review_case_payout_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(status="to_match") | models.Q(return_of="") | models.Q(listed_at__isnull=False),
                name="review_case_return_is_listed",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(resolved_at__isnull=True), name="review_case_waiting"),
        ]
        triggers = [
            NoDelete(),
            StateGuard(initial=["to_match", "open"]),
            Recorded(),
            Frozen(
                "id",
                "public_id",
                "livemode",
                "deposit",
                "merchant",
                "payment",
                "reason",
                "return_of",
                "due_at",
                "created_at",
            ),
            FrozenOnce("OLD.listed_at IS NOT NULL", "listed_at"),
            WithTransition(["credited", "assigned", "matched", "open"], "resolved_at"),
            WithTransition(["matched", "open"], "payout"),
            SameMode("deposit", "payout"),
            ResolvedIsCredited(),
            UndoneByTwoPeople(),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def is_waiting(self) -> bool:
        """True while the money is in suspense."""
        return self.status in (self.Status.TO_MATCH, self.Status.OPEN)

    @property
    def is_proven(self) -> bool:
        """True unless the money may be the return of a payout and the provider's list has not shown it yet."""
        return not self.return_of or self.listed_at is not None

    @transition(field=status, source=[Status.TO_MATCH, Status.OPEN], target=Status.MATCHED)
    def match(self, payout: Payout, *, at: datetime) -> None:
        """The money is the return of ``payout``. Ledger: suspense -> merchant or cash."""
        self.payout = payout
        self.resolved_at = at

    @transition(field=status, source=Status.MATCHED, target=Status.OPEN)
    def undo_match(self) -> None:
        """Two people found that the money was not the return of ``payout``. Ledger: merchant -> suspense."""
        self.payout, self.resolved_at = None, None

    @transition(field=status, source=Status.TO_MATCH, target=Status.OPEN)
    def is_no_return(self) -> None:
        """The money returns no payout: staff may credit or assign it. No money moves."""

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
