"""Payments, deposits and review cases agree when a transaction ends, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from psycopg import errors

from tests.database.conftest import NEW_CASE, NEW_DEPOSIT, NEW_PAYMENT
from tests.database.deposits import a_deposit
from tests.database.raw_books import account, post

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
        saying="amounts differ from those of its credited deposits",
    )


def test_a_deposit_is_not_credited_without_its_payment(attacker):
    paid = attacker.run("SELECT id FROM payments_payment WHERE status = 'completed' LIMIT 1")

    for write in (
        lambda: a_deposit(attacker, **CREDITED | {"payment_id": paid}),
        f"UPDATE payments_deposit SET status = 'credited', payment_id = {paid} WHERE status = 'suspended'",
    ):
        refused_at_the_end(attacker, write, saying="amounts differ from those of its credited deposits")


def test_a_second_deposit_and_its_payment_may_change_in_either_order(attacker):
    paid = attacker.run("SELECT id FROM payments_payment WHERE status = 'completed' LIMIT 1")
    raise_it = f"UPDATE payments_payment SET amount_received = amount_received + 100000 WHERE id = {paid}"

    steps = [
        lambda: a_deposit(attacker, **CREDITED | {"payment_id": paid}),
        lambda: attacker.run(raise_it),
    ]

    to_the_end(attacker, lambda: [step() for step in steps])
    to_the_end(attacker, lambda: [step() for step in reversed(steps)])


def test_money_in_suspense_has_a_review_case(attacker):
    def suspend() -> int:
        return a_deposit(attacker)

    refused_at_the_end(attacker, suspend, saying="money in suspense needs a review case")

    to_the_end(attacker, lambda: attacker.clone("payments_reviewcase", **NEW_CASE | {"deposit_id": suspend()}))


def test_a_deposit_has_the_posting_of_its_state(attacker):
    paid = attacker.run("SELECT id FROM payments_payment WHERE status = 'completed' LIMIT 1")
    credit = (
        f"UPDATE payments_deposit SET status = 'credited', payment_id = {paid} WHERE status = 'suspended'",
        "UPDATE payments_reviewcase SET status = 'credited', resolved_at = now() WHERE status = 'open'",
        "INSERT INTO payments_reviewcasetransition (review_case_id, from_status, to_status, cause, actor, reference, "
        "reason, created_at) SELECT id, 'open', 'credited', 'staff', 'ana', '', '', now() FROM payments_reviewcase",
        f"UPDATE payments_payment SET amount_received = amount_received + 100000 WHERE id = {paid}",
    )
    suspend = (
        lambda: attacker.clone("payments_deposit", **NEW_DEPOSIT),
        lambda: attacker.clone("payments_reviewcase", **NEW_CASE | {"deposit_id": suspended(attacker)}),
    )

    for steps in ([lambda s=s: attacker.run(s) for s in credit], suspend):
        refused_at_the_end(
            attacker, lambda steps=steps: [step() for step in steps], saying="without its ledger posting"
        )


def suspended(attacker) -> int:
    return attacker.run("SELECT id FROM payments_deposit WHERE public_id = 'dep_new'")


def test_a_review_case_is_resolved_only_together_with_its_deposit(attacker):
    refused_at_the_end(
        attacker,
        "UPDATE payments_reviewcase SET status = 'credited', resolved_at = now() WHERE status = 'open'",
        saying="open if and only if its deposit is in suspense",
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


@pytest.fixture
def funding(attacker) -> int:
    """A funding CLABE."""
    return attacker.clone(
        "payments_clabe",
        public_id="clb_funding",
        clabe="646180157000000990",
        purpose="funding",
        registration="pending",
        status="active",
        closed_at=None,
        min_amount=None,
        max_amount=None,
    )


TOP_UP = CREDITED | {"purpose": "funding", "payment_id": None, "fee": 0, "fee_tax": 0}


def booked(attacker, kind: str) -> None:
    legs = [(account(attacker, "platform:stp_cash"), 100_000), (account(attacker, "platform:suspense"), -100_000)]
    post(attacker, "dep_new", *legs, kind=kind)


def test_a_topup_has_its_own_posting_and_no_other(attacker, funding):
    def top_up(kind: str) -> None:
        attacker.clone("payments_deposit", **TOP_UP | {"reusable_clabe_id": funding})
        booked(attacker, kind)

    for kind in ("spei_deposit", "oxxo_paid", "suspense_assigned"):
        refused_at_the_end(attacker, lambda kind=kind: top_up(kind), saying="without its ledger posting")

    to_the_end(attacker, lambda: top_up("merchant_top_up"))


def test_a_deposit_of_a_payment_is_not_booked_as_a_topup(attacker):
    paid = attacker.run("SELECT id FROM payments_payment WHERE status = 'completed' LIMIT 1")

    def credit() -> None:
        attacker.clone("payments_deposit", **CREDITED | {"payment_id": paid})
        attacker.run(f"UPDATE payments_payment SET amount_received = amount_received + 100000 WHERE id = {paid}")
        booked(attacker, "merchant_top_up")

    refused_at_the_end(attacker, credit, saying="without its ledger posting")


@pytest.mark.parametrize(
    ("changes", "saying"),
    [
        ({"payment_id": "paid"}, "deposit_funding_is_free"),
        ({"fee": 1}, "deposit_funding_is_free"),
        ({"fee_tax": 1}, "deposit_funding_is_free"),
        ({"reusable_clabe_id": None}, "its purpose differs from that of its CLABE"),
        ({"reusable_clabe_id": "collection"}, "its purpose differs from that of its CLABE"),
        ({"purpose": "payment"}, "its purpose differs from that of its CLABE"),
        ({"purpose": "gift"}, "its purpose differs from that of its CLABE"),
    ],
)
def test_a_topup_has_no_payment_and_no_fee_and_is_on_a_funding_clabe(attacker, funding, changes, saying):
    known = {
        "paid": attacker.run("SELECT id FROM payments_payment WHERE status = 'completed' LIMIT 1"),
        "collection": attacker.run("SELECT id FROM payments_clabe WHERE purpose = 'collection' LIMIT 1"),
    }
    wrong = {name: known.get(value, value) for name, value in changes.items()}

    with pytest.raises(errors.CheckViolation, match=saying), attacker.attempt():
        attacker.clone("payments_deposit", **TOP_UP | {"reusable_clabe_id": funding} | wrong)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("purpose = 'collection', registration = ''", errors.RestrictViolation),
        ("status = 'closed', closed_at = now()", errors.CheckViolation),
        ("registration = ''", errors.CheckViolation),
        ("registration = 'lost'", errors.CheckViolation),
    ],
)
def test_a_funding_clabe_stays_what_it_is(attacker, funding, change, error):
    with pytest.raises(error), attacker.attempt():
        attacker.run(f"UPDATE payments_clabe SET {change} WHERE id = {funding}")


def test_an_active_registration_does_not_change(attacker, funding):
    attacker.run(f"UPDATE payments_clabe SET registration = 'refused' WHERE id = {funding}")
    attacker.run(f"UPDATE payments_clabe SET registration = 'active' WHERE id = {funding}")

    for state in ("pending", "refused"):
        with pytest.raises(errors.RestrictViolation, match="once it is active"), attacker.attempt():
            attacker.run(f"UPDATE payments_clabe SET registration = '{state}' WHERE id = {funding}")


def test_a_merchant_has_one_funding_clabe(attacker, funding):
    with pytest.raises(errors.UniqueViolation, match="clabe_one_funding"), attacker.attempt():
        attacker.run(
            "UPDATE payments_clabe SET status = status WHERE false; "
            "INSERT INTO payments_clabe SELECT (jsonb_populate_record(c, jsonb_build_object("
            "'id', 999999, 'public_id', 'clb_second', 'clabe', '646180157000000987'))).* "
            f"FROM payments_clabe c WHERE id = {funding}"
        )
