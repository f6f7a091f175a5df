"""What each kind of transaction is called."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

KINDS = {
    "spei_deposit": _("SPEI deposit credited"),
    "oxxo_paid": _("OXXO payment received by Conekta"),
    "oxxo_received": _("OXXO money received at the bank"),
    "oxxo_released": _("OXXO money released to the merchant"),
    "conekta_fee": _("Fee of Conekta"),
    "merchant_top_up": _("Top-up by the merchant"),
    "deposit_suspended": _("Deposit kept in suspense"),
    "suspense_assigned": _("Deposit in suspense assigned"),
    "suspense_return_created": _("Return of a deposit begun"),
    "suspense_return_settled": _("Deposit returned"),
    "payout_created": _("Payout: money held"),
    "payout_settled": _("Payout settled"),
    "payout_failed": _("Payout failed: money back"),
    "payout_returned": _("Payout returned"),
    "refund_created": _("Refund: money held"),
    "refund_settled": _("Refund settled"),
    "refund_failed": _("Refund failed: money back"),
    "refund_returned": _("Refund returned"),
    "payment_reversed": _("Payment reversed"),
    "payment_return_settled": _("Return of a payment settled"),
    "payment_return_failed": _("Return of a payment failed: money back"),
    "debt_recovered": _("Debt recovered"),
    "debt_written_off": _("Debt written off"),
    "funds_blocked": _("Money frozen by compliance"),
    "funds_unblocked": _("Money released by compliance"),
    "sweep_sent": _("Sweep from the bank to STP sent"),
    "sweep_arrived": _("Sweep from the bank to STP arrived"),
    "owner_prefunded": _("Funds added by the owner"),
    "stp_invoiced": _("Monthly invoice of STP"),
    "stp_invoice_paid": _("Invoice of STP paid"),
    "iva_rounded": _("IVA of an invoice rounded"),
    "adjustment": _("Adjustment"),
    "reversal": _("Reversal"),
}
