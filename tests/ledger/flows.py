"""Every posting with the figures of the worked example in the chart of accounts.

A pay-in of 1,000.00 with a fee of 10.00 and IVA of 1.60, a payout of 500.00 with a fee of 5.00 and IVA of 0.80.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ledger.models import Transaction
from ledger.services.chart import FLOORED, AccountName
from ledger.services.postings import adjustment, pay_in, payout, treasury

Posting = Callable[..., Transaction]


@dataclass(frozen=True)
class Case:
    """Arguments of a posting and its legs, debits positive. ``takes``: what accounts with a floor must hold before."""

    posting: Posting
    given: dict[str, Any]
    legs: dict[str, int]
    label: str = ""

    @property
    def takes(self) -> dict[str, int]:
        taken = {purpose: amount if purpose != "debt" else -amount for purpose, amount in self.legs.items()}
        return {purpose: amount for purpose, amount in taken.items() if purpose in FLOORED and amount > 0}


PAY_IN = {"amount": 100_000, "fee": 1_000, "fee_tax": 160}
NET, OUR_PART = 98_840, {"fee_revenue": -1_000, "iva_payable": -160}
WHOLE = {"amount": 100_000}
HELD = {"amount": 50_580}
LEGS = [(AccountName("losses"), 300), (AccountName("stp_cash"), -300)]

CASES = [
    Case(pay_in.spei_deposit, PAY_IN, {"stp_cash": 100_000, "available": -NET, **OUR_PART}),
    Case(pay_in.oxxo_paid, PAY_IN, {"conekta_receivable": 100_000, "pending": -NET, **OUR_PART}),
    Case(
        pay_in.conekta_fee,
        {"fee": 2_900, "fee_tax": 464},
        {"provider_fees": 2_900, "iva_creditable": 464, "conekta_receivable": -3_364},
    ),
    Case(pay_in.oxxo_received, {"amount": 96_636}, {"bank_cash": 96_636, "conekta_receivable": -96_636}),
    Case(pay_in.oxxo_released, {"amount": NET}, {"pending": NET, "available": -NET}),
    Case(pay_in.merchant_top_up, WHOLE, {"stp_cash": 100_000, "available": -100_000}),
    Case(
        pay_in.deposit_suspended,
        {**WHOLE, "cash": "stp_cash", "reason": "unknown_clabe"},
        {"stp_cash": 100_000, "suspense": -100_000},
        "at STP",
    ),
    Case(
        pay_in.deposit_suspended,
        {**WHOLE, "cash": "conekta_receivable", "reason": "already_paid"},
        {"conekta_receivable": 100_000, "suspense": -100_000},
        "at Conekta",
    ),
    Case(pay_in.suspense_assigned, PAY_IN, {"suspense": 100_000, "available": -NET, **OUR_PART}),
    Case(pay_in.suspense_return_created, WHOLE, {"suspense": 100_000, "suspense_reserved": -100_000}),
    Case(pay_in.suspense_return_settled, WHOLE, {"suspense_reserved": 100_000, "stp_cash": -100_000}),
    Case(pay_in.suspense_return_settled_late, WHOLE, {"suspense": 100_000, "stp_cash": -100_000}),
    Case(pay_in.suspense_return_failed, WHOLE, {"suspense_reserved": 100_000, "suspense": -100_000}),
    Case(pay_in.suspense_return_returned, WHOLE, {"stp_cash": 100_000, "suspense": -100_000}),
    Case(pay_in.return_cleared, {"amount": 50_000}, {"suspense": 50_000, "stp_cash": -50_000}),
    Case(pay_in.deposit_voided, WHOLE, {"suspense": 100_000, "stp_cash": -100_000}),
    Case(pay_in.deposit_unvoided, WHOLE, {"stp_cash": 100_000, "suspense": -100_000}),
    Case(payout.payout_created, HELD, {"available": 50_580, "reserved": -50_580}),
    Case(
        payout.payout_settled,
        {"amount": 50_000, "fee": 500, "fee_tax": 80},
        {"reserved": 50_580, "stp_cash": -50_000, "fee_revenue": -500, "iva_payable": -80},
    ),
    Case(
        payout.payout_settled_late,
        {"amount": 50_000, "fee": 500, "fee_tax": 80, "from_debt": 0},
        {"available": 50_580, "stp_cash": -50_000, "fee_revenue": -500, "iva_payable": -80},
        "all there",
    ),
    Case(
        payout.payout_settled_late,
        {"amount": 50_000, "fee": 500, "fee_tax": 80, "from_debt": 20_580},
        {"available": 30_000, "debt": 20_580, "stp_cash": -50_000, "fee_revenue": -500, "iva_payable": -80},
        "in part from debt",
    ),
    Case(
        payout.payout_settled_late,
        {"amount": 50_000, "fee": 500, "fee_tax": 80, "from_debt": 50_580},
        {"debt": 50_580, "stp_cash": -50_000, "fee_revenue": -500, "iva_payable": -80},
        "all debt",
    ),
    Case(payout.payout_failed, HELD, {"reserved": 50_580, "available": -50_580}),
    Case(payout.payout_returned, {"amount": 50_000}, {"stp_cash": 50_000, "available": -50_000}, "fee kept"),
    Case(
        payout.payout_returned,
        {"amount": 50_000, "fee": 500, "fee_tax": 80},
        {"stp_cash": 50_000, "fee_revenue": 500, "iva_payable": 80, "available": -50_580},
        "fee given back",
    ),
    Case(
        payout.payout_returned,
        {"amount": 50_000, "cash": "suspense"},
        {"suspense": 50_000, "available": -50_000},
        "found in suspense",
    ),
    Case(
        payout.payout_returned,
        {"amount": 50_000, "fee": 500, "fee_tax": 80, "cash": "suspense"},
        {"suspense": 50_000, "fee_revenue": 500, "iva_payable": 80, "available": -50_580},
        "found in suspense, fee given back",
    ),
    Case(payout.batch_accepted, {"amount": 151_740}, {"available": 151_740, "reserved": -151_740}),
    Case(payout.batch_released, {"amount": 101_160}, {"reserved": 101_160, "available": -101_160}),
    Case(payout.refund_created, WHOLE, {"available": 100_000, "reserved": -100_000}),
    Case(payout.refund_settled, WHOLE, {"reserved": 100_000, "stp_cash": -100_000}),
    Case(
        payout.refund_settled_late, {**WHOLE, "from_debt": 0}, {"available": 100_000, "stp_cash": -100_000}, "covered"
    ),
    Case(
        payout.refund_settled_late,
        {**WHOLE, "from_debt": 40_000},
        {"available": 60_000, "debt": 40_000, "stp_cash": -100_000},
        "in part from debt",
    ),
    Case(payout.refund_failed, WHOLE, {"reserved": 100_000, "available": -100_000}),
    Case(payout.refund_returned, WHOLE, {"stp_cash": 100_000, "available": -100_000}),
    Case(
        payout.refund_returned,
        {**WHOLE, "cash": "suspense"},
        {"suspense": 100_000, "available": -100_000},
        "found in suspense",
    ),
    Case(
        payout.payment_reversed,
        {**WHOLE, "from_debt": 40_000},
        {"available": 60_000, "debt": 40_000, "reserved": -100_000},
        "in part from debt",
    ),
    Case(
        payout.payment_reversed, {**WHOLE, "from_debt": 0}, {"available": 100_000, "reserved": -100_000}, "all covered"
    ),
    Case(payout.payment_reversed, {**WHOLE, "from_debt": 100_000}, {"debt": 100_000, "reserved": -100_000}, "all debt"),
    Case(payout.payment_return_settled, WHOLE, {"reserved": 100_000, "stp_cash": -100_000}),
    Case(
        payout.payment_return_settled_late,
        {**WHOLE, "from_debt": 40_000},
        {"available": 60_000, "debt": 40_000, "stp_cash": -100_000},
    ),
    Case(
        payout.payment_return_returned,
        {**WHOLE, "to_debt": 40_000},
        {"stp_cash": 100_000, "debt": -40_000, "available": -60_000},
        "in part owed",
    ),
    Case(
        payout.payment_return_returned,
        {**WHOLE, "to_debt": 100_000, "cash": "suspense"},
        {"suspense": 100_000, "debt": -100_000},
        "found in suspense, all owed",
    ),
    Case(
        payout.payment_return_returned,
        {**WHOLE, "to_debt": 0, "cash": "suspense"},
        {"suspense": 100_000, "available": -100_000},
        "found in suspense, nothing owed",
    ),
    Case(payout.excess_settled, WHOLE, {"losses": 100_000, "stp_cash": -100_000}),
    Case(payout.excess_returned, WHOLE, {"stp_cash": 100_000, "losses": -100_000}),
    Case(
        payout.excess_returned,
        {**WHOLE, "cash": "suspense"},
        {"suspense": 100_000, "losses": -100_000},
        "found in suspense",
    ),
    Case(payout.penny_test_settled, {"amount": 1}, {"provider_fees": 1, "stp_cash": -1}),
    Case(payout.penny_test_returned, {"amount": 1}, {"stp_cash": 1, "provider_fees": -1}),
    Case(
        payout.penny_test_returned,
        {"amount": 1, "cash": "suspense"},
        {"suspense": 1, "provider_fees": -1},
        "found in suspense",
    ),
    Case(
        payout.payment_return_failed,
        {**WHOLE, "to_debt": 40_000},
        {"reserved": 100_000, "debt": -40_000, "available": -60_000},
        "in part owed",
    ),
    Case(
        payout.payment_return_failed,
        {**WHOLE, "to_debt": 100_000},
        {"reserved": 100_000, "debt": -100_000},
        "all owed",
    ),
    Case(
        payout.payment_return_failed,
        {**WHOLE, "to_debt": 0},
        {"reserved": 100_000, "available": -100_000},
        "nothing owed",
    ),
    Case(payout.debt_recovered, {"amount": 40_000}, {"available": 40_000, "debt": -40_000}),
    Case(payout.debt_written_off, {"amount": 40_000}, {"losses": 40_000, "debt": -40_000}),
    Case(payout.funds_blocked, {"amount": 40_000}, {"available": 40_000, "blocked": -40_000}),
    Case(payout.funds_unblocked, {"amount": 40_000}, {"blocked": 40_000, "available": -40_000}),
    Case(treasury.sweep_sent, WHOLE, {"cash_in_transit": 100_000, "bank_cash": -100_000}),
    Case(treasury.sweep_arrived, WHOLE, {"stp_cash": 100_000, "cash_in_transit": -100_000}),
    Case(
        treasury.owner_prefunded,
        {**WHOLE, "cash": "stp_cash"},
        {"stp_cash": 100_000, "owner_funds": -100_000},
        "at STP",
    ),
    Case(
        treasury.owner_prefunded,
        {**WHOLE, "cash": "bank_cash"},
        {"bank_cash": 100_000, "owner_funds": -100_000},
        "at the bank",
    ),
    Case(
        treasury.stp_invoiced,
        {"fee": 10_000, "fee_tax": 1_600},
        {"provider_fees": 10_000, "iva_creditable": 1_600, "provider_payable": -11_600},
    ),
    Case(treasury.stp_invoice_paid, {"amount": 11_600}, {"provider_payable": 11_600, "bank_cash": -11_600}),
    Case(treasury.iva_rounded, {"difference": 3}, {"iva_payable": 3, "rounding": -3}, "too much booked"),
    Case(treasury.iva_rounded, {"difference": -3}, {"rounding": 3, "iva_payable": -3}, "too little booked"),
    Case(adjustment.adjustment, {"legs": LEGS, "description": "Lost"}, {"losses": 300, "stp_cash": -300}),
]

PLATFORM_FLOWS = [
    (pay_in.suspense_return_created, "suspense", "suspense_reserved"),
    (pay_in.suspense_return_settled, "suspense_reserved", "stp_cash"),
    (pay_in.suspense_return_settled_late, "suspense", "stp_cash"),
    (pay_in.suspense_return_failed, "suspense_reserved", "suspense"),
    (pay_in.suspense_return_returned, "stp_cash", "suspense"),
    (pay_in.return_cleared, "suspense", "stp_cash"),
    (pay_in.deposit_voided, "suspense", "stp_cash"),
    (pay_in.deposit_unvoided, "stp_cash", "suspense"),
    (payout.excess_settled, "losses", "stp_cash"),
    (payout.excess_returned, "stp_cash", "losses"),
    (partial(payout.excess_returned, cash="suspense"), "suspense", "losses"),
    (payout.penny_test_settled, "provider_fees", "stp_cash"),
    (payout.penny_test_returned, "stp_cash", "provider_fees"),
    (partial(payout.penny_test_returned, cash="suspense"), "suspense", "provider_fees"),
]
"""Postings between two platform accounts: posting, debit, credit."""
