"""Guards what the database itself says about adjustments, in raw SQL by the application's role and the schema's owner.

Nothing is called posted that nobody approved or that is not in the books, no proposal is edited or removed, and one
that was edited past every guard is still not approved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from psycopg import errors

from ledger.models import Transaction
from ledger.services import adjustment, invariant
from staff.services import account, approval
from tests import cluster
from tests.factories.adjustment import decide, person, propose
from tests.ledger.sabotage import break_books


@pytest.fixture
def ana(committed_db: None) -> User:
    return person("ana", "add_approval")


@pytest.fixture
def berta(ana: User) -> User:
    return person("berta", "decide_approval")


@pytest.fixture(params=["payments_app", "payments_owner"])
def attacker(request: pytest.FixtureRequest, committed_db: None) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(cluster.url(request.param)) as connection:
        yield connection
        connection.rollback()


def refused(connection: psycopg.Connection[Any], statement: str, *params: Any, saying: str, by: Any) -> None:
    with pytest.raises(by, match=saying), connection.transaction():
        connection.execute(statement, params)


POSTED = "UPDATE ledger_adjustment SET status = 'posted', resolved_at = now() WHERE id = %s"


def test_nothing_is_called_posted_that_nobody_approved(attacker: psycopg.Connection[Any], ana: User) -> None:
    proposed = propose(ana)

    refused(attacker, POSTED, proposed.pk, saying="was not approved", by=errors.CheckViolation)


def test_nothing_is_called_posted_that_is_not_in_the_books(
    attacker: psycopg.Connection[Any], ana: User, berta: User
) -> None:
    proposed = propose(ana)
    asked = adjustment.approval_of(proposed)
    assert asked is not None
    attacker.execute(
        "INSERT INTO staff_vote (approval_id, user_id, decision, comment, created_at) "
        "VALUES (%s, %s, 'approve', '', now())",
        [asked.pk, berta.pk],
    )
    attacker.execute("UPDATE staff_approval SET status = 'approved', resolved_at = now() WHERE id = %s", [asked.pk])

    refused(attacker, POSTED, proposed.pk, saying="is not in the books", by=errors.CheckViolation)


def test_the_maker_cannot_vote_for_it_in_sql(attacker: psycopg.Connection[Any], ana: User) -> None:
    proposed = propose(ana)
    asked = adjustment.approval_of(proposed)
    assert asked is not None

    refused(
        attacker,
        "INSERT INTO staff_vote (approval_id, user_id, decision, comment, created_at) "
        "VALUES (%s, %s, 'approve', '', now())",
        asked.pk,
        ana.pk,
        saying="this account cannot vote",
        by=errors.CheckViolation,
    )


EDITS = [
    "legs = '[]'",
    "reason = 'otra'",
    "description = 'otra'",
    "livemode = NOT livemode",
    "effective_at = effective_at - interval '1 day'",
    "operating_date = operating_date + 1",
    "evidence = 'ledger/otro'",
    "evidence_sha256 = repeat('0', 64)",
    "maker_id = {berta}",
    "public_id = 'adj_otro'",
]


def test_a_proposal_cannot_be_edited(
    subtests: pytest.Subtests, attacker: psycopg.Connection[Any], ana: User, berta: User
) -> None:
    proposed = propose(ana)

    for change in EDITS:
        with subtests.test(change=change):
            refused(
                attacker,
                f"UPDATE ledger_adjustment SET {change.format(berta=berta.pk)} WHERE id = %s",
                proposed.pk,
                saying="cannot change",
                by=errors.RestrictViolation,
            )


@pytest.mark.parametrize("statement", ["DELETE FROM ledger_adjustment", "TRUNCATE ledger_adjustment"])
def test_adjustments_stay(statement: str, attacker: psycopg.Connection[Any], ana: User) -> None:
    propose(ana)

    refused(
        attacker,
        statement,
        saying="keeps its rows|permission denied",
        by=(errors.RestrictViolation, errors.InsufficientPrivilege),
    )


def test_what_was_edited_past_every_guard_is_still_not_approved(committed_db: None, ana: User, berta: User) -> None:
    proposed = propose(ana)
    legs = '[{"account": "platform:losses", "amount": 1}, {"account": "platform:bank_cash", "amount": -1}]'
    with psycopg.connect(cluster.url("payments_owner")) as connection:
        connection.execute("ALTER TABLE ledger_adjustment DISABLE TRIGGER USER")
        connection.execute("UPDATE ledger_adjustment SET legs = %s WHERE id = %s", [legs, proposed.pk])

    with pytest.raises(approval.ContentChanged):
        decide(proposed, berta)

    assert Transaction.objects.count() == 0


def booked_as_approved() -> bool:
    """Whether the books agree that every adjustment was approved."""
    return "adjustments_approved" not in invariant.check()


def test_a_vote_of_an_account_that_the_maker_made_approves_nothing(committed_db: None, ana: User, berta: User) -> None:
    proposed = propose(ana)
    decide(proposed, berta)
    assert booked_as_approved()
    with account.acting(ana):
        colleague = User.objects.create_user("ana2", password="x", is_staff=True)

    break_books(f"UPDATE staff_vote SET user_id = {colleague.pk}, created_at = now()")
    assert not booked_as_approved()
    break_books(f"UPDATE staff_vote SET user_id = {ana.pk}")
    assert not booked_as_approved()
    break_books(f"UPDATE staff_vote SET user_id = {berta.pk}")

    assert booked_as_approved()


def test_a_later_change_of_the_voters_account_leaves_the_approval(committed_db: None, ana: User, berta: User) -> None:
    decide(propose(ana), berta)

    with account.acting(ana):
        berta.email = "berta@example.mx"
        berta.save()

    assert booked_as_approved()


def test_an_approval_that_needs_two_people_posts_nothing_with_one(committed_db: None, ana: User, berta: User) -> None:
    proposed = propose(ana)
    decide(proposed, berta)

    break_books("UPDATE staff_approval SET approvers = 2")

    assert not booked_as_approved()
