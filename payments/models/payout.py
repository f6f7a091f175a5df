from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F
from django.utils.translation import gettext_lazy as _
from django_fsm import transition

from core import clock, ids
from core.db import AppendOnly, Frozen, FrozenOnce, NoDelete, SameMode, StateGuard
from core.fields import IdentifierField
from core.guards import Recorded, WithTransition
from core.money import IVA
from core.search import SearchText
from core.state import ProtectedRefreshMixin, StatusField, TransitionRow
from payments.models.guards import ApprovedBySecondPerson, PayoutIsBooked
from payments.models.payment import NEWEST_FIRST
from payments.models.refund_guards import CancelledUnsent, PaysItsRefund, RefundFollows

if TYPE_CHECKING:
    from staff.models import Approval

PAYOUT_SEARCH_TEXT = SearchText(F("tracking_key"), F("external_id"), F("destination_clabe"), F("destination_name"))
"""The text that the search matches; equal to the expression of the index ``payout_search``."""


APPROVAL_KIND = "payments.payout"
"""The kind of the approvals of payouts."""


def new_tracking_key() -> str:
    """A clave de rastreo: 26 of A-Z and 0-9, never reused, also not after a backup was restored."""
    return ids.new_id("payout").partition("_")[2].upper()


class Payout(ProtectedRefreshMixin):
    """Money sent by SPEI to an external CLABE. Amounts in centavos.

    ``liquidated_at`` and ``returned_at`` are facts, each stored once, in any state and order: state and books follow
    from them. ``send_outcome`` is the result of sending; a payout with an unknown one is never sent again. ``claim`` is
    what a notice reports and no inquiry has confirmed yet (a value of ``OrderStatus``).
    """

    approval_rows: Sequence[Approval] | None = None
    """Its approvals, if ``payments.resources.payout`` prefetched them."""

    class Kind(models.TextChoices):
        MERCHANT = "merchant", _("payout of a merchant")
        REFUND = "refund", _("refund")
        PAYMENT_RETURN = "payment_return", _("payment sent back")
        SUSPENSE_RETURN = "suspense_return", _("money in suspense sent back")
        SETTLEMENT = "settlement", _("settlement")
        PENNY_TEST = "penny_test", _("penny test")

    class Status(models.TextChoices):
        PENDING_APPROVAL = "pending_approval", _("waits for approval")
        """Waits for a second person's decision."""
        PENDING = "pending", _("pending")
        """Not sent yet; ``waiting_for`` says why."""
        PROCESSING = "processing", _("processing")
        """Sent, or about to be: no final outcome, cannot be cancelled."""
        COMPLETED = "completed", _("completed")
        """The money was settled to the beneficiary's bank."""
        FAILED = "failed", _("failed")
        """The money was not sent; it is available again."""
        REJECTED = "rejected", _("rejected")
        """Not approved in time, or rejected."""
        CANCELLED = "cancelled", _("cancelled")
        """Withdrawn before it was sent."""
        RETURNED = "returned", _("returned")
        """Settled, and sent back by the beneficiary's bank."""

    class WaitingFor(models.TextChoices):
        NOTHING = "", _("nothing")
        APPROVAL = "approval", _("approval by a second person")
        DESTINATION = "destination", _("cool-down of a new destination")
        SCHEDULE = "schedule", _("its scheduled time")
        OPERATING_DAY = "operating_day", _("the next operating day")
        LIQUIDITY = "liquidity", _("money at the provider")
        MERCHANT = "merchant", _("the merchant's account or verification")
        PROVIDER = "provider", _("the provider")
        GATE = "gate", _("a check of the books")

    class SendOutcome(models.TextChoices):
        NONE = "", _("not sent yet")
        SENDING = "sending", _("being sent")
        NOT_SENT = "not_sent", _("did not reach the provider")
        ACCEPTED = "accepted", _("accepted by the provider")
        REFUSED = "refused", _("refused by the provider")
        UNKNOWN = "unknown", _("unknown")

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "payout")
    )
    merchant = models.ForeignKey(
        "merchants.Merchant", models.PROTECT, related_name="payouts", verbose_name=_("merchant"), db_index=False
    )
    livemode = models.BooleanField(_("live"))
    provider_account = models.ForeignKey(
        "payments.ProviderAccount",
        models.PROTECT,
        related_name="payouts",
        verbose_name=_("provider account"),
        db_index=False,
        db_constraint=False,  # SameMode
    )
    refund = models.ForeignKey(
        "payments.Refund",
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        db_constraint=False,  # SameMode
        related_name="attempts",
        verbose_name=_("refund"),
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices, default=Kind.MERCHANT)
    status = StatusField(_("status"), choices=Status.choices, default=Status.PENDING)
    waiting_for = models.CharField(
        _("what it waits for"), max_length=16, choices=WaitingFor.choices, blank=True, default="", db_default=""
    )
    amount = models.BigIntegerField(_("amount"), help_text=_("Centavos that the beneficiary gets."))
    currency = models.CharField(_("currency"), max_length=3)
    fee = models.BigIntegerField(_("fee"), default=0, help_text=_("Charged when the payout completes."))
    fee_tax = models.BigIntegerField(_("IVA on the fee"), default=0)
    fee_percent = models.DecimalField(max_digits=6, decimal_places=4, default=Decimal(0))
    fee_fixed = models.BigIntegerField(default=0)
    fee_iva = models.DecimalField(max_digits=5, decimal_places=4, default=IVA)
    destination_clabe = models.CharField(_("destination"), max_length=18)
    destination_bank = models.CharField(_("bank"), max_length=5)
    destination_name = models.CharField(_("beneficiary"), max_length=40)
    destination_tax_id = models.CharField(_("beneficiary's RFC or CURP"), max_length=18, blank=True)
    concept = models.CharField(_("concept"), max_length=40)
    reference_number = models.PositiveIntegerField(_("reference number"))
    external_id = models.CharField(_("merchant's id"), max_length=100, null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    tracking_key = models.CharField(_("tracking key"), max_length=30, default=new_tracking_key, editable=False)
    operating_date = models.DateField(_("operating date"), null=True, blank=True)
    order_id = models.CharField(_("provider's order"), max_length=32, null=True, blank=True)
    scheduled_for = models.DateTimeField(_("scheduled for"), null=True, blank=True)

    send_started_at = models.DateTimeField(_("sending began"), null=True, blank=True)
    first_sent_at = models.DateTimeField(_("first sent"), null=True, blank=True)
    sends = models.PositiveIntegerField(_("times sent"), default=0, db_default=0)
    send_outcome = models.CharField(
        _("outcome of sending"), max_length=8, choices=SendOutcome.choices, blank=True, default="", db_default=""
    )
    send_detail = models.CharField(_("the provider's words"), max_length=300, blank=True, default="", db_default="")
    needs_staff = models.CharField(
        _("staff must look"), max_length=64, blank=True, default="", db_default="", help_text=_("Why, in one word.")
    )
    delayed = models.BooleanField(_("delayed"), default=False, db_default=False)
    inquiries = models.PositiveIntegerField(_("times asked"), default=0, db_default=0)
    not_found_at = models.DateTimeField(_("first answered: not found"), null=True, blank=True)
    next_attempt_at = models.DateTimeField(_("next step"), null=True, blank=True)
    claim = models.CharField(_("reported, not confirmed"), max_length=9, blank=True, default="", db_default="")
    claimed_at = models.DateTimeField(_("reported"), null=True, blank=True)

    liquidated_at = models.DateTimeField(_("settled"), null=True, blank=True)
    returned_at = models.DateTimeField(_("returned at"), null=True, blank=True)
    return_tracking_key = models.CharField(
        _("tracking key of the return"), max_length=40, blank=True, default="", db_default=""
    )
    return_cause = models.PositiveSmallIntegerField(_("cause of return"), null=True, blank=True)
    failure_code = models.CharField(_("failure"), max_length=64, blank=True, default="", db_default="")
    failure_message = models.CharField(max_length=300, blank=True, default="", db_default="")
    completed_at = models.DateTimeField(_("completed at"), null=True, blank=True)
    cancelled_at = models.DateTimeField(_("cancelled at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)

    free_columns = {
        "waiting_for": "why nothing is sent yet: computed anew at every attempt",
        "send_started_at": "when the present attempt began; a lease that another process takes over",
        "first_sent_at": "set with the first attempt",
        "sends": "a count of attempts; each of them is a provider call",
        "send_outcome": "follows from the provider calls, which never change",
        "send_detail": "the provider's last words; all of them are in the provider calls",
        "needs_staff": "a mark for people, set and cleared as the payout is looked at",
        "delayed": "a mark for the merchant; its event is kept",
        "inquiries": "a count of questions; each of them is a provider call",
        "not_found_at": "the first of two answers that agree; cleared by any other answer",
        "next_attempt_at": "when the worker looks at it next",
        "claim": "what a notice says and an inquiry must confirm; every notice is kept",
        "claimed_at": "when that notice arrived: an inquiry that began before does not answer it",
    }

    class Meta:
        verbose_name = _("payout")
        verbose_name_plural = _("payouts")
        ordering = ["-id"]
        default_permissions = ("view", "add")
        permissions = [
            ("cancel_payout", "Can cancel payouts"),
            ("approve_payout", "Can approve payouts"),
            ("resolve_payout", "Can resolve payouts whose outcome is unknown"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(amount__gt=0, fee__gte=0, fee_tax__gte=0), name="payout_amounts_sensible"
            ),
            models.CheckConstraint(condition=models.Q(currency="MXN"), name="payout_currency_known"),
            models.CheckConstraint(
                condition=models.Q(destination_clabe__regex=r"^[0-9]{18}$"), name="payout_destination_is_clabe"
            ),
            models.CheckConstraint(
                condition=models.Q(tracking_key__regex=r"^[A-Za-z0-9]{1,30}$"), name="payout_tracking_key_sendable"
            ),
            models.CheckConstraint(
                condition=models.Q(reference_number__gte=1, reference_number__lte=9_999_999),
                name="payout_reference_seven_digits",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["pending_approval", "pending", "rejected", "cancelled"])
                | models.Q(first_sent_at__isnull=False, operating_date__isnull=False),
                name="payout_sent_has_operating_date",
            ),
            models.CheckConstraint(
                condition=~models.Q(status__in=["completed", "returned"])
                | models.Q(liquidated_at__isnull=False, completed_at__isnull=False),
                name="payout_completed_was_settled",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="returned") | models.Q(returned_at__isnull=False),
                name="payout_returned_has_moment",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="failed") | ~models.Q(failure_code=""), name="payout_failed_has_code"
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=["refund", "payment_return"], refund__isnull=False)
                | (~models.Q(kind__in=["refund", "payment_return"]) & models.Q(refund__isnull=True)),
                name="payout_of_refund_has_it",
            ),
            models.UniqueConstraint(
                fields=["refund"],
                condition=models.Q(refund__isnull=False, status__in=["pending_approval", "pending", "processing"]),
                name="payout_one_open_attempt",
            ),
            models.UniqueConstraint(fields=["provider_account", "tracking_key"], name="payout_tracking_key_unique"),
            models.UniqueConstraint(
                fields=["provider_account", "order_id"],
                condition=models.Q(order_id__isnull=False),
                name="payout_order_unique",
            ),
            models.UniqueConstraint(
                fields=["merchant", "livemode", "external_id"],
                opclasses=["int8_ops", "bool_ops", "varchar_pattern_ops"],
                condition=models.Q(external_id__isnull=False),
                name="payout_external_id_unique",
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at"], name="payout_created"),  # for the transfer history
            models.Index(F("merchant"), F("livemode"), *NEWEST_FIRST, name="payout_newest"),
            models.Index(F("merchant"), F("livemode"), F("status"), *NEWEST_FIRST, name="payout_by_status"),
            models.Index(
                fields=["next_attempt_at"], condition=models.Q(next_attempt_at__isnull=False), name="payout_due"
            ),
            models.Index(
                fields=["provider_account", "send_started_at"],
                condition=models.Q(send_started_at__isnull=False),
                name="payout_last_sent",
            ),
            models.Index(
                fields=["id"], condition=~models.Q(needs_staff="") | models.Q(delayed=True), name="payout_for_people"
            ),
            models.Index(
                fields=["return_tracking_key"],
                condition=~models.Q(return_tracking_key=""),
                name="payout_return_key",
            ),
            models.Index(fields=["refund"], condition=models.Q(refund__isnull=False), name="payout_of_refund"),
            GinIndex(
                OpClass(F("merchant"), name="int8_ops"),
                OpClass(PAYOUT_SEARCH_TEXT, name="gin_trgm_ops"),
                name="payout_search",
            ),
        ]
        triggers = [
            NoDelete(),
            StateGuard(initial=["pending_approval", "pending"]),
            Recorded(),
            Frozen(
                "id",
                "public_id",
                "merchant",
                "livemode",
                "provider_account",
                "refund",
                "kind",
                "amount",
                "currency",
                "fee",
                "fee_tax",
                "fee_percent",
                "fee_fixed",
                "fee_iva",
                "destination_clabe",
                "destination_bank",
                "destination_name",
                "destination_tax_id",
                "concept",
                "reference_number",
                "external_id",
                "metadata",
                "tracking_key",
                "scheduled_for",
                "created_at",
            ),
            FrozenOnce("OLD.order_id IS NOT NULL", "order_id", "operating_date"),
            FrozenOnce("OLD.liquidated_at IS NOT NULL", "liquidated_at", name="liquidated_once"),
            FrozenOnce(
                "OLD.returned_at IS NOT NULL AND NOT (OLD.status = 'returned' AND NEW.status = 'completed')",
                "returned_at",
                "return_cause",
                "return_tracking_key",
                name="returned_once",
            ),
            WithTransition(["completed"], "completed_at"),
            WithTransition(["failed", "rejected"], "failure_code", "failure_message"),
            WithTransition(["cancelled"], "cancelled_at"),
            SameMode("provider_account", "refund"),
            ApprovedBySecondPerson(),
            PayoutIsBooked(),
            PaysItsRefund(),
            RefundFollows(),
            CancelledUnsent(),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def total(self) -> int:
        """The amount held for it: amount, fee and IVA, in centavos."""
        return self.amount + self.fee + self.fee_tax

    @transition(field=status, source=Status.PENDING_APPROVAL, target=Status.PENDING)
    def approve(self) -> None:
        """A second person approved. No money moves."""

    @transition(field=status, source=Status.PENDING_APPROVAL, target=Status.REJECTED)
    def reject(self, *, code: str, message: str) -> None:
        """A second person rejected it, or the approval expired. Ledger: the hold is released."""
        self.failure_code, self.failure_message = code, message[:300]

    @transition(
        field=status, source=[Status.PENDING_APPROVAL, Status.PENDING, Status.PROCESSING], target=Status.CANCELLED
    )
    def cancel(self, *, at: datetime) -> None:
        """Withdrawn before it was sent; in ``processing``, no call may have sent it. Ledger: the hold is released."""
        self.cancelled_at = at

    @transition(field=status, source=Status.PENDING, target=Status.PROCESSING)
    def start(self, *, at: datetime, operating_date: date) -> None:
        """The first send is about to start. No money moves."""
        self.first_sent_at, self.operating_date = at, operating_date

    @transition(field=status, source=[Status.PROCESSING, Status.FAILED, Status.CANCELLED], target=Status.COMPLETED)
    def complete(self, *, at: datetime) -> None:
        """The provider settled it. Ledger: reserved -> cash, fee, IVA; after a failure from available and debt."""
        self.completed_at = at

    @transition(field=status, source=Status.PROCESSING, target=Status.FAILED)
    def fail(self, *, code: str, message: str) -> None:
        """It provably did not arrive. Ledger: the hold is released."""
        self.failure_code, self.failure_message = code, message[:300]

    @transition(field=status, source=Status.COMPLETED, target=Status.RETURNED)
    def come_back(self) -> None:
        """The beneficiary's bank sent it back. Ledger: cash -> available."""

    @transition(field=status, source=Status.RETURNED, target=Status.COMPLETED)
    def undo_return(self) -> None:
        """The transfer that was matched was not its return. Ledger: available -> suspense."""
        self.returned_at, self.return_cause, self.return_tracking_key = None, None, ""


INTERNAL_KINDS = frozenset({Payout.Kind.SUSPENSE_RETURN, Payout.Kind.PENNY_TEST})
"""Kinds that are hidden from merchants."""


class PayoutTransition(TransitionRow):
    """One change of a payout's state."""

    payout = models.ForeignKey(Payout, models.PROTECT, related_name="transitions")

    class Meta(TransitionRow.Meta):
        verbose_name = _("payout transition")
        verbose_name_plural = _("payout transitions")
        triggers = [AppendOnly()]
