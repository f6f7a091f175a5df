"""What each kind of approval decides for itself: how many people, how long, with which permission, and its end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.db import transaction

from core import clock
from core.unit_of_work import unit_of_work
from merchants.models import Merchant
from merchants.services import api_key, idempotency_key
from merchants.services.idempotency_key import KeyedRequest
from staff.models import Approval, Vote
from staff.services import account, approval
from tests.concurrency.threads import at_once
from tests.staff.house import APPROVE, KIND, REJECT, SUBJECT, VOTE, House, person, refused, state

BY_TWO = "tests.by_two"


def ask(house: House, maker: User | str, kind: str = KIND, subject: str = SUBJECT, **options: Any) -> Approval:
    if options:
        approval.register(house.kind(kind, **options))
    with transaction.atomic():
        return approval.request(kind, subject, house.content, maker)


@pytest.fixture
def by_two(house: House, ana: User) -> Approval:
    return ask(house, ana, BY_TWO, approvers=2)


def made_by(creator: User, name: str, *codenames: str) -> User:
    """An account that ``creator`` has just created."""
    with account.acting(creator):
        made = User.objects.create_user(name, password="x", is_staff=True)
    with account.acting(account.OPERATOR):
        made.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return made


def test_two_approvers_are_two_people(house: House, by_two: Approval, berta: User, carla: User) -> None:
    approval.vote(by_two.pk, berta, "approve", "")
    assert (state(by_two), house.happened) == (("pending", 1), [])
    with pytest.raises(approval.AlreadyVoted):
        approval.vote(by_two.pk, berta, "approve", "")
    assert not approval.may_decide(by_two, berta)
    assert approval.may_decide(by_two, carla)

    approval.vote(by_two.pk, carla, "approve", "")

    assert (state(by_two), house.happened) == (("approved", 2), [f"approved {SUBJECT}"])


def test_one_rejection_ends_it_after_an_approval_too(house: House, by_two: Approval, berta: User, carla: User) -> None:
    approval.vote(by_two.pk, berta, "approve", "")

    approval.vote(by_two.pk, carla, "reject", "No.")

    assert (state(by_two), house.happened) == (("rejected", 2), [f"rejected {SUBJECT}"])


def test_three_approvers_at_once_execute_it_once(committed_db: None, house: House, ana: User) -> None:
    asked = ask(house, ana, "tests.by_three", approvers=3)
    voters = [person(f"persona{number}", "decide_approval") for number in range(6)]

    def decide(user: User) -> str:
        try:
            approval.vote(asked.pk, user, "approve", "")
        except approval.AlreadyDecided:
            return "decided already"
        return "counted"

    results = at_once([lambda user=user: decide(user) for user in voters])  # type: ignore[misc]

    assert sorted(results) == ["counted"] * 3 + ["decided already"] * 3
    assert (state(asked), house.happened) == (("approved", 3), [f"approved {SUBJECT}"])


@pytest.mark.parametrize("first", ["creator", "created"])
def test_two_accounts_of_one_person_are_one_vote(
    first: str, house: House, by_two: Approval, berta: User, carla: User
) -> None:
    second_account = made_by(berta, "berta2", "decide_approval")
    voters = [berta, second_account] if first == "creator" else [second_account, berta]

    approval.vote(by_two.pk, voters[0], "approve", "")

    with pytest.raises(approval.VoterBarred):
        approval.vote(by_two.pk, voters[1], "approve", "")
    assert state(by_two) == ("pending", 1)
    approval.vote(by_two.pk, carla, "approve", "")
    assert state(by_two) == ("approved", 2)


def test_the_database_counts_people(
    attacker: psycopg.Connection[Any], by_two: Approval, ana: User, berta: User, carla: User
) -> None:
    second_account = made_by(berta, "berta2", "decide_approval")
    attacker.execute(VOTE, [by_two.pk, berta.pk, "approve"])
    refused(attacker, APPROVE, by_two.pk, saying="too few other people voted")
    for user in (ana, berta, second_account):
        refused(attacker, VOTE, by_two.pk, user.pk, "approve", saying="this account cannot vote")
    refused(attacker, APPROVE, by_two.pk, saying="too few other people voted")
    refused(attacker, REJECT, by_two.pk, saying="too few other people voted")

    attacker.execute(VOTE, [by_two.pk, carla.pk, "approve"])
    attacker.execute(APPROVE, [by_two.pk])

    assert attacker.execute("SELECT staff_approved(%s)", [by_two.pk]).fetchone() == (True,)


def test_superusers_count_like_other_people(attacker: psycopg.Connection[Any], by_two: Approval, berta: User) -> None:
    superuser = person("super", superuser=True)
    attacker.execute(VOTE, [by_two.pk, superuser.pk, "approve"])
    refused(attacker, VOTE, by_two.pk, superuser.pk, "approve", saying="this account cannot vote")
    refused(attacker, APPROVE, by_two.pk, saying="too few other people voted")

    attacker.execute(VOTE, [by_two.pk, berta.pk, "approve"])
    attacker.execute(APPROVE, [by_two.pk])


@pytest.mark.parametrize(("column", "value"), [("approvers", "1"), ("approvers", "0"), ("issuers", "'{7}'")])
def test_the_demands_of_an_approval_cannot_be_lowered(
    column: str, value: str, attacker: psycopg.Connection[Any], by_two: Approval
) -> None:
    statement = f"UPDATE staff_approval SET {column} = {value} WHERE id = %s"

    refused(attacker, statement, by_two.pk, saying="cannot change", by=psycopg.errors.RestrictViolation)


def test_an_approval_needs_at_least_one_person(attacker: psycopg.Connection[Any], ana: User) -> None:
    statement = (
        "INSERT INTO staff_approval (public_id, kind, subject, content_sha256, maker_id, approvers, status, "
        "created_at, expires_at) VALUES ('apr_x', 'k', 's', 'c', %s, 0, 'pending', now(), now() + interval '1 day')"
    )

    refused(attacker, statement, ana.pk, saying="approval_needs_approver")


def test_a_vote_is_dated_by_the_database(attacker: psycopg.Connection[Any], by_two: Approval, berta: User) -> None:
    backdated = VOTE.replace("now())", "'2020-01-01')")

    attacker.execute(backdated, [by_two.pk, berta.pk, "approve"])

    query = "SELECT created_at > now() - interval '1 minute' FROM staff_vote"
    assert attacker.execute(query).fetchone() == (True,)


def test_each_kind_has_its_lifetime(house: House, ana: User, berta: User) -> None:
    with time_machine.travel(clock.now() - timedelta(hours=2)):
        short = ask(house, ana, "tests.short", "adj_1", lifetime=timedelta(hours=1))
        usual = ask(house, ana, KIND, "adj_2")

    with pytest.raises(approval.ApprovalExpired):
        approval.vote(short.pk, berta, "approve", "")
    approval.vote(usual.pk, berta, "approve", "")

    assert approval.close_expired() == 1
    assert house.happened == ["approved adj_2", "expired adj_1"]


def test_each_kind_has_its_permission(house: House, ana: User, berta: User) -> None:
    asked = ask(house, ana, "tests.own", permission="ledger.view_adjustment")
    only_that = person("dora", "view_adjustment")
    both = person("eva", "decide_approval", "view_adjustment")

    for user in (berta, only_that):
        assert not approval.may_decide(asked, user)
        with pytest.raises(approval.DecisionNotAllowed):
            approval.vote(asked.pk, user, "approve", "")
    assert [user.username for user in approval.deciders("tests.own")] == ["ana", "eva"]
    assert [user.username for user in approval.deciders(KIND)] == ["ana", "berta", "eva"]
    approval.vote(asked.pk, both, "approve", "")

    assert state(asked) == ("approved", 1)


def test_what_a_kind_does_about_its_expiry_commits_with_it(
    house: House, ana: User, merchant: Merchant, caplog: pytest.LogCaptureFixture
) -> None:
    def rename(given: Approval) -> None:
        Merchant.objects.filter(pk=merchant.pk).update(name=f"{given.status} {given.subject}")
        if given.subject == "adj_broken":
            raise RuntimeError("it cannot be closed")

    house.on_closed = rename  # type: ignore[method-assign]
    with time_machine.travel(clock.now() - timedelta(days=8)):
        broken = ask(house, ana, "tests.closing", "adj_broken", approvers=1, lifetime=timedelta(days=7))
    with pytest.raises(approval.ApprovalExpired):
        approval.vote(broken.pk, person("dora", "decide_approval"), "approve", "")

    assert approval.close_expired() == 0

    merchant.refresh_from_db()
    assert (state(broken), merchant.name) == (("pending", 0), "Café Luna")
    assert [record.message for record in caplog.records] == ["an expired approval could not be closed"]
    with time_machine.travel(clock.now() - timedelta(days=8)):
        sound = ask(house, ana, "tests.closing", "adj_sound")
    assert approval.close_expired() == 1  # the broken one does not delay it
    merchant.refresh_from_db()
    assert (state(sound), state(broken)) == (("expired", 0), ("pending", 0))
    assert merchant.name == "expired adj_sound"


def test_an_app_ends_its_subject_and_the_approval_with_it(house: House, ana: User, berta: User) -> None:
    asked = ask(house, ana)

    with transaction.atomic():
        found = approval.lock_of(KIND, SUBJECT)
        assert found is not None
        approval.discard(found)

    assert (state(asked), house.happened) == (("cancelled", 0), [])
    with pytest.raises(approval.AlreadyDecided):
        approval.vote(asked.pk, berta, "approve", "")
    with pytest.raises(approval.AlreadyDecided), transaction.atomic():
        approval.discard(approval.lock(asked.pk))
    with transaction.atomic():
        assert approval.lock_of(KIND, "adj_unknown") is None


def test_ending_the_subject_and_deciding_exclude_each_other(
    committed_db: None, house: House, ana: User, berta: User, merchant: Merchant
) -> None:
    """Both lock the approval first and its subject second, so that they take turns instead of a deadlock."""

    def execute(given: Approval) -> None:
        row = Merchant.objects.select_for_update().get(pk=merchant.pk)
        row.name += " approved"
        row.save()

    def end(asked: Approval) -> str:
        try:
            with transaction.atomic():
                found = approval.lock_of(asked.kind, asked.subject)
                assert found is not None
                row = Merchant.objects.select_for_update().get(pk=merchant.pk)
                approval.discard(found)
                row.name += " ended"
                row.save()
        except approval.AlreadyDecided:
            return "too late"
        return "ended"

    def decide(asked: Approval) -> str:
        try:
            approval.vote(asked.pk, berta, "approve", "")
        except approval.AlreadyDecided:
            return "too late"
        return "approved"

    house.on_approved = execute  # type: ignore[method-assign]
    approval.register(house.kind("tests.race"))
    outcomes = []
    for number in range(8):
        asked = ask(house, ana, "tests.race", f"adj_{number}")
        results = at_once([lambda: end(asked), lambda: decide(asked)])  # noqa: B023
        assert sorted(results) in (["approved", "too late"], ["ended", "too late"])
        outcomes += [word for word in results if word != "too late"]

    merchant.refresh_from_db()
    assert merchant.name.split()[2:] == outcomes
    assert Vote.objects.count() == outcomes.count("approved")


def test_a_proposal_joins_the_unit_of_work(committed_db: None, house: House, ana: User, merchant: Merchant) -> None:
    def once() -> int | None:
        with unit_of_work(keyed=True) as unit:
            approval.request(KIND, SUBJECT, house.content, key.public_id)
            asked = KeyedRequest(merchant, False, "k-1", "POST", "/v1/payouts", "0" * 64, {})
            idempotency_key.claim(unit, asked, "po_1", status=202, answer="{}")
        return unit.condition_id

    key, _ = api_key.create(merchant, livemode=False, created_by=ana)

    assert once() is not None
    assert once() is None

    assert [found.issuers for found in Approval.objects.all()] == [[ana.pk]]
    with unit_of_work():
        found = approval.lock_of(KIND, SUBJECT)
        assert found is not None
        approval.discard(found)
        assert Approval.objects.get().status == "pending"
    assert Approval.objects.get().status == "cancelled"
