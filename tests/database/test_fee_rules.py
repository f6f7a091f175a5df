"""Fees end and begin, they never change: raw SQL against rules that have begun or were used, and planned ones."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from psycopg import errors

from payments.models.fee_rule import today
from tests.database.conftest import NEW_PAYMENT

pytestmark = pytest.mark.promise("P7", "raw SQL against fees that have begun or were used", unit="attacks")

BEGUN = "method = 'spei'"


def day(offset: int) -> date:
    return today() + timedelta(days=offset)


def rule(attacker, first: int, last: int | None = None, method: str = "oxxo") -> int:
    until = None if last is None else str(day(last))
    return int(attacker.clone("payments_feerule", method=method, valid_from=str(day(first)), valid_until=until))


def price(attacker, offset: int, method: str = "oxxo") -> None:
    """A payment that was made at noon of that day."""
    moment = f"{day(offset)}T18:00:00Z"
    attacker.clone("payments_payment", **NEW_PAYMENT | {"method": method, "created_at": moment})


@pytest.mark.parametrize(
    "change",
    [
        "percent = percent + 1",
        "percent = 0",
        "fixed = fixed + 1",
        "method = 'oxxo'",
        "merchant_id = merchant_id + 1",
        "valid_from = valid_from - 1",
        "valid_from = valid_from + 1",
        "percent = 2, valid_until = current_date + 30",
    ],
)
def test_a_fee_that_has_begun_does_not_change(attacker, change):
    attacker.refused(
        f"UPDATE payments_feerule SET {change} WHERE {BEGUN}",
        by=errors.RestrictViolation,
        saying="a fee that has begun or was used cannot change, only end",
    )


@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM payments_feerule WHERE {BEGUN}",
        "DELETE FROM payments_feerule",
        f"WITH gone AS (DELETE FROM payments_feerule WHERE {BEGUN} RETURNING *) SELECT count(*) FROM gone",
        f"MERGE INTO payments_feerule t USING (SELECT 1) s ON t.{BEGUN} WHEN MATCHED THEN DELETE",
    ],
)
def test_a_fee_that_has_begun_is_not_deleted(attacker, statement):
    attacker.refused(statement, by=errors.RestrictViolation, saying="cannot be deleted")


def test_an_upsert_meets_the_same_guard(attacker):
    attacker.refused(
        "INSERT INTO payments_feerule SELECT * FROM payments_feerule ON CONFLICT (id) DO UPDATE SET percent = 9",
        by=errors.RestrictViolation,
        saying="cannot change, only end",
    )


@pytest.mark.parametrize("last", [0, 1, 400, None])
def test_a_fee_that_has_begun_ends_today_or_later(attacker, last):
    attacker.run(f"UPDATE payments_feerule SET valid_until = %s WHERE {BEGUN}", None if last is None else day(last))


def test_a_fee_does_not_end_in_the_past(attacker):
    attacker.refused(
        f"UPDATE payments_feerule SET valid_from = valid_from, valid_until = %s WHERE {BEGUN}",
        day(-1),
        by=errors.RestrictViolation,
        saying="a fee must end today or later",
    )


def test_an_end_that_is_still_to_come_may_move_and_go(attacker):
    for last in (day(3), day(1), None, day(0)):
        attacker.run(f"UPDATE payments_feerule SET valid_until = %s WHERE {BEGUN}", last)


@pytest.mark.parametrize("until", ["valid_until + 1", "NULL", "current_date + 90"])
def test_a_fee_that_has_ended_stays_ended(superuser, until):
    """Of yesterday, as only time makes one."""
    superuser.run("ALTER TABLE payments_feerule DISABLE TRIGGER USER")
    superuser.run(f"UPDATE payments_feerule SET valid_from = %s, valid_until = %s WHERE {BEGUN}", day(-9), day(-1))
    superuser.run("ALTER TABLE payments_feerule ENABLE TRIGGER USER")
    for (name,) in superuser.connection.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'payments_feerule'::regclass AND NOT tgisinternal"
    ).fetchall():
        superuser.run(f"ALTER TABLE payments_feerule ENABLE ALWAYS TRIGGER {name}")

    superuser.refused(
        f"UPDATE payments_feerule SET valid_until = {until} WHERE {BEGUN}",
        by=errors.RestrictViolation,
        saying="a fee must end today or later, after its last payment, and only once",
    )


@pytest.mark.parametrize("offset", [-1, -400])
def test_a_fee_does_not_begin_in_the_past(attacker, offset):
    with pytest.raises(errors.RestrictViolation, match="a fee must begin today or later"), attacker.attempt():
        rule(attacker, offset)


def test_a_planned_fee_may_change_and_go_until_it_begins(attacker):
    planned = rule(attacker, 5)

    attacker.run("UPDATE payments_feerule SET percent = 3, valid_from = %s WHERE id = %s", day(2), planned)
    attacker.refused(
        "UPDATE payments_feerule SET valid_from = %s WHERE id = %s",
        day(-1),
        planned,
        by=errors.RestrictViolation,
        saying="a fee must begin today or later",
    )
    assert attacker.connection.execute("DELETE FROM payments_feerule WHERE id = %s", [planned]).rowcount == 1


def test_a_fee_that_priced_a_payment_has_begun_whatever_the_calendar_says(attacker):
    """The clocks of two machines differ around midnight."""
    planned = rule(attacker, 1)
    price(attacker, 1)

    attacker.refused(f"DELETE FROM payments_feerule WHERE id = {planned}", by=errors.RestrictViolation, saying="used")
    attacker.refused(
        f"UPDATE payments_feerule SET fixed = fixed + 1 WHERE id = {planned}",
        by=errors.RestrictViolation,
        saying="cannot change, only end",
    )


def test_a_fee_does_not_end_before_a_payment_that_it_priced(attacker):
    price(attacker, 2, "spei")

    attacker.refused(
        f"UPDATE payments_feerule SET valid_until = %s WHERE {BEGUN}",
        day(1),
        by=errors.RestrictViolation,
        saying="after its last payment",
    )
    attacker.run(f"UPDATE payments_feerule SET valid_until = %s WHERE {BEGUN}", day(2))


def test_payments_of_others_tie_no_rule(attacker):
    planned = rule(attacker, 1)
    price(attacker, 1, "spei")

    attacker.run("UPDATE payments_feerule SET percent = 3 WHERE id = %s", planned)


@pytest.mark.parametrize(
    ("periods", "accepted"),
    [
        ([(1, 30), (31, None)], True),
        ([(1, 30), (30, None)], False),
        ([(1, None), (400, 400)], False),
        ([(1, 1), (2, 2)], True),
    ],
)
def test_fees_of_one_merchant_and_method_never_overlap(attacker, periods, accepted):
    with attacker.attempt():
        for period in periods[:-1]:
            rule(attacker, *period)
        if accepted:
            rule(attacker, *periods[-1])
        else:
            with pytest.raises(errors.ExclusionViolation, match="fee_rule_periods_apart"), attacker.attempt():
                rule(attacker, *periods[-1])


def test_a_period_of_fees_ends_after_it_began(attacker):
    with pytest.raises(errors.CheckViolation, match="fee_rule_period_not_empty"), attacker.attempt():
        rule(attacker, 2, 1)
