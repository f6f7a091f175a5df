"""Approvals by other people than the maker, and their votes.

One rule, in SQL (``staff_votes``): a vote counts unless its voter is the maker, issued the maker's API key, or is
barred (``staff_barred``) by one of these or by an earlier voter.
"""

from __future__ import annotations

from functools import partial

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _
from django_fsm import transition

from core import clock, ids
from core.db import AppendOnly, Frozen, Guard, NoDelete, StateGuard
from core.fields import IdentifierField
from core.state import ProtectedRefreshMixin, StatusField


class Approval(ProtectedRefreshMixin):
    """A proposal by a person or an API key that other people decide about. Superusers are not exempt.

    ``kind`` is the action, ``subject`` its object, ``content_sha256`` the content that was proposed: if the object
    changes afterwards, it cannot be approved. ``issuers`` are the ids of the accounts that issued the maker's API key
    and the keys it comes from; a NULL among them is an unknown person, and then no vote counts. The database fills it
    in (``merchants.models.approval``).
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        """Others may decide until it expires."""
        APPROVED = "approved", _("approved")
        """Enough people approved, and it was executed in the same transaction."""
        REJECTED = "rejected", _("rejected")
        """Another person rejected."""
        CANCELLED = "cancelled", _("cancelled")
        """Withdrawn by the maker, or ended together with its subject."""
        EXPIRED = "expired", _("expired")
        """Not decided in time."""

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "approval")
    )
    kind = models.CharField(_("action"), max_length=40)
    subject = models.CharField(_("about"), max_length=40, help_text=_("Public id of what is to be decided about."))
    content_sha256 = models.CharField(_("SHA-256 of the content"), max_length=64)
    maker = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("proposed by")
    )
    maker_key = models.CharField(
        _("proposed by API key"), max_length=40, blank=True, default="", db_default="", help_text=_("Its public id.")
    )
    issuers = ArrayField(models.IntegerField(null=True), default=list, db_default=[], editable=False)
    approvers = models.PositiveSmallIntegerField(
        _("people who must approve"), default=1, db_default=1, help_text=_("Besides the one who proposed it.")
    )
    status = StatusField(_("status"), choices=Status.choices, default=Status.PENDING)
    created_at = models.DateTimeField(_("proposed"), default=clock.now, editable=False)
    expires_at = models.DateTimeField(_("expires"))
    resolved_at = models.DateTimeField(_("decided"), null=True, blank=True)

    class Meta:
        verbose_name = _("approval")
        verbose_name_plural = _("approvals")
        ordering = ["-id"]
        default_permissions = ("add", "view")
        permissions = [("decide_approval", "Can decide approvals")]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=models.Q(status="pending"), name="approval_pending_once"
            ),
            models.CheckConstraint(
                condition=models.Q(maker__isnull=False, maker_key="", issuers=[])
                | models.Q(~models.Q(maker_key=""), ~models.Q(issuers=[]), maker__isnull=True),
                name="approval_one_maker",
            ),
            models.CheckConstraint(condition=models.Q(approvers__gte=1), name="approval_needs_approver"),
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("created_at")), name="approval_expires_later"
            ),
            models.CheckConstraint(
                condition=models.Q(status="pending", resolved_at__isnull=True)
                | (~models.Q(status="pending") & models.Q(resolved_at__isnull=False)),
                name="approval_resolved_has_moment",
            ),
        ]
        indexes = [models.Index(fields=["subject"], name="approval_subject")]
        triggers = [
            NoDelete(),
            StateGuard(initial=["pending"]),
            Frozen(
                "id",
                "public_id",
                "kind",
                "subject",
                "content_sha256",
                "maker",
                "maker_key",
                "issuers",
                "approvers",
                "created_at",
                "expires_at",
            ),
            Guard(
                name="enough_votes",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                judges={
                    "status": "decided by votes of other people, once and in time",
                    "resolved_at": "never changes once `status <> 'pending'`",
                },
                func="""
                    IF OLD.status <> 'pending' AND NEW IS DISTINCT FROM OLD THEN
                        RAISE EXCEPTION 'staff: approval % was decided already', OLD.public_id
                            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    IF NEW.status IN ('approved', 'rejected') AND OLD.status = 'pending' THEN
                        IF public.staff_votes(NEW.id, CASE NEW.status WHEN 'approved' THEN 'approve' ELSE 'reject' END)
                                < (CASE NEW.status WHEN 'approved' THEN NEW.approvers ELSE 1 END) THEN
                            RAISE EXCEPTION 'staff: too few other people voted for approval % to be %',
                                NEW.public_id, NEW.status
                                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                        END IF;
                        IF clock_timestamp() > OLD.expires_at THEN
                            RAISE EXCEPTION 'staff: approval % has expired', NEW.public_id
                                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                        END IF;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"

    @transition(field=status, source=Status.PENDING, target=Status.APPROVED)
    def approve(self) -> None:
        """Enough people approved."""
        self.resolved_at = clock.now()

    @transition(field=status, source=Status.PENDING, target=Status.REJECTED)
    def reject(self) -> None:
        """Another person rejected."""
        self.resolved_at = clock.now()

    @transition(field=status, source=Status.PENDING, target=Status.CANCELLED)
    def cancel(self) -> None:
        """Withdrawn, or ended together with its subject."""
        self.resolved_at = clock.now()

    @transition(field=status, source=Status.PENDING, target=Status.EXPIRED)
    def expire(self) -> None:
        """Not decided in time."""
        self.resolved_at = clock.now()


class Vote(models.Model):
    """One person's decision about an approval, with a comment.

    The database refuses votes by the accounts that the SQL function ``staff_barred_from`` returns for the approval, and
    sets ``created_at``.
    """

    class Decision(models.TextChoices):
        APPROVE = "approve", _("approve")
        REJECT = "reject", _("reject")

    approval = models.ForeignKey(Approval, models.PROTECT, related_name="votes", verbose_name=_("approval"))
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("by"))
    decision = models.CharField(_("decision"), max_length=8, choices=Decision.choices)
    comment = models.CharField(_("comment"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("when"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("vote")
        verbose_name_plural = _("votes")
        ordering = ["id"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["approval", "user"], name="vote_once_a_person"),
            models.CheckConstraint(condition=models.Q(decision__in=["approve", "reject"]), name="vote_decision_known"),
        ]
        triggers = [
            AppendOnly(),
            Guard(
                name="allowed",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                declare=[("asked", "record")],
                # The row lock serializes concurrent votes: the second one finds the approval decided.
                func="""
                    SELECT status, expires_at INTO asked
                        FROM public.staff_approval WHERE id = NEW.approval_id FOR NO KEY UPDATE;
                    NEW.created_at = clock_timestamp();
                    IF NEW.user_id IN (SELECT public.staff_barred_from(NEW.approval_id)) THEN
                        RAISE EXCEPTION 'staff: this account cannot vote on this proposal'
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'barred';
                    END IF;
                    IF asked.status <> 'pending' THEN
                        RAISE EXCEPTION 'staff: this approval is % already', asked.status
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    IF clock_timestamp() > asked.expires_at THEN
                        RAISE EXCEPTION 'staff: this approval has expired'
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.get_decision_display()}"
