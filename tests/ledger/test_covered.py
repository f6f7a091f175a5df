"""The invariant ``covered``: cash, receivables and debt cover what we owe; merchants do not pay our costs."""

from __future__ import annotations

import pytest

from core import invariants
from ledger.services import invariant
from ledger.services.postings import pay_in, payout
from tests.ledger.books import fund, when

pytestmark = pytest.mark.django_db


def shortfalls() -> list[str]:
    """Messages of the faults of ``covered``."""
    (covered,) = [one for one in invariants.all_invariants() if one.name == "covered"]
    return [fault.message for fault in invariant.faults_of(covered)]


@pytest.mark.parametrize("livemode", [False, True])
def test_debt_of_a_reversal_counts_as_cover(merchant, livemode):
    given = {"livemode": livemode, "when": when()}
    pay_in.spei_deposit(merchant, source="dep_1", amount=100_000, fee=0, fee_tax=0, **given)
    payout.payout_created(merchant, source="po_1", amount=40_000, **given)
    payout.payout_settled(merchant, source="po_1", amount=40_000, fee=0, fee_tax=0, **given)
    payout.payment_reversed(merchant, source="po_2", amount=100_000, from_debt=40_000, **given)
    assert shortfalls() == []

    payout.payment_return_settled(merchant, source="po_2", amount=100_000, **given)
    assert shortfalls() == []

    fund("owner_funds", 40_000, livemode=livemode)
    payout.debt_written_off(merchant, source="mer_1", amount=40_000, **given)
    assert shortfalls() == []


@pytest.mark.parametrize(("fee", "fee_tax"), [(1_000, 160), (0, 0)], ids=["with fees", "without fees"])
def test_conektas_fee_above_ours_must_be_prefunded(merchant, fee, fee_tax):
    given = {"livemode": False, "when": when()}
    pay_in.spei_deposit(merchant, source="dep_1", amount=100_000, fee=0, fee_tax=0, **given)
    pay_in.oxxo_paid(merchant, source="dep_2", amount=100_000, fee=fee, fee_tax=fee_tax, **given)
    assert shortfalls() == []
    missing = 3_364 - fee - fee_tax

    fund("owner_funds", missing - 1)
    pay_in.conekta_fee(source="dep_2", fee=2_900, fee_tax=464, **given)
    assert shortfalls() == [f"test: {200_000 - fee - fee_tax - 1} centavos of cash, receivables and debt for "
                            f"{200_000 - fee - fee_tax} owed"]  # fmt: skip
    fund("owner_funds", 1)

    assert shortfalls() == []


def test_losses_and_penny_tests_must_be_prefunded(merchant):
    given = {"livemode": False, "when": when()}
    pay_in.spei_deposit(merchant, source="dep_1", amount=100_000, fee=0, fee_tax=0, **given)
    payout.penny_test_settled(source="po_1", amount=1, **given)
    payout.excess_settled(source="po_2", amount=99, **given)

    assert shortfalls() == ["test: 99900 centavos of cash, receivables and debt for 100000 owed"]
    payout.excess_returned(source="po_2", amount=99, **given)
    fund("owner_funds", 1)

    assert shortfalls() == []
