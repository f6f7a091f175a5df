"""ledger.services.postings: every named flow is its line of the chart of accounts, to the centavo.

The figures are the chart's worked example: a pay-in of 1,000.00 with a fee of 10.00 and IVA of 1.60, a payout of 500.00
with a fee of 5.00 and IVA of 0.80.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InsufficientFunds
from core.money import MAX_AMOUNT
from ledger.models import Transaction
from ledger.services import postings
from ledger.services.chart import FLOORED, MERCHANT_PURPOSES, PLATFORM_PURPOSES, AccountName
from ledger.services.errors import AlreadyPosted, InvalidAmount, Unbalanced
from ledger.services.postings import adjustment, legs, pay_in, payout, treasury
from tests.ledger.books import fund, nothing_written, when
from tests.ledger.books import legs as legs_of

Posting = Callable[..., Transaction]


@dataclass(frozen=True)
class Case:
    """A call of a posting, and its legs: debits positive. What it takes from accounts with a floor is there before."""

    posting: Posting
    given: dict[str, Any]
    legs: dict[str, int]
    label: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def takes(self) -> dict[str, int]:
        return {purpose: amount for purpose, amount in self.legs.items() if purpose in FLOORED and amount > 0}


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
    Case(payout.payout_created, HELD, {"available": 50_580, "reserved": -50_580}),
    Case(
        payout.payout_settled,
        {"amount": 50_000, "fee": 500, "fee_tax": 80},
        {"reserved": 50_580, "stp_cash": -50_000, "fee_revenue": -500, "iva_payable": -80},
    ),
    Case(payout.payout_failed, HELD, {"reserved": 50_580, "available": -50_580}),
    Case(payout.payout_returned, {"amount": 50_000}, {"stp_cash": 50_000, "available": -50_000}, "fee kept"),
    Case(
        payout.payout_returned,
        {"amount": 50_000, "fee": 500, "fee_tax": 80},
        {"stp_cash": 50_000, "fee_revenue": 500, "iva_payable": 80, "available": -50_580},
        "fee given back",
    ),
    Case(payout.refund_created, WHOLE, {"available": 100_000, "reserved": -100_000}),
    Case(payout.refund_settled, WHOLE, {"reserved": 100_000, "stp_cash": -100_000}),
    Case(payout.refund_failed, WHOLE, {"reserved": 100_000, "available": -100_000}),
    Case(payout.refund_returned, WHOLE, {"stp_cash": 100_000, "available": -100_000}),
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


def label(case: Case) -> str:
    return f"{case.posting.__name__} {case.label}".strip()


def every_posting() -> dict[str, Posting]:
    """Every public function of the postings' modules that returns a transaction."""
    found = {}
    for module in pkgutil.iter_modules(postings.__path__):
        source = import_module(f"{postings.__name__}.{module.name}")
        for name, function in inspect.getmembers(source, inspect.isfunction):
            ours = function.__module__ == source.__name__ and not name.startswith("_")
            if ours and function.__annotations__.get("return") == "Transaction":
                found[f"{module.name}.{name}"] = function
    return found


def call(case: Case, merchant, *, source="src_1", livemode=False, **changes) -> Transaction:
    takes_merchant = "merchant" in inspect.signature(case.posting).parameters
    given = {"source": source, "livemode": livemode, "when": when()} | case.given | changes
    return case.posting(*([merchant] if takes_merchant else []), **given)


def prepare(case: Case, merchant, *, livemode=False) -> None:
    for purpose, amount in case.takes.items():
        fund(purpose, amount, merchant, livemode=livemode)


@pytest.fixture
def undone(db: None) -> Iterator[None]:
    """A savepoint that is rolled back: whatever waits for a commit, like an adjustment's approval, is not asked."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_every_posting_has_a_case_here():
    assert set(every_posting().values()) == {case.posting for case in CASES}
    assert len(every_posting()) >= 28


@pytest.mark.usefixtures("undone")
@pytest.mark.parametrize("livemode", [False, True])
@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_flow_is_posted_as_the_chart_says(case, merchant, livemode):
    prepare(case, merchant, livemode=livemode)

    posted = call(case, merchant, livemode=livemode)

    assert legs_of(posted) == case.legs
    assert sum(case.legs.values()) == 0
    assert (posted.kind, posted.source, posted.livemode) == (case.posting.__name__, "src_1", livemode)
    owners = {entry.account.purpose: entry.account.merchant for entry in posted.entries.all()}
    assert owners == {purpose: merchant if purpose in MERCHANT_PURPOSES else None for purpose in case.legs}


@pytest.mark.parametrize("case", CASES, ids=label)
def test_the_docstring_of_a_flow_names_its_accounts(case):
    if case.posting is not adjustment.adjustment:
        said = inspect.getdoc(case.posting)
        assert [purpose for purpose in case.legs if purpose not in said] == []


def test_every_account_of_the_chart_is_used_by_some_flow():
    assert {purpose for case in CASES for purpose in case.legs} == {*MERCHANT_PURPOSES, *PLATFORM_PURPOSES}


@pytest.mark.django_db
@pytest.mark.parametrize("case", [case for case in CASES if case.takes], ids=label)
def test_a_flow_never_takes_what_is_not_there(case, merchant):
    for purpose, amount in case.takes.items():
        fund(purpose, amount - 1, merchant)

    with nothing_written(), pytest.raises(InsufficientFunds):
        call(case, merchant)


@pytest.mark.usefixtures("undone")
@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_flow_is_posted_once_for_one_source(case, merchant):
    prepare(case, merchant)
    prepare(case, merchant)
    call(case, merchant)

    with nothing_written(), pytest.raises(AlreadyPosted):
        call(case, merchant)

    call(case, merchant, source="src_2")


AMOUNTS = [(case, name) for case in CASES for name, value in case.given.items() if type(value) is int]


@pytest.mark.django_db
@pytest.mark.parametrize(("case", "name"), AMOUNTS, ids=lambda v: label(v) if isinstance(v, Case) else v)
def test_a_figure_that_is_not_whole_centavos_is_refused(case, name, merchant):
    prepare(case, merchant)

    for wrong in (1.0, True, "700", None, MAX_AMOUNT + 1, -MAX_AMOUNT - 1):
        with nothing_written(), pytest.raises(InvalidAmount):
            call(case, merchant, **{name: wrong})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("case", "wrong"),
    [(case, wrong) for case, name in AMOUNTS if name == "amount" for wrong in (0, -1, -100_000)],
    ids=lambda v: label(v) if isinstance(v, Case) else v,
)
def test_an_amount_of_nothing_or_less_is_refused(case, wrong, merchant):
    prepare(case, merchant)

    with nothing_written(), pytest.raises(InvalidAmount):
        call(case, merchant, amount=wrong, **({"from_debt": 0} if "from_debt" in case.given else {}))


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [{"fee": -1}, {"fee_tax": -1}, {"fee": -1_000, "fee_tax": 1_000}])
@pytest.mark.parametrize("case", [case for case in CASES if "fee" in case.given], ids=label)
def test_a_negative_fee_is_refused(case, wrong, merchant):
    prepare(case, merchant)

    with nothing_written(), pytest.raises(InvalidAmount):
        call(case, merchant, **wrong)


SHARED = [case for case in CASES if case.posting in (pay_in.spei_deposit, pay_in.oxxo_paid, pay_in.suspense_assigned)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("figures", "net", "ours"),
    [
        ({"fee": 0, "fee_tax": 0}, 100_000, {}),
        ({"fee": 3, "fee_tax": 0}, 99_997, {"fee_revenue": -3}),
        ({"fee": 0, "fee_tax": 3}, 99_997, {"iva_payable": -3}),
        ({"fee": 86_207, "fee_tax": 13_793}, 0, {"fee_revenue": -86_207, "iva_payable": -13_793}),
        ({"fee": 100_000, "fee_tax": 0}, 0, {"fee_revenue": -100_000}),
        ({"fee": 99_999, "fee_tax": 0}, 1, {"fee_revenue": -99_999}),
    ],
)
@pytest.mark.parametrize("case", SHARED, ids=label)
def test_a_part_of_nothing_has_no_leg(case, figures, net, ours, merchant):
    prepare(case, merchant)
    (cash, amount), (to, _) = list(case.legs.items())[:2]

    posted = call(case, merchant, **figures)

    assert legs_of(posted) == {cash: amount, **({to: -net} if net else {}), **ours}


@pytest.mark.django_db
@pytest.mark.parametrize("figures", [{"fee": 100_001, "fee_tax": 0}, {"fee": 86_207, "fee_tax": 13_794}])
@pytest.mark.parametrize("case", SHARED, ids=label)
def test_a_fee_above_the_amount_is_refused(case, figures, merchant):
    prepare(case, merchant)

    with nothing_written(), pytest.raises(InvalidAmount):
        call(case, merchant, **figures)


@pytest.mark.django_db
def test_a_payout_may_have_no_fee_or_no_iva(merchant):
    fund("reserved", 100_005, merchant)

    free = payout.payout_settled(merchant, livemode=False, source="po_1", amount=50_000, fee=0, fee_tax=0, when=when())
    untaxed = payout.payout_settled(
        merchant, livemode=False, source="po_2", amount=50_000, fee=5, fee_tax=0, when=when()
    )

    assert legs_of(free) == {"reserved": 50_000, "stp_cash": -50_000}
    assert legs_of(untaxed) == {"reserved": 50_005, "stp_cash": -50_000, "fee_revenue": -5}


@pytest.mark.django_db
def test_no_more_becomes_debt_than_goes_back(merchant):
    fund("available", 100_000, merchant)

    with nothing_written(), pytest.raises(Unbalanced):
        payout.payment_reversed(merchant, livemode=False, source="pay_1", amount=100, from_debt=101, when=when())


@pytest.mark.django_db
def test_a_rounding_of_nothing_is_refused():
    with nothing_written(), pytest.raises(InvalidAmount):
        treasury.iva_rounded(livemode=False, source="inv_1", difference=0, when=when())


@given(amount=st.integers(1, MAX_AMOUNT), fee=st.integers(-5, MAX_AMOUNT), fee_tax=st.integers(-5, MAX_AMOUNT))
def test_shares_sum_to_the_amount_or_are_refused(amount, fee, fee_tax):
    class Nobody:
        public_id = "mer_x"

    possible = fee >= 0 and fee_tax >= 0 and fee + fee_tax <= amount

    if possible:
        shares = legs.merchant_share("available", Nobody(), amount, fee, fee_tax)  # type: ignore[arg-type]
        assert sum(share for _, share in shares) == -amount
        assert all(share < 0 for _, share in shares)
    else:
        with pytest.raises(InvalidAmount):
            legs.merchant_share("available", Nobody(), amount, fee, fee_tax)  # type: ignore[arg-type]
