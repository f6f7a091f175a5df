"""The transfer history, an unmanaged model over a database view."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from payments.models import Deposit, Payment, Payout


class Transfer(models.Model):
    """One line of the transfer history: a payment, a payout, a refund, or a deposit without a payment.

    A PostgreSQL view. In descending order it reads only as many rows of each table as it returns.
    """

    class Kind(models.TextChoices):
        PAYMENT = "payment", _("payment")
        DEPOSIT = "deposit", _("deposit")
        TOPUP = "topup", _("top-up")
        PAYOUT = "payout", _("payout")
        REFUND = "refund", _("refund")

    id = models.CharField(_("id"), max_length=40, primary_key=True)
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    merchant = models.ForeignKey(
        "merchants.Merchant", models.DO_NOTHING, null=True, related_name="+", verbose_name=_("merchant")
    )
    livemode = models.BooleanField(_("live"))
    method = models.CharField(_("method"), max_length=8, choices=Payment.Method.choices)
    status = models.CharField(
        _("status"),
        max_length=32,
        choices=list(
            {
                **dict(Payout.Status.choices),
                **dict(Payment.Status.choices),
                **dict(Deposit.Status.choices[1:]),
            }.items()
        ),
    )
    amount = models.BigIntegerField(_("amount"))
    currency = models.CharField(_("currency"), max_length=3)
    clabe = models.CharField(_("CLABE"), max_length=20, null=True)  # noqa: DJ001 - as in Payment
    reference = models.CharField(_("CLABE or reference"), max_length=32)
    tracking_key = models.CharField(_("tracking key"), max_length=40)
    name = models.CharField(_("counterparty"), max_length=120)
    payer_name = models.CharField(_("payer"), max_length=120)
    external_id = models.CharField(_("merchant's id"), max_length=100, null=True)  # noqa: DJ001 - as in Payment
    created_at = models.DateTimeField(_("created"))
    completed_at = models.DateTimeField(_("received or paid"), null=True)
    search_text = models.TextField(editable=False)
    purpose = models.CharField(max_length=16, editable=False)

    class Meta:
        managed = False
        db_table = "backoffice_transfer"
        default_permissions = ("view",)
        verbose_name = _("transfer")
        verbose_name_plural = _("transfer history")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.id
