"""Guards the one rule of approvals: a second person decides, about exactly what was proposed, in time, once.

In Python by the service, and in raw SQL by the application's role and the schema's owner: no superuser is above it.
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import transaction
from psycopg import errors

from core import clock
from core.errors import InvalidRequest
from staff.models import Approval, Vote
from staff.services import approval
from tests import cluster
from tests.concurrency.threads import at_once
from tests.staff.house import APPROVE, KIND, REJECT, SUBJECT, VOTE, House, person, refused, state


@pytest.fixture
def asked(house: House, ana: User) -> Approval:
    with transaction.atomic():
        return approval.request(KIND, SUBJECT, house.content, ana)


def test_a_second_person_approves_and_it_is_carried_out(house: House, asked: Approval, berta: User) -> None:
    vote = approval.vote(asked.pk, berta, "approve", " Revisado contra el estado de cuenta. ")

    assert house.happened == [f"approved {SUBJECT}"]
    assert state(asked) == ("approved", 1)
    assert (vote.user, vote.decision, vote.comment) == (berta, "approve", "Revisado contra el estado de cuenta.")
    asked.refresh_from_db()
    assert asked.resolved_at is not None


def test_a_second_person_rejects_and_says_why(house: House, asked: Approval, berta: User) -> None:
    with pytest.raises(InvalidRequest, match="Say why"):
        approval.vote(asked.pk, berta, "reject", "  ")
    assert state(asked) == ("pending", 0)

    approval.vote(asked.pk, berta, "reject", "Falta el comprobante.")

    assert house.happened == [f"rejected {SUBJECT}"]
    assert state(asked) == ("rejected", 1)


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_the_maker_decides_nothing_not_even_as_superuser(
    decision: str, house: House, asked: Approval, ana: User
) -> None:
    with pytest.raises(approval.OwnApproval):
        approval.vote(asked.pk, ana, decision, "Soy yo.")

    assert (state(asked), house.happened) == (("pending", 0), [])


def test_deciding_and_proposing_need_their_permissions(house: House, asked: Approval) -> None:
    for user in (person("dora", "view_approval", "add_approval"), person("eva")):
        with pytest.raises(approval.DecisionNotAllowed):
            approval.vote(asked.pk, user, "approve", "")
    with pytest.raises(approval.DecisionNotAllowed), transaction.atomic():
        approval.request(KIND, "other", house.content, person("fran", "decide_approval"))

    assert Approval.objects.count() == 1
    assert (state(asked), house.happened) == (("pending", 0), [])


def test_somebody_who_left_decides_nothing(asked: Approval, berta: User) -> None:
    berta.is_active = False
    berta.save()

    with pytest.raises(approval.DecisionNotAllowed):
        approval.vote(asked.pk, User.objects.get(pk=berta.pk), "approve", "")


@pytest.mark.parametrize(("decision", "comment"), [("maybe", "x"), ("", "x"), ("approve", "x" * 501)])
def test_a_vote_that_is_none_is_refused(decision: str, comment: str, asked: Approval, berta: User) -> None:
    with pytest.raises(InvalidRequest):
        approval.vote(asked.pk, berta, decision, comment)

    assert state(asked) == ("pending", 0)


@pytest.mark.parametrize("first", ["approve", "reject"])
def test_what_was_decided_is_decided(first: str, house: House, asked: Approval, berta: User, carla: User) -> None:
    approval.vote(asked.pk, berta, first, "Sí.")

    for user in (berta, carla):
        with pytest.raises(approval.AlreadyDecided):
            approval.vote(asked.pk, user, "approve", "")
    assert len(house.happened) == Vote.objects.count() == 1


@pytest.mark.parametrize("content", [{"amount": 101}, {"amount": "100"}, {"amount": 100, "more": None}, None])
def test_any_edit_voids_the_proposal(content: Any, house: House, asked: Approval, berta: User) -> None:
    house.content = content

    for decision in ("approve", "reject"):
        with pytest.raises(approval.ContentChanged):
            approval.vote(asked.pk, berta, decision, "Sí.")
    assert (state(asked), house.happened) == (("pending", 0), [])


def test_the_same_content_in_another_order_is_the_same() -> None:
    assert approval.digest({"a": 1, "b": [2, "ñ"]}) == approval.digest({"b": [2, "ñ"], "a": 1})
    assert approval.digest({"b": [2, "ñ"], "a": 1}) != approval.digest({"b": ["ñ", 2], "a": 1})


def test_after_seven_days_it_is_too_late(house: House, ana: User, berta: User) -> None:
    with time_machine.travel(clock.now() - timedelta(days=7, seconds=1)), transaction.atomic():
        late = approval.request(KIND, SUBJECT, house.content, ana)

    with pytest.raises(approval.ApprovalExpired):
        approval.vote(late.pk, berta, "approve", "")
    assert (state(late), house.happened) == (("pending", 0), [])

    assert approval.close_expired() == 1
    assert approval.close_expired() == 0
    assert (state(late), house.happened) == (("expired", 0), [f"expired {SUBJECT}"])


def test_only_the_maker_withdraws(house: House, asked: Approval, ana: User, berta: User) -> None:
    with pytest.raises(approval.DecisionNotAllowed):
        approval.cancel(asked.pk, berta)

    approval.cancel(asked.pk, ana)

    assert (state(asked), house.happened) == (("cancelled", 0), [f"cancelled {SUBJECT}"])
    with pytest.raises(approval.AlreadyDecided):
        approval.cancel(asked.pk, ana)
    with pytest.raises(approval.AlreadyDecided):
        approval.vote(asked.pk, berta, "approve", "")


def test_what_cannot_be_carried_out_leaves_no_vote(house: House, asked: Approval, berta: User) -> None:
    house.fails = True

    with pytest.raises(RuntimeError, match="cannot be carried out"):
        approval.vote(asked.pk, berta, "approve", "")
    assert state(asked) == ("pending", 0)

    house.fails = False
    approval.vote(asked.pk, berta, "approve", "")
    assert state(asked) == ("approved", 1)


def test_two_checkers_at_once_decide_once(committed_db: None, house: House, asked: Approval) -> None:
    checkers = [person(f"persona{number}", "decide_approval") for number in range(6)]

    def decide(user: User) -> str:
        try:
            approval.vote(asked.pk, user, "approve", "")
        except approval.AlreadyDecided:
            return "decided already"
        return "approved"

    results = at_once([lambda user=user: decide(user) for user in checkers])  # type: ignore[misc]

    assert sorted(results) == ["approved"] + ["decided already"] * 5
    assert house.happened == [f"approved {SUBJECT}"]
    assert state(asked) == ("approved", 1)


def test_a_kind_is_registered_once(db: None, house: House) -> None:
    kind = house.kind()
    approval.register(dataclasses.replace(kind))
    with pytest.raises(ValueError, match="registered already"):
        approval.register(dataclasses.replace(kind, approvers=2))
    with pytest.raises(KeyError), transaction.atomic():
        approval.request("nobody.registered", SUBJECT, {}, User())


# What the database refuses, whoever asks.


def test_no_vote_by_the_maker(attacker: psycopg.Connection[Any], asked: Approval, ana: User) -> None:
    for decision in ("approve", "reject"):
        refused(attacker, VOTE, asked.pk, ana.pk, decision, saying="this account cannot vote")


def test_nothing_is_decided_without_a_vote_of_somebody_else(
    attacker: psycopg.Connection[Any], asked: Approval, berta: User
) -> None:
    refused(attacker, APPROVE, asked.pk, saying="too few other people voted")
    refused(attacker, REJECT, asked.pk, saying="too few other people voted")
    attacker.execute(VOTE, [asked.pk, berta.pk, "reject"])
    refused(attacker, APPROVE, asked.pk, saying="too few other people voted")
    attacker.execute(REJECT, [asked.pk])


def test_one_vote_a_person_and_none_after_the_decision(
    attacker: psycopg.Connection[Any], asked: Approval, berta: User, carla: User
) -> None:
    attacker.execute(VOTE, [asked.pk, berta.pk, "approve"])
    refused(attacker, VOTE, asked.pk, berta.pk, "approve", saying="this account cannot vote")
    refused(attacker, VOTE, asked.pk, carla.pk, "perhaps", saying="vote_decision_known")
    attacker.execute(APPROVE, [asked.pk])

    refused(attacker, VOTE, asked.pk, carla.pk, "approve", saying="this approval is approved already")
    for change in ("resolved_at = now() - interval '1 day'", "status = 'pending', resolved_at = NULL"):
        refused(
            attacker,
            f"UPDATE staff_approval SET {change} WHERE id = %s",
            asked.pk,
            saying="decided already|cannot become",
            by=errors.IntegrityError,
        )


def test_nothing_happens_to_an_expired_one_but_its_end(
    attacker: psycopg.Connection[Any], house: House, ana: User, berta: User
) -> None:
    with time_machine.travel(clock.now() - timedelta(days=8)), transaction.atomic():
        late = approval.request(KIND, SUBJECT, house.content, ana)

    refused(attacker, VOTE, late.pk, berta.pk, "approve", saying="has expired")
    attacker.execute("UPDATE staff_approval SET status = 'cancelled', resolved_at = now() WHERE id = %s", [late.pk])


def test_one_that_expires_after_the_vote_is_not_approved(
    attacker: psycopg.Connection[Any], house: House, ana: User, berta: User
) -> None:
    attacker.execute("SELECT 1")  # all of it in one transaction
    for seconds in (2, 8, 40):  # that a busy machine may need for the vote
        with time_machine.travel(clock.now() - timedelta(days=7) + timedelta(seconds=seconds)), transaction.atomic():
            asked = approval.request(KIND, f"{SUBJECT}{seconds}", house.content, ana)
        try:
            with attacker.transaction():
                attacker.execute(VOTE, [asked.pk, berta.pk, "approve"])
            break
        except errors.CheckViolation:
            continue
    attacker.execute("SELECT pg_sleep(%s)", [seconds + 0.2])

    refused(attacker, APPROVE, asked.pk, saying="has expired")


EDITS = [
    "maker_id = {berta}",
    "subject = 'adj_other'",
    "kind = 'another.action'",
    "content_sha256 = repeat('0', 64)",
    "expires_at = expires_at + interval '1 year'",
    "created_at = created_at - interval '1 day'",
    "public_id = 'apr_other'",
]


def test_what_was_asked_cannot_be_changed(
    subtests: pytest.Subtests, attacker: psycopg.Connection[Any], asked: Approval, berta: User
) -> None:
    for change in EDITS:
        with subtests.test(change=change):
            statement = f"UPDATE staff_approval SET {change.format(berta=berta.pk)} WHERE id = %s"

            refused(attacker, statement, asked.pk, saying="cannot change", by=errors.RestrictViolation)


LATER_STATES = ["approved", "rejected", "cancelled", "invented"]


def test_an_approval_begins_pending(
    subtests: pytest.Subtests, attacker: psycopg.Connection[Any], asked: Approval, ana: User
) -> None:
    insert = (
        "INSERT INTO staff_approval (public_id, kind, subject, content_sha256, maker_id, status, created_at, "
        "expires_at, resolved_at) VALUES ('apr_x', 'k', 's', 'c', %s, %s, now(), now() + interval '1 day', now())"
    )

    for status in LATER_STATES:
        with subtests.test(status=status):
            refused(attacker, insert, ana.pk, status, saying="a row cannot begin as")


REMOVALS = [
    "UPDATE staff_vote SET comment = 'x'",
    "UPDATE staff_vote SET user_id = user_id",
    "DELETE FROM staff_vote",
    "TRUNCATE staff_vote",
    "DELETE FROM staff_approval",
    "TRUNCATE staff_approval CASCADE",
]


def test_votes_and_approvals_stay(
    subtests: pytest.Subtests, attacker: psycopg.Connection[Any], asked: Approval, berta: User
) -> None:
    approval.vote(asked.pk, berta, "approve", "")

    for statement in REMOVALS:
        with subtests.test(statement=statement):
            refused(
                attacker,
                statement,
                saying="append-only|keeps its rows|permission denied",
                by=(errors.RestrictViolation, errors.InsufficientPrivilege),
            )


def test_no_setting_switches_the_guards_off(attacker: psycopg.Connection[Any], asked: Approval, ana: User) -> None:
    attacker.execute("SELECT set_config('pgtrigger.ignore', 'staff_vote:allowed,staff_approval:second_person', true)")
    refused(attacker, VOTE, asked.pk, ana.pk, "approve", saying="this account cannot vote")
    refused(attacker, APPROVE, asked.pk, saying="too few other people voted")
    attacker.rollback()
    attacker.execute("SET search_path = pg_temp, public")
    refused(attacker, VOTE, asked.pk, ana.pk, "approve", saying="this account cannot vote")


def test_two_votes_in_two_sessions_take_turns(committed_db: None, asked: Approval, berta: User, carla: User) -> None:
    with (
        psycopg.connect(cluster.url("payments_app")) as first,
        psycopg.connect(cluster.url("payments_app")) as second,
    ):
        first.execute(VOTE, [asked.pk, berta.pk, "approve"])
        second.execute("SET lock_timeout = '200ms'")
        second.commit()
        with pytest.raises(errors.LockNotAvailable), second.transaction():
            second.execute(VOTE, [asked.pk, carla.pk, "approve"])
        first.execute(APPROVE, [asked.pk])
        first.commit()
        refused(second, VOTE, asked.pk, carla.pk, "approve", saying="is approved already")
