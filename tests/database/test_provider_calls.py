"""The record of a call to a provider is filled in once, for every role."""

from __future__ import annotations

import pytest
from psycopg import errors

from tests.database.conftest import Attacker

pytestmark = pytest.mark.promise(
    "P7", "raw SQL against what is posted or logged, as application and as owner", unit="attacks"
)

FILL = "UPDATE payments_providercall SET outcome = 'accepted', status = 200, answer = '{}', duration_ms = 7"
"""Only the row of the fixture is there."""


def test_the_outcome_of_a_call_is_filled_in_once(attacker: Attacker):
    with attacker.attempt():
        attacker.run(FILL)
        for again in (
            FILL,
            "UPDATE payments_providercall SET outcome = 'unknown'",
            "UPDATE payments_providercall SET outcome = '', status = NULL, answer = '', duration_ms = NULL",
            "UPDATE payments_providercall SET answer = 'nothing'",
        ):
            attacker.refused(again, by=errors.RestrictViolation, saying="filled in once")


@pytest.mark.parametrize(
    "change",
    [
        "request = 'nothing'",
        "operation = 'cancel_order'",
        "object_id = 'pay_other'",
        "began_at = now()",
        "account_id = account_id + 1",
        "livemode = NOT livemode",
        "id = id + 1",
    ],
)
def test_nothing_else_of_a_call_changes_with_its_outcome_or_without(attacker: Attacker, change: str):
    attacker.refused(f"UPDATE payments_providercall SET {change}", by=errors.RestrictViolation, saying="filled in once")
    attacker.refused(f"{FILL}, {change}", by=errors.RestrictViolation, saying="filled in once")


@pytest.mark.parametrize("change", ["status = 200", "answer = '{}'", "duration_ms = 7", "outcome = outcome"])
def test_an_answer_without_an_outcome_is_refused(attacker: Attacker, change: str):
    attacker.refused(f"UPDATE payments_providercall SET {change}", by=errors.RestrictViolation)


def test_no_call_begins_with_an_outcome_or_has_one_of_another_name(attacker: Attacker):
    with pytest.raises(errors.CheckViolation, match="outcome must be empty in a new row"), attacker.attempt():
        attacker.clone("payments_providercall", outcome="accepted", duration_ms=1)
    attacker.refused(FILL.replace("'accepted'", "'sent'"), by=errors.CheckViolation)
    attacker.refused(FILL.replace("duration_ms = 7", "duration_ms = NULL"), by=errors.CheckViolation)


def test_a_call_belongs_to_an_account_of_its_mode(attacker: Attacker):
    with pytest.raises(errors.CheckViolation, match="other mode"), attacker.attempt():
        attacker.clone("payments_providercall", livemode=True)
    with pytest.raises(errors.ForeignKeyViolation, match="not there"), attacker.attempt():
        attacker.clone("payments_providercall", account_id=987_654)


def test_an_account_of_stp_that_was_used_keeps_its_company(attacker: Attacker):
    rename = "UPDATE payments_provideraccount SET name = 'OTRA_EMPRESA'"

    attacker.refused(rename, by=errors.RestrictViolation, saying="name cannot change any more")


def test_an_account_that_takes_new_payments_hears_its_notices(attacker: Attacker):
    attacker.refused("UPDATE payments_provideraccount SET hears_notices = false", by=errors.CheckViolation)
