"""Refunds: money of one deposit that goes back, carried out by payouts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F
from django.utils.translation import gettext_lazy as _
from django_fsm import transition

from core import clock, ids
from core.db import AppendOnly, Frozen, NoDelete, SameMode, StateGuard
from core.fields import IdentifierField
from core.guards import Recorded
from core.state import ProtectedRefreshMixin, StatusField, TransitionRow
from payments.models.payment import NEWEST_FIRST
from payments.models.refund_guards import FollowsAttempts, RefundsItsDeposit

if TYPE_CHECKING:
    from payments.models.payout import Payout


class Refund(ProtectedRefreshMixin):
    """Money of one credited deposit that goes back to its payer, or to an account that the merchant gives.

    It is carried out by payouts, one at a time: its attempts. The state follows from theirs. ``to_payer``: the
    destination is the account that the deposit came from. Amounts in centavos.
    """

    attempt_rows: Sequence[Payout] | None = None
    """Its attempts, oldest first, if they were read together with it."""

    class Origin(models.TextChoices):
        MERCHANT = "merchant", _("merchant")
        PROVIDER = "provider", _("provider")
        STAFF = "staff", _("staff")

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        """Its attempt was not sent yet."""
        PROCESSING = "processing", _("processing")
        """Its attempt was sent, or is about to be."""
        COMPLETED = "completed", _("completed")
        """An attempt was settled to the receiving bank."""
        FAILED = "failed", _("failed")
        """The last attempt failed or was rejected."""
        CANCELLED = "cancelled", _("cancelled")
        """Withdrawn before it was sent."""
        RETURNED = "returned", _("sent back")
        """The receiving bank sent the last attempt back."""

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "refund")
    )
    merchant = models.ForeignKey(
        "merchants.Merchant", models.PROTECT, related_name="refunds", verbose_name=_("merchant"), db_index=False
    )
    livemode = models.BooleanField(_("live"))
    origin = models.CharField(_("asked for by"), max_length=8, choices=Origin.choices, default=Origin.MERCHANT)
    payment = models.ForeignKey(
        "payments.Payment",
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        db_constraint=False,  # SameMode
        related_name="refunds",
        verbose_name=_("payment"),
    )
    deposit = models.ForeignKey(
        "payments.Deposit",
        models.PROTECT,
        db_index=False,
        db_constraint=False,  # SameMode
        related_name="refunds",
        verbose_name=_("deposit"),
    )
    status = StatusField(_("status"), choices=Status.choices, default=Status.PENDING)
    amount = models.BigIntegerField(_("amount"), help_text=_("Centavos."))
    currency = models.CharField(_("currency"), max_length=3)
    reason = models.CharField(_("reason"), max_length=250)
    to_payer = models.BooleanField(_("to the payer's account"))
    destination_clabe = models.CharField(_("destination"), max_length=18)
    destination_bank = models.CharField(_("bank"), max_length=5)
    destination_name = models.CharField(_("beneficiary"), max_length=40)
    external_id = models.CharField(_("merchant's id"), max_length=100, null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [("retry_refund", "Can try refunds again")]
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="refund_amount_positive"),
            models.CheckConstraint(condition=models.Q(currency="MXN"), name="refund_currency_known"),
            models.CheckConstraint(
                condition=models.Q(destination_clabe__regex=r"^[0-9]{18}$"), name="refund_destination_is_clabe"
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="refund_has_reason"),
            models.UniqueConstraint(
                fields=["merchant", "livemode", "external_id"],
                opclasses=["int8_ops", "bool_ops", "varchar_pattern_ops"],
                condition=models.Q(external_id__isnull=False),
                name="refund_external_id_unique",
            ),
        ]
        indexes = [
            models.Index(F("merchant"), F("livemode"), *NEWEST_FIRST, name="refund_newest"),
            models.Index(F("merchant"), F("livemode"), F("status"), *NEWEST_FIRST, name="refund_by_status"),
            models.Index(fields=["payment"], condition=models.Q(payment__isnull=False), name="refund_of_payment"),
            models.Index(fields=["deposit"], name="refund_of_deposit"),
        ]
        triggers = [
            NoDelete(),
            StateGuard(initial=["pending"]),
            Frozen(
                "id",
                "public_id",
                "merchant",
                "livemode",
                "origin",
                "payment",
                "deposit",
                "amount",
                "currency",
                "reason",
                "to_payer",
                "destination_clabe",
                "destination_bank",
                "destination_name",
                "external_id",
                "metadata",
                "created_at",
            ),
            SameMode("payment", "deposit"),
            RefundsItsDeposit(),
            FollowsAttempts(),
            Recorded(),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def attempts_read(self) -> list[Payout]:
        """Its attempts, oldest first; one query unless they were read before."""
        if self.attempt_rows is None:
            self.attempt_rows = list(self.attempts.order_by("pk")) if self.pk else []
        return list(self.attempt_rows)

    @property
    def attempt(self) -> Payout | None:
        """The attempt that decides the state: one that completed, else the open one, else the last not cancelled."""
        found = self.attempts_read
        for states in (["completed"], ["processing"], ["pending", "pending_approval"]):
            for payout in found:
                if payout.status in states:
                    return payout
        kept = [payout for payout in found if payout.status != "cancelled"]
        last = kept or found
        return last[-1] if last else None

    def due_status(self) -> str:
        """The state that follows from the attempts."""
        attempt = self.attempt
        if attempt is None:
            return self.Status.PENDING
        return {"pending_approval": "pending", "rejected": "failed"}.get(attempt.status, str(attempt.status))

    def follow(self) -> None:
        """Take the state that follows from the attempts. Raises ``TransitionNotAllowed`` if that is no legal change."""
        due = self.due_status()
        if due != self.status:
            steps = {
                self.Status.PENDING: self.retry,
                self.Status.PROCESSING: self.start,
                self.Status.COMPLETED: self.complete,
                self.Status.FAILED: self.fail,
                self.Status.CANCELLED: self.cancel,
                self.Status.RETURNED: self.come_back,
            }
            steps[self.Status(due)]()

    @transition(field=status, source=[Status.PENDING, Status.COMPLETED], target=Status.PROCESSING)
    def start(self) -> None:
        """An attempt is about to be sent, or still is after another one came back."""

    @transition(
        field=status,
        source=[Status.PENDING, Status.PROCESSING, Status.FAILED, Status.CANCELLED, Status.RETURNED],
        target=Status.COMPLETED,
    )
    def complete(self) -> None:
        """An attempt was settled, at once or late. Ledger: reserved or available -> cash; further ones: losses."""

    @transition(field=status, source=[Status.PENDING, Status.PROCESSING, Status.COMPLETED], target=Status.FAILED)
    def fail(self) -> None:
        """The last attempt failed or was rejected. Ledger: reserved -> available."""

    @transition(field=status, source=Status.PENDING, target=Status.CANCELLED)
    def cancel(self) -> None:
        """Withdrawn before it was sent. Ledger: reserved -> available."""

    @transition(field=status, source=[Status.PENDING, Status.COMPLETED], target=Status.RETURNED)
    def come_back(self) -> None:
        """The last attempt came back. Ledger: cash -> available."""

    @transition(field=status, source=[Status.FAILED, Status.RETURNED], target=Status.PENDING)
    def retry(self) -> None:
        """Staff makes another attempt. Ledger: available -> reserved."""


class RefundTransition(TransitionRow):
    """One change of a refund's state."""

    refund = models.ForeignKey(Refund, models.PROTECT, related_name="transitions")

    class Meta(TransitionRow.Meta):
        verbose_name = _("refund transition")
        verbose_name_plural = _("refund transitions")
        triggers = [AppendOnly()]
