"""Payments, deposits and review cases agree when a transaction ends, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from psycopg import errors

from tests.database.conftest import NEW_CASE, NEW_DEPOSIT, NEW_PAYMENT

CREDITED = NEW_DEPOSIT | {"status": "credited", "suspense_reason": ""}


def to_the_end(attacker, write: Callable[[], object]) -> None:
    with attacker.attempt():
        write()
        attacker.run("SET CONSTRAINTS ALL IMMEDIATE")


def refused_at_the_end(attacker, write: str | Callable[[], object], *, saying: str) -> None:
    with pytest.raises(errors.CheckViolation, match=saying):
        to_the_end(attacker, write if callable(write) else lambda: attacker.run(write))


@pytest.mark.parametrize(
    "change",
    [
        "amount_received = amount_received + 1",
        "amount_received = amount_received - 1",
        "fee = fee + 1",
        "fee = fee - 1",
        "fee_tax = fee_tax + 1",
        "fee = fee + 1, fee_tax = fee_tax - 1",
        "status = 'reversed', amount_received = 0, fee = 0, fee_tax = 0",
    ],
)
def test_a_payments_figures_are_those_of_its_credited_deposits(attacker, change):
    refused_at_the_end(
        attacker,
        f"UPDATE payments_payment SET {change} WHERE status = 'completed'",
        saying="its figures are not those of its credited deposits",
    )


def test_a_deposit_is_not_credited_without_its_payment(attacker):
    paid = attacker.run("SELECT id FROM payments_payment WHERE status = 'completed' LIMIT 1")

    for write in (
        lambda: attacker.clone("payments_deposit", **CREDITED | {"payment_id": paid}),
        f"UPDATE payments_deposit SET status = 'credited', payment_id = {paid} WHERE status = 'suspended'",
    ):
        refused_at_the_end(attacker, write, saying="its figures are not those of its credited deposits")


def test_a_second_deposit_and_its_payment_may_change_in_either_order(attacker):
    paid = attacker.run("SELECT id FROM payments_payment WHERE status = 'completed' LIMIT 1")
    raise_it = f"UPDATE payments_payment SET amount_received = amount_received + 100000 WHERE id = {paid}"

    steps = [
        lambda: attacker.clone("payments_deposit", **CREDITED | {"payment_id": paid}),
        lambda: attacker.run(raise_it),
    ]

    to_the_end(attacker, lambda: [step() for step in steps])
    to_the_end(attacker, lambda: [step() for step in reversed(steps)])


def test_money_in_suspense_has_a_review_case(attacker):
    def suspend() -> int:
        return attacker.clone("payments_deposit", **NEW_DEPOSIT)

    refused_at_the_end(attacker, suspend, saying="money in suspense needs a review case")

    to_the_end(attacker, lambda: attacker.clone("payments_reviewcase", **NEW_CASE | {"deposit_id": suspend()}))


def test_a_review_case_is_resolved_only_together_with_its_deposit(attacker):
    refused_at_the_end(
        attacker,
        "UPDATE payments_reviewcase SET status = 'credited', resolved_at = now() WHERE status = 'open'",
        saying="open exactly as long as its deposit is in suspense",
    )


def test_a_deposit_has_one_review_case(attacker):
    with pytest.raises(errors.UniqueViolation, match="deposit_id"), attacker.attempt():
        attacker.clone("payments_reviewcase", **NEW_CASE)


@pytest.mark.parametrize(
    ("spoilt", "constraint"),
    [
        ({"fee": -1}, "deposit_fee_within_amount"),
        ({"fee_tax": -1}, "deposit_fee_within_amount"),
        ({"amount": 10, "fee": 9, "fee_tax": 2}, "deposit_fee_within_amount"),
        ({"fee": 1}, "deposit_suspended_has_no_fee"),
        ({"fee_tax": 1}, "deposit_suspended_has_no_fee"),
    ],
)
def test_a_deposits_fee_makes_sense(attacker, spoilt, constraint):
    with pytest.raises(errors.CheckViolation, match=constraint), attacker.attempt():
        attacker.clone("payments_deposit", **NEW_DEPOSIT | spoilt)


@pytest.mark.parametrize(
    ("spoilt", "constraint"),
    [
        ({"amount_received": 1}, "payment_unpaid_has_no_money"),
        ({"made_by": "clabe"}, "payment_reusable_clabe_made_it"),
    ],
)
def test_a_new_payment_makes_sense(attacker, spoilt, constraint):
    with pytest.raises(errors.CheckViolation, match=constraint), attacker.attempt():
        attacker.clone("payments_payment", **NEW_PAYMENT | spoilt)


def test_a_cancelled_payment_knows_when(attacker):
    attacker.refused(
        "UPDATE payments_payment SET status = 'cancelled' WHERE status = 'pending'",
        by=errors.CheckViolation,
        saying="payment_cancelled_has_moment",
    )


NEW_CLABE = {"public_id": "clb_new", "clabe": "646180157000000990", "status": "active", "closed_at": None}


@pytest.mark.parametrize(
    ("spoilt", "constraint"),
    [
        ({"clabe": "646180157000000"}, "clabe_is_one_of_ours"),
        ({"clabe": "012180157000000990"}, "clabe_is_one_of_ours"),
        ({"min_amount": 0}, "clabe_least_positive"),
        ({"max_amount": 0, "min_amount": None}, "clabe_most_positive"),
        ({"min_amount": 2, "max_amount": 1}, "clabe_range_not_empty"),
        ({"closed_at": "2026-11-26T00:00:00Z"}, "clabe_closed_has_moment"),
    ],
)
def test_a_reusable_clabe_makes_sense(attacker, spoilt, constraint):
    with pytest.raises(errors.CheckViolation, match=constraint), attacker.attempt():
        attacker.clone("payments_clabe", **NEW_CLABE | spoilt)


def test_a_clabe_is_handed_out_once(attacker):
    with pytest.raises(errors.UniqueViolation, match="clabe"), attacker.attempt():
        attacker.clone("payments_clabe", public_id="clb_new", status="active", closed_at=None)


@pytest.mark.parametrize(
    ("periods", "accepted"),
    [
        ([("2026-01-01", "2026-06-30"), ("2026-07-01", None)], True),
        ([("2026-01-01", "2026-06-30"), ("2026-06-30", None)], False),
        ([("2026-01-01", None), ("2030-01-01", "2030-01-01")], False),
        ([("2026-01-01", "2026-01-01"), ("2026-01-02", "2026-01-02")], True),
    ],
)
def test_fees_of_one_merchant_and_method_never_overlap(attacker, periods, accepted):
    with attacker.attempt():
        for first_day, last_day in periods[:-1]:
            attacker.clone("payments_feerule", method="oxxo", valid_from=first_day, valid_until=last_day)
        first_day, last_day = periods[-1]
        if accepted:
            attacker.clone("payments_feerule", method="oxxo", valid_from=first_day, valid_until=last_day)
        else:
            with pytest.raises(errors.ExclusionViolation, match="fee_rule_periods_apart"), attacker.attempt():
                attacker.clone("payments_feerule", method="oxxo", valid_from=first_day, valid_until=last_day)


def test_a_period_of_fees_ends_after_it_began(attacker):
    with pytest.raises(errors.CheckViolation, match="fee_rule_period_not_empty"), attacker.attempt():
        attacker.clone("payments_feerule", method="oxxo", valid_from="2026-01-02", valid_until="2026-01-01")
