"""Payments (pay-ins) and their states."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import pgtrigger
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F
from django.utils.translation import gettext_lazy as _
from django_fsm import transition

from core import clock, ids
from core.db import AppendOnly, Frozen, FrozenOnce, NoDelete, SameMode, StateGuard
from core.fields import IdentifierField
from core.guards import WithTransition
from core.money import IVA
from core.search import SearchText
from core.state import ProtectedRefreshMixin, StatusField, TransitionRow
from payments.models.guards import FiguresMatchDeposits
from payments.models.refund_guards import OverRefundedBySettlement, RefundsStandBehind

if TYPE_CHECKING:
    from payments.models.deposit import Deposit

NEWEST_FIRST = (F("created_at").desc(nulls_last=True), F("id").desc())
"""The order of lists and reports."""

SEARCH_TEXT = SearchText(
    F("clabe"),
    F("voucher_reference"),
    F("order_id"),
    F("external_id"),
    F("customer_name"),
    F("customer_email"),
    F("tracking_key"),
    F("payer_name"),
)
"""The searched text, equal to that of the index ``payment_search``."""


class Payment(ProtectedRefreshMixin):
    """A pay-in: a merchant requests an amount from a payer, by SPEI transfer or cash at OXXO. Amounts in centavos."""

    class Method(models.TextChoices):
        SPEI = "spei", "SPEI"
        OXXO = "oxxo", "OXXO"

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        """Waiting for the payer."""
        PROCESSING = "processing", _("processing")
        """The provider has seen the money but not confirmed it."""
        COMPLETED = "completed", _("completed")
        """Money is credited to the merchant; more may follow."""
        FAILED = "failed", _("failed")
        """The provider refused this payment."""
        EXPIRED = "expired", _("expired")
        """Not paid in time; late money is still accepted."""
        CANCELLED = "cancelled", _("cancelled")
        """Cancelled by the merchant; late money is still accepted."""
        REVERSED = "reversed", _("reversed")
        """A credited transfer that was returned."""

    class MadeBy(models.TextChoices):
        REQUEST = "request", _("request")
        """Created by the merchant, with its own CLABE or voucher."""
        CLABE = "clabe", _("deposit to a reusable CLABE")
        STAFF = "staff", _("deposit assigned by staff")

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "payment")
    )
    merchant = models.ForeignKey(
        "merchants.Merchant", models.PROTECT, related_name="payments", verbose_name=_("merchant"), db_index=False
    )
    livemode = models.BooleanField(_("live"))
    provider_account = models.ForeignKey(
        "payments.ProviderAccount",
        models.PROTECT,
        related_name="payments",
        db_index=False,
        db_constraint=False,  # SameMode
    )
    method = models.CharField(_("method"), max_length=8, choices=Method.choices)
    made_by = models.CharField(
        _("made by"), max_length=8, choices=MadeBy.choices, default=MadeBy.REQUEST, db_default=MadeBy.REQUEST
    )
    status = StatusField(_("status"), choices=Status.choices, default=Status.PENDING)
    amount = models.BigIntegerField(_("amount"), help_text=_("Centavos."))
    currency = models.CharField(_("currency"), max_length=3)
    amount_received = models.BigIntegerField(_("received"), default=0)
    amount_refunded = models.BigIntegerField(_("refunded"), default=0)
    refund_reserved = models.BigIntegerField(_("reserved for refunds"), default=0, db_default=0)
    amount_over_refunded = models.BigIntegerField(
        _("refunded in excess"),
        default=0,
        db_default=0,
        help_text=_("Centavos by which its refunds exceed what was received: an older attempt was settled late."),
    )
    fee_percent = models.DecimalField(max_digits=6, decimal_places=4, default=Decimal(0))
    fee_fixed = models.BigIntegerField(default=0)
    fee_iva = models.DecimalField(max_digits=5, decimal_places=4, default=IVA, db_default=IVA)
    fee = models.BigIntegerField(_("fee"), default=0)
    fee_tax = models.BigIntegerField(_("IVA on the fee"), default=0)
    description = models.CharField(_("description"), max_length=250, blank=True)
    external_id = models.CharField(_("merchant's id"), max_length=100, null=True, blank=True)
    customer_name = models.CharField(_("customer"), max_length=100, blank=True)
    customer_email = models.EmailField(_("e-mail"), blank=True)
    customer_phone = models.CharField(_("phone"), max_length=20, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    failure_code = models.CharField(max_length=64, blank=True)
    failure_message = models.CharField(max_length=250, blank=True)

    clabe = models.CharField(_("CLABE"), max_length=18, null=True, blank=True)
    reusable_clabe = models.ForeignKey(
        "payments.Clabe",
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        db_constraint=False,  # SameMode
        related_name="payments",
        verbose_name=_("reusable CLABE"),
    )
    reference_number = models.CharField(_("reference number"), max_length=7, blank=True)
    tracking_key = models.CharField(_("tracking key"), max_length=40, blank=True)
    payer_name = models.CharField(_("payer"), max_length=120, blank=True)
    payer_account = models.CharField(_("payer's account"), max_length=20, blank=True)
    payer_institution = models.CharField(max_length=5, blank=True)
    operating_date = models.DateField(_("operating date"), null=True, blank=True)

    order_id = models.CharField(_("Conekta order"), max_length=64, null=True, blank=True)
    voucher_reference = models.CharField(_("OXXO reference"), max_length=32, blank=True)
    voucher_barcode_url = models.URLField(max_length=500, blank=True)
    voucher_asked_until = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="End of the lease of the process that calls Conekta about this payment.",
    )
    voucher_store_name = models.CharField(max_length=100, blank=True)

    expires_at = models.DateTimeField(_("expires"))
    cancelled_at = models.DateTimeField(_("cancelled at"), null=True, blank=True)
    completed_at = models.DateTimeField(_("completed at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)

    free_columns = {
        "voucher_asked_until": "a lease of processes that call Conekta; it expires by itself and moves no money",
    }

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="payment_amount_positive"),
            models.CheckConstraint(condition=models.Q(currency="MXN"), name="payment_currency_known"),
            models.CheckConstraint(
                condition=models.Q(fee__gte=0, fee_tax__gte=0, amount_received__gte=0)
                & models.Q(amount_received__gte=models.F("fee") + models.F("fee_tax")),
                name="payment_fee_within_received",
            ),
            models.CheckConstraint(
                condition=models.Q(amount_refunded__gte=0, refund_reserved__gte=0, amount_over_refunded__gte=0)
                & models.Q(
                    amount_received__gte=models.F("amount_refunded")
                    + models.F("refund_reserved")
                    - models.F("amount_over_refunded")
                ),
                name="payment_refunds_within_received",
            ),
            models.CheckConstraint(
                condition=~models.Q(method="spei") | models.Q(clabe__isnull=False) | models.Q(made_by="staff"),
                name="payment_spei_has_clabe",
            ),
            models.CheckConstraint(
                condition=models.Q(made_by="clabe", reusable_clabe__isnull=False)
                | (~models.Q(made_by="clabe") & models.Q(reusable_clabe__isnull=True)),
                name="payment_reusable_clabe_made_it",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="cancelled") | models.Q(cancelled_at__isnull=False),
                name="payment_cancelled_has_moment",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["completed", "reversed"]) | models.Q(amount_received=0),
                name="payment_unpaid_has_no_money",
            ),
            models.UniqueConstraint(
                fields=["clabe"],
                condition=models.Q(made_by="request", clabe__isnull=False),
                name="payment_clabe_unique",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="completed") | models.Q(amount_received__gt=0, completed_at__isnull=False),
                name="payment_completed_has_money",
            ),
            # With this operator class it also supports searches by prefix.
            models.UniqueConstraint(
                fields=["merchant", "livemode", "external_id"],
                opclasses=["int8_ops", "bool_ops", "varchar_pattern_ops"],
                condition=models.Q(external_id__isnull=False),
                name="payment_external_id_unique",
            ),
            models.UniqueConstraint(
                fields=["provider_account", "order_id"],
                condition=models.Q(order_id__isnull=False),
                name="payment_order_unique",
            ),
        ]
        indexes = [
            # The order of merchants' lists, also with filters. NULLS LAST, although there are none: PostgreSQL must not
            # use payment_created instead, where rows of other merchants precede the wanted ones.
            models.Index(F("merchant"), F("livemode"), *NEWEST_FIRST, name="payment_newest"),
            models.Index(F("merchant"), F("livemode"), F("status"), *NEWEST_FIRST, name="payment_by_status"),
            models.Index(F("merchant"), F("livemode"), F("method"), *NEWEST_FIRST, name="payment_by_method"),
            # A selective filter.
            models.Index(fields=["merchant", "livemode", "amount"], name="payment_by_amount"),
            GinIndex(
                OpClass(F("merchant"), name="int8_ops"),
                OpClass(
                    SEARCH_TEXT,
                    name="gin_trgm_ops",
                ),
                name="payment_search",
            ),
            models.Index(fields=["-created_at"], name="payment_created"),
            models.Index(
                fields=["expires_at"],
                condition=models.Q(status__in=["pending", "processing"]),
                name="payment_waiting",
            ),
        ]
        triggers = [
            NoDelete(),
            StateGuard(initial=["pending"]),
            Frozen(
                "id",
                "public_id",
                "merchant",
                "livemode",
                "provider_account",
                "method",
                "amount",
                "currency",
                "clabe",
                "reference_number",
                "fee_percent",
                "fee_fixed",
                "fee_iva",
                "made_by",
                "reusable_clabe",
                "description",
                "external_id",
                "customer_name",
                "customer_email",
                "customer_phone",
                "metadata",
                "expires_at",
                "created_at",
            ),
            FrozenOnce(
                "OLD.method <> 'oxxo' OR OLD.order_id IS NOT NULL",
                "order_id",
                "voucher_reference",
                "voucher_barcode_url",
                "voucher_store_name",
            ),
            WithTransition(["cancelled"], "cancelled_at"),
            WithTransition(["failed"], "failure_code", "failure_message"),
            WithTransition(
                ["completed"],
                "completed_at",
                "tracking_key",
                "payer_name",
                "payer_account",
                "payer_institution",
                "operating_date",
            ),
            SameMode("provider_account", "reusable_clabe"),
            FiguresMatchDeposits(
                "amount_received",
                "fee",
                "fee_tax",
                payment="NEW.id",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("amount_received", "fee", "fee_tax"),
            ),
            RefundsStandBehind(),
            OverRefundedBySettlement(),
        ]

    def __str__(self) -> str:
        return self.public_id

    @transition(
        field=status,
        source=[Status.PENDING, Status.PROCESSING, Status.EXPIRED, Status.CANCELLED],
        target=Status.COMPLETED,
    )
    def complete(self, *, deposit: Deposit, completed_at: datetime) -> None:
        """Money arrived, on time or late. Ledger: cash, receivable or suspense -> merchant, fee, IVA."""
        self.receive(deposit)
        self.tracking_key = deposit.tracking_key
        self.payer_name = deposit.payer_name
        self.payer_account = deposit.payer_account
        self.payer_institution = deposit.payer_institution
        self.operating_date = deposit.operating_date
        self.completed_at = completed_at

    @transition(field=status, source=Status.PENDING, target=Status.PROCESSING)
    def start_processing(self) -> None:
        """The provider has seen the money and will confirm it. No money moves. No provider reports this today."""

    @transition(field=status, source=[Status.PENDING, Status.PROCESSING], target=Status.EXPIRED)
    def expire(self) -> None:
        """Not paid in time. No money moves."""

    @transition(field=status, source=[Status.PENDING, Status.PROCESSING], target=Status.CANCELLED)
    def cancel(self, *, at: datetime) -> None:
        """Cancelled before it was paid. No money moves."""
        self.cancelled_at = at

    @transition(field=status, source=[Status.PENDING, Status.PROCESSING], target=Status.FAILED)
    def fail(self, *, code: str, message: str) -> None:
        """The provider refused this payment. No money moves."""
        self.failure_code = code[:64]
        self.failure_message = message[:250]

    @transition(field=status, source=Status.COMPLETED, target=Status.REVERSED)
    def reverse(self) -> None:
        """A credited transfer is returned to its sender."""

    def receive(self, deposit: Deposit) -> None:
        """Add a credited deposit to the amounts; ``complete`` calls it for the first one."""
        self.amount_received += deposit.amount
        self.fee += deposit.fee
        self.fee_tax += deposit.fee_tax

    def is_late(self, paid_at: datetime) -> bool:
        """True if the payer paid after this expired or was cancelled, by the provider's time."""
        return paid_at > self.expires_at or (self.cancelled_at is not None and paid_at > self.cancelled_at)

    @property
    def amount_refundable(self) -> int:
        """What can still be refunded, in centavos."""
        return max(0, self.amount_received - self.amount_refunded - self.refund_reserved)

    @property
    def net(self) -> int:
        """The merchant's part of the amount received, in centavos."""
        return self.amount_received - self.fee - self.fee_tax


class PaymentTransition(TransitionRow):
    """One change of a payment's state."""

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="transitions")

    class Meta(TransitionRow.Meta):
        verbose_name = _("payment transition")
        verbose_name_plural = _("payment transitions")
        triggers = [AppendOnly()]
