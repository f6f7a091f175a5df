"""Deposits: received money and its destination."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pgtrigger
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F
from django.utils.translation import gettext_lazy as _
from django_fsm import transition

from core import clock, ids
from core.db import AppendOnly, Frozen, NoDelete, SameMode, StateGuard
from core.fields import IdentifierField
from core.guards import WithTransition
from core.search import SearchText
from core.state import ProtectedRefreshMixin, StatusField, TransitionRow
from payments.models.guards import DepositIsBooked, FiguresMatchDeposits, FundingMatchesClabe, SuspenseHasCase
from payments.models.refund_guards import OverRefundedBySettlement, RefundsStandBehind

if TYPE_CHECKING:
    from payments.models.clabe import Clabe
    from payments.models.payment import Payment


class Deposit(ProtectedRefreshMixin):
    """Received money, as reported by a provider; booked in the transaction that inserts it.

    A deposit is credited or put in suspense, with a reason and a review case, when it is inserted. Its purpose is a
    payment, or, on a merchant's funding CLABE, a top-up of the merchant's balance, which has neither payment nor fee.
    ``deposit_key`` is the provider's identity of the money (SPEI: operating date, issuing institution and tracking key;
    OXXO: charge id). ``fee`` and ``fee_tax`` are charged for this deposit, in centavos.
    """

    class Status(models.TextChoices):
        RECEIVED = "received", _("received")
        """Only in memory, before the decision."""
        CREDITED = "credited", _("credited")
        """Booked to the merchant."""
        SUSPENDED = "suspended", _("in suspense")
        """Booked to suspense: staff must decide about it (``ReviewCase``)."""
        MATCHED = "matched", _("matched")
        """It returned a payout of ours (``ReviewCase.payout``)."""

    class Purpose(models.TextChoices):
        PAYMENT = "payment", _("payment")
        FUNDING = "funding", _("top-up")

    class SuspenseReason(models.TextChoices):
        UNKNOWN_CLABE = "unknown_clabe", _("no payment has this CLABE")
        UNKNOWN_ORDER = "unknown_order", _("no payment belongs to this order")
        UNDERPAID = "underpaid", _("less than the payment's amount")
        OVERPAID = "overpaid", _("more than the payment's amount")
        LATE = "late", _("paid after the payment expired or was cancelled")
        ALREADY_PAID = "already_paid", _("the payment is already paid")
        NOT_PAYABLE = "not_payable", _("the payment cannot receive money")
        OUT_OF_RANGE = "out_of_range", _("outside the amount limits of the CLABE")
        CLABE_CLOSED = "clabe_closed", _("paid after the CLABE was closed")
        RETURNED_TRANSFER = "returned_transfer", _("an outgoing transfer that was returned")

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "deposit")
    )
    provider_account = models.ForeignKey(
        "payments.ProviderAccount",
        models.PROTECT,
        related_name="deposits",
        db_index=False,
        db_constraint=False,  # SameMode
    )
    livemode = models.BooleanField(_("live"))
    deposit_key = models.CharField(_("provider's key"), max_length=120)
    status = StatusField(_("status"), choices=Status.choices, default=Status.RECEIVED)
    suspense_reason = models.CharField(_("why in suspense"), max_length=32, blank=True, choices=SuspenseReason.choices)
    payment = models.ForeignKey(
        "payments.Payment",
        models.PROTECT,
        null=True,
        blank=True,
        db_constraint=False,  # SameMode
        related_name="deposits",
        verbose_name=_("payment"),
    )
    reusable_clabe = models.ForeignKey(
        "payments.Clabe",
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        db_constraint=False,  # SameMode
        related_name="deposits",
        verbose_name=_("reusable CLABE"),
    )
    purpose = models.CharField(
        _("use"), max_length=16, choices=Purpose.choices, default=Purpose.PAYMENT, db_default=Purpose.PAYMENT
    )
    amount = models.BigIntegerField(_("amount"), help_text=_("Centavos."))
    fee = models.BigIntegerField(_("fee"), default=0, db_default=0)
    fee_tax = models.BigIntegerField(_("IVA on the fee"), default=0, db_default=0)
    amount_refunded = models.BigIntegerField(_("refunded"), default=0, db_default=0)
    refund_reserved = models.BigIntegerField(_("reserved for refunds"), default=0, db_default=0)
    amount_over_refunded = models.BigIntegerField(_("refunded in excess"), default=0, db_default=0)
    currency = models.CharField(_("currency"), max_length=3)
    paid_at = models.DateTimeField(_("paid"), help_text=_("Time of payment according to the provider."))
    operating_date = models.DateField(_("operating date"))
    clabe = models.CharField(_("CLABE"), max_length=20, blank=True)
    tracking_key = models.CharField(_("tracking key"), max_length=40, blank=True)
    concept = models.CharField(_("concept"), max_length=120, blank=True)
    payer_name = models.CharField(_("payer"), max_length=120, blank=True)
    payer_account = models.CharField(_("payer's account"), max_length=20, blank=True)
    payer_institution = models.CharField(max_length=5, blank=True)
    provider_event = models.CharField(
        _("provider event"),
        max_length=64,
        help_text=_("Public id of the first notice that reported it, or of the order."),
    )
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("deposit")
        verbose_name_plural = _("deposits")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["provider_account", "deposit_key"], name="deposit_key_unique"),
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="deposit_amount_positive"),
            models.CheckConstraint(
                condition=~models.Q(status="credited") | models.Q(payment__isnull=False) | models.Q(purpose="funding"),
                name="deposit_credited_has_payment",
            ),
            models.CheckConstraint(
                condition=models.Q(purpose="payment")
                | models.Q(purpose="funding", payment__isnull=True, reusable_clabe__isnull=False, fee=0, fee_tax=0),
                name="deposit_funding_is_free",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="suspended") | ~models.Q(suspense_reason=""),
                name="deposit_suspended_has_reason",
            ),
            models.CheckConstraint(
                condition=models.Q(fee__gte=0, fee_tax__gte=0, amount__gte=models.F("fee") + models.F("fee_tax")),
                name="deposit_fee_within_amount",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="suspended") | models.Q(fee=0, fee_tax=0),
                name="deposit_suspended_has_no_fee",
            ),
            models.CheckConstraint(
                condition=models.Q(amount_refunded__gte=0, refund_reserved__gte=0, amount_over_refunded__gte=0)
                & models.Q(
                    amount__gte=models.F("amount_refunded")
                    + models.F("refund_reserved")
                    - models.F("amount_over_refunded")
                ),
                name="deposit_refunds_within_amount",
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at"], name="deposit_created"),
            models.Index(  # for the transfer history, which would else read every deposit to find those in suspense
                fields=["-created_at"],
                condition=~models.Q(status="credited") | models.Q(purpose="funding"),
                name="deposit_stray",
            ),
            GinIndex(
                OpClass(SearchText(F("clabe"), F("tracking_key"), F("payer_name"), F("concept")), name="gin_trgm_ops"),
                condition=~models.Q(status="credited") | models.Q(purpose="funding"),  # the others are payments
                name="deposit_search",
            ),
        ]
        triggers = [
            NoDelete(),
            StateGuard(initial=["credited", "suspended"]),
            Frozen(
                "id",
                "public_id",
                "provider_account",
                "livemode",
                "deposit_key",
                "amount",
                "currency",
                "paid_at",
                "operating_date",
                "clabe",
                "tracking_key",
                "concept",
                "payer_name",
                "payer_account",
                "payer_institution",
                "suspense_reason",
                "provider_event",
                "created_at",
            ),
            WithTransition(["credited"], "purpose", "payment", "reusable_clabe", "fee", "fee_tax"),
            SameMode("provider_account", "payment", "reusable_clabe"),
            FiguresMatchDeposits(
                payment="NEW.payment_id",
                operation=pgtrigger.Insert | pgtrigger.Update,
                condition=pgtrigger.Condition("NEW.status = 'credited'"),
            ),
            DepositIsBooked(),
            RefundsStandBehind(),
            OverRefundedBySettlement(),
            FundingMatchesClabe(),
            SuspenseHasCase(),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def amount_refundable(self) -> int:
        """What can still be refunded, in centavos."""
        credited = self.amount if self.status == self.Status.CREDITED else 0
        return max(0, credited - self.amount_refunded - self.refund_reserved)

    @transition(field=status, source=[Status.RECEIVED, Status.SUSPENDED], target=Status.CREDITED)
    def credit(self, *, payment: Payment, fee: int, fee_tax: int) -> None:
        """Credit it to ``payment``. Ledger: cash, receivable or suspense -> merchant, fee, IVA."""
        self.purpose = self.Purpose.PAYMENT
        self.payment = payment
        self.reusable_clabe = payment.reusable_clabe
        self.fee = fee
        self.fee_tax = fee_tax

    @transition(field=status, source=[Status.RECEIVED, Status.SUSPENDED], target=Status.CREDITED)
    def top_up(self, *, clabe: Clabe) -> None:
        """Credit it to the balance of the merchant of a funding CLABE. Ledger: cash or suspense -> merchant."""
        self.purpose = self.Purpose.FUNDING
        self.payment = None
        self.reusable_clabe = clabe

    @transition(field=status, source=Status.SUSPENDED, target=Status.MATCHED)
    def match(self) -> None:
        """It returned a payout. Ledger: suspense -> merchant, or cash if the books have the money back already."""

    @transition(field=status, source=Status.MATCHED, target=Status.SUSPENDED)
    def undo_match(self) -> None:
        """It did not return that payout. Ledger: merchant -> suspense."""

    @transition(field=status, source=Status.RECEIVED, target=Status.SUSPENDED)
    def suspend(self, *, reason: str, payment: Payment | None, reusable_clabe: Clabe | None) -> None:
        """Put it in suspense. Ledger: cash or receivable -> suspense."""
        if reusable_clabe is not None and reusable_clabe.purpose == reusable_clabe.Purpose.FUNDING:
            self.purpose = self.Purpose.FUNDING
        self.payment = payment
        self.reusable_clabe = reusable_clabe
        self.suspense_reason = reason


class DepositTransition(TransitionRow):
    """One change of a deposit's state."""

    deposit = models.ForeignKey(Deposit, models.PROTECT, related_name="transitions")

    class Meta(TransitionRow.Meta):
        verbose_name = _("deposit transition")
        verbose_name_plural = _("deposit transitions")
        triggers = [AppendOnly()]
