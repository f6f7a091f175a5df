"""ledger.services.postings: every posting matches the chart of accounts (``flows.CASES``) to the centavo."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InsufficientFunds
from core.money import MAX_AMOUNT
from ledger.admin.kinds import KINDS as STAFF_KINDS
from ledger.models import Transaction
from ledger.resources import statement
from ledger.services import balance_transaction, postings
from ledger.services.chart import MERCHANT_PURPOSES, PLATFORM_PURPOSES
from ledger.services.errors import AlreadyPosted, InvalidAmount, Unbalanced
from ledger.services.postings import adjustment, legs, pay_in, payout, treasury
from tests.ledger.books import fund, nothing_written, platform, when
from tests.ledger.books import legs as legs_of
from tests.ledger.flows import CASES, Case, Posting


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
    """A savepoint that is rolled back, so that deferred triggers (an adjustment's approval) do not run."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_every_posting_has_a_case():
    assert set(every_posting().values()) == {case.posting for case in CASES}
    assert len(every_posting()) >= 47


@pytest.mark.usefixtures("undone")
@pytest.mark.parametrize("livemode", [False, True])
@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_flow_posts_the_legs_of_the_chart(case, merchant, livemode):
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
def test_a_flow_cannot_overdraw_an_account(case, merchant):
    for purpose, amount in case.takes.items():
        if amount > 1:
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
def test_figures_other_than_whole_centavos_are_refused(case, name, merchant):
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
def test_a_zero_or_negative_amount_is_refused(case, wrong, merchant):
    prepare(case, merchant)

    with nothing_written(), pytest.raises(InvalidAmount):
        call(case, merchant, amount=wrong, **{name: 0 for name in ("from_debt", "to_debt") if name in case.given})


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
def test_a_zero_part_has_no_leg(case, figures, net, ours, merchant):
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
def test_debt_cannot_exceed_the_amount(merchant):
    fund("available", 100_000, merchant)

    with nothing_written(), pytest.raises(Unbalanced):
        payout.payment_reversed(merchant, livemode=False, source="po_1", amount=100, from_debt=101, when=when())
    with nothing_written(), pytest.raises(Unbalanced):
        payout.payout_settled_late(
            merchant, livemode=False, source="po_1", amount=90, fee=8, fee_tax=2, from_debt=101, when=when()
        )


@pytest.mark.django_db
@pytest.mark.parametrize("first", ["stp_cash", "suspense"])
def test_a_return_reported_by_notice_and_transfer_is_posted_once(first, merchant):
    fund("suspense", 50_000)
    second = {"stp_cash": "suspense", "suspense": "stp_cash"}[first]
    given = {"livemode": False, "source": "po_1", "amount": 50_000, "when": when()}
    payout.payout_returned(merchant, cash=first, **given)

    with nothing_written(), pytest.raises(AlreadyPosted):
        payout.payout_returned(merchant, cash=second, **given)


@pytest.mark.django_db
def test_a_deposit_can_be_voided_again_with_a_numbered_source(merchant):
    fund("suspense", 100_000)

    for number in ("", ":2", ":3"):
        source = f"dep_{'0' * 26}{number}"
        pay_in.deposit_voided(livemode=False, source=source, amount=100_000, when=when())
        pay_in.deposit_unvoided(livemode=False, source=source, amount=100_000, when=when())

    assert platform() == {"stp_cash": 100_000, "suspense": 100_000}


def test_every_kind_has_names_for_staff_and_merchants():
    kinds = {case.posting.__name__ for case in CASES}
    theirs = {case.posting.__name__ for case in CASES if {*case.legs} & {*MERCHANT_PURPOSES}}

    assert {*kinds, "reversal"} == {*STAFF_KINDS}
    assert {*theirs, "adjustment", "reversal"} == {*statement.KINDS} == {*balance_transaction.KINDS}


@pytest.mark.django_db
def test_a_zero_rounding_is_refused():
    with nothing_written(), pytest.raises(InvalidAmount):
        treasury.iva_rounded(livemode=False, source="inv_1", difference=0, when=when())


@given(amount=st.integers(1, MAX_AMOUNT), fee=st.integers(-5, MAX_AMOUNT), fee_tax=st.integers(-5, MAX_AMOUNT))
def test_shares_sum_to_the_amount_or_are_refused(amount, fee, fee_tax):
    class AnyMerchant:
        public_id = "mer_x"

    possible = fee >= 0 and fee_tax >= 0 and fee + fee_tax <= amount

    if possible:
        shares = legs.merchant_share("available", AnyMerchant(), amount, fee, fee_tax)  # type: ignore[arg-type]
        assert sum(share for _, share in shares) == -amount
        assert all(share < 0 for _, share in shares)
    else:
        with pytest.raises(InvalidAmount):
            legs.merchant_share("available", AnyMerchant(), amount, fee, fee_tax)  # type: ignore[arg-type]
