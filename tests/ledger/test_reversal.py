"""ledger.services.reversal: a transaction is reversed in parts or in full, never beyond the original."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
import time_machine
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from core import clock
from core.errors import InsufficientFunds
from core.money import MAX_AMOUNT
from ledger.models import Hold, Transaction
from ledger.services import hold, invariant, reversal
from ledger.services.chart import AccountName
from ledger.services.errors import AlreadyPosted, EffectiveTooOld, InvalidAmount, MoneyHeld, NothingLeftToReverse
from ledger.services.journal import post
from ledger.services.postings import pay_in, payout
from tests.ledger.books import fund, held, legs, nothing_written, platform, when, written

pytestmark = pytest.mark.django_db

WHOLE = {"stp_cash": 100_000, "available": -98_840, "fee_revenue": -1_000, "iva_payable": -160}


@pytest.fixture
def deposit(merchant) -> Transaction:
    return pay_in.spei_deposit(
        merchant, livemode=False, source="dep_1", amount=100_000, fee=1_000, fee_tax=160, when=when()
    )


def reverse(original: Transaction, *, source="cau_1", amount: int | None = None) -> Transaction:
    return reversal.reverse(original, source=source, when=when(), description="Booked by mistake", amount=amount)


def negated(amounts: dict[str, int]) -> dict[str, int]:
    return {purpose: -amount for purpose, amount in amounts.items()}


def test_a_full_reversal_is_the_exact_opposite(deposit, merchant):
    reversed_by = reverse(deposit)

    assert legs(reversed_by) == negated(WHOLE)
    assert (reversed_by.kind, reversed_by.source, reversed_by.reverses) == ("reversal", "cau_1", deposit)
    assert (reversed_by.livemode, reversed_by.description) == (False, "Booked by mistake")
    assert (held(merchant), platform()) == ({}, {})
    assert legs(deposit) == WHOLE


def test_a_reversal_has_the_originals_mode(merchant):
    live = pay_in.merchant_top_up(merchant, livemode=True, source="dep_1", amount=700, when=when())
    fund("available", 700, merchant)

    assert reverse(live).livemode is True

    assert (held(merchant), held(merchant, livemode=True)) == ({"available": 700}, {})


def test_a_partial_reversal_is_proportional_on_every_leg(deposit):
    assert legs(reverse(deposit, amount=50_000)) == {
        "stp_cash": -50_000,
        "available": 49_420,
        "fee_revenue": 500,
        "iva_payable": 80,
    }


def test_rounding_differences_go_to_the_largest_leg(deposit):
    assert legs(reverse(deposit, amount=333)) == {"stp_cash": -333, "available": 330, "fee_revenue": 3}
    assert legs(reverse(deposit, source="cau_2", amount=1)) == {"stp_cash": -1, "available": 1}


def test_partial_reversals_are_allowed_until_nothing_is_left(deposit, merchant):
    parts = [reverse(deposit, source=f"cau_{n}", amount=30_000) for n in range(3)]
    last = reverse(deposit, source="cau_last")

    assert [legs(part)["stp_cash"] for part in (*parts, last)] == [-30_000, -30_000, -30_000, -10_000]
    assert (held(merchant), platform()) == ({}, {})
    for amount in (None, 1):
        with (
            nothing_written(),
            pytest.raises(NothingLeftToReverse, match=f"0 centavos are left of {deposit.public_id}"),
        ):
            reverse(deposit, source="cau_more", amount=amount)


def test_reversing_more_than_the_rest_is_refused(deposit, merchant):
    fund("available", 10**6, merchant)
    with nothing_written(), pytest.raises(NothingLeftToReverse, match="100000 centavos are left"):
        reverse(deposit, amount=100_001)
    reverse(deposit, amount=60_000)

    with nothing_written(), pytest.raises(NothingLeftToReverse, match="40000 centavos are left"):
        reverse(deposit, source="cau_2", amount=40_001)

    reverse(deposit, source="cau_2", amount=40_000)


@pytest.mark.parametrize("amount", [0, -1, 1.0, True, "100", MAX_AMOUNT + 1])
def test_reversals_need_whole_centavos(deposit, amount):
    with nothing_written(), pytest.raises(InvalidAmount):
        reverse(deposit, amount=amount)


def test_one_cause_reverses_once(deposit, merchant):
    other = pay_in.merchant_top_up(merchant, livemode=False, source="dep_2", amount=500, when=when())
    reverse(deposit, amount=100)

    for original in (deposit, other):
        with nothing_written(), pytest.raises(AlreadyPosted, match="reversal cau_1 is posted already"):
            reverse(original, amount=100)


def test_a_reversal_cannot_be_reversed(deposit):
    part = reverse(deposit, amount=100)

    for amount in (None, 1):
        with nothing_written(), pytest.raises(NothingLeftToReverse, match="A reversal cannot be reversed"):
            reverse(part, source="cau_2", amount=amount)


def test_spent_money_cannot_be_reversed(deposit, merchant):
    with transaction.atomic():
        payout.funds_blocked(merchant, livemode=False, source="case_1", amount=90_000, when=when())

    with nothing_written(), pytest.raises(InsufficientFunds, match=r"Available holds \$88\.40; \$988\.40 are needed"):
        reverse(deposit)

    assert legs(reverse(deposit, amount=8_900))["available"] == 8_797


def test_held_money_cannot_be_reversed(deposit, merchant):
    held_for = hold.place(
        merchant, livemode=False, source="po_1", amount=98_840, purpose=Hold.Purpose.PAYOUT, when=when()
    )

    with nothing_written(), pytest.raises(InsufficientFunds):
        reverse(deposit, amount=2)
    hold.release(held_for.pk, when=when())
    reverse(deposit)

    assert held(merchant) == {}


def test_a_posting_of_reserved_money_cannot_be_reversed(deposit, merchant):
    placed = hold.place(
        merchant, livemode=False, source="po_1", amount=50_580, purpose=Hold.Purpose.PAYOUT, when=when()
    )
    created = Transaction.objects.get(kind="payout_created")
    with nothing_written(), pytest.raises(MoneyHeld):
        reverse(created)

    hold.capture(placed.pk, amount=50_000, when=when())

    for kind in ("payout_created", "payout_settled", "payout_failed"):
        with nothing_written(), pytest.raises(MoneyHeld):
            reverse(Transaction.objects.get(kind=kind), amount=1)
    assert invariant.check() == []


def test_an_old_transaction_can_be_reversed(merchant):
    with time_machine.travel(clock.now() - timedelta(days=900)):
        old = pay_in.merchant_top_up(merchant, livemode=False, source="dep_1", amount=700, when=when())

    with nothing_written(), pytest.raises(EffectiveTooOld):
        reversal.reverse(old, source="cau_1", when=when(old.effective_at), description="Booked by mistake")
    reversed_now = reverse(old)

    assert reversed_now.effective_at > old.effective_at + timedelta(days=899)
    assert written()[:2] == (2, 4)


PART = st.one_of(st.integers(1, 400), st.integers(1, 10**12))


@settings(max_examples=60)
@given(
    credits=st.lists(PART, min_size=1, max_size=5),
    cuts=st.lists(st.one_of(st.integers(1, 5), PART), max_size=8),
    two_debits=st.booleans(),
)
def test_partial_reversals_sum_to_the_original(credits, cuts, two_debits):
    purposes = ["fee_revenue", "iva_payable", "owner_funds", "provider_payable", "suspense_reserved"]
    total = sum(credits)
    second = total // 3 if two_debits else 0
    whole = {"stp_cash": total - second, **({"bank_cash": second} if second else {})}
    whole |= {purpose: -amount for purpose, amount in zip(purposes, credits, strict=False)}

    with transaction.atomic():
        pairs = [(AccountName(purpose), amount) for purpose, amount in whole.items()]
        original = post("test", "src_1", pairs, livemode=False, when=when(), description="Test")
        left, rest = total, Counter(whole)
        for number, cut in enumerate([*cuts, None]):
            if left == 0:
                break
            wanted = left if cut is None else cut
            if wanted > left:
                with pytest.raises(NothingLeftToReverse):
                    reverse(original, source=f"cau_{number}", amount=cut)
                continue
            part = legs(reverse(original, source=f"cau_{number}", amount=cut))
            assert sum(part.values()) == 0
            assert sum(amount for amount in part.values() if amount > 0) == wanted
            for purpose, amount in part.items():
                assert 0 < -amount * (1 if whole[purpose] > 0 else -1) <= abs(rest[purpose])
                rest[purpose] += amount
            left -= wanted
        assert (left, {purpose: amount for purpose, amount in rest.items() if amount}) == (0, {})
        assert platform() == {}
        transaction.set_rollback(True)
