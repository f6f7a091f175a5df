"""An API key as the maker: its issuers do not decide about what it proposes, along every way a key comes about."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Permission, User
from django.db import IntegrityError, connection, transaction
from psycopg import errors

from merchants.models import ApiKey, Merchant
from merchants.services import api_key
from staff.models import Approval
from staff.services import account, approval
from tests.staff.house import APPROVE, KIND, SUBJECT, VOTE, House, person, refused, state

INSERT = (
    "INSERT INTO staff_approval (public_id, kind, subject, content_sha256, maker_id, maker_key, issuers, status, "
    "created_at, expires_at) "
    "VALUES ('apr_x', 'k', 's', 'c', %s, %s, %s, 'pending', now(), now() + interval '1 day') RETURNING issuers"
)


@pytest.fixture
def dora(ana: User) -> User:
    return person("dora", "decide_approval")


def issue(merchant: Merchant, by: User | None) -> ApiKey:
    return api_key.create(merchant, livemode=False, created_by=by)[0]


def ask(house: House, key: ApiKey, subject: str = SUBJECT) -> Approval:
    with transaction.atomic():
        approval.request(KIND, subject, house.content, key.public_id)
    return Approval.objects.get(kind=KIND, subject=subject)


def voters(asked: Approval, *people: User) -> list[str]:
    """The people whose vote the service and the database take; nothing stays."""
    taken = []
    for user in people:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(VOTE, [asked.pk, user.pk, "approve"])
                transaction.set_rollback(True)
        except IntegrityError:
            assert not approval.may_decide(asked, user)
        else:
            assert approval.may_decide(asked, user)
            taken.append(user.username)
    return taken


def test_the_issuer_of_a_key_does_not_decide_not_even_as_superuser(
    house: House, ana: User, berta: User, merchant: Merchant
) -> None:
    asked = ask(house, issue(merchant, ana))
    assert (asked.maker, asked.issuers) == (None, [ana.pk])

    for decision in ("approve", "reject"):
        with pytest.raises(approval.OwnApproval, match="You issued the API key"):
            approval.vote(asked.pk, ana, decision, "Yo la emití.")
    assert voters(asked, ana, berta) == ["berta"]
    with pytest.raises(approval.DecisionNotAllowed):
        approval.cancel(asked.pk, ana)

    approval.vote(asked.pk, berta, "approve", "")
    assert (state(asked), house.happened) == (("approved", 1), [f"approved {SUBJECT}"])


def test_issuers_along_the_chain_of_replaced_keys_do_not_decide(
    house: House, ana: User, berta: User, carla: User, dora: User, merchant: Merchant
) -> None:
    first = issue(merchant, ana)
    second, _ = api_key.create(merchant, livemode=False, created_by=berta, replaces=first)
    third, _ = api_key.create(merchant, livemode=False, created_by=carla, replaces=second)

    assert voters(ask(house, third), ana, berta, carla, dora) == ["dora"]
    assert voters(ask(house, first, "adj_1"), ana, berta, carla, dora) == ["berta", "carla", "dora"]


def test_issuers_of_a_key_that_rolled_another_do_not_decide(
    house: House, ana: User, berta: User, carla: User, merchant: Merchant
) -> None:
    rolled, by = issue(merchant, ana), issue(merchant, berta)
    successor, _ = api_key.roll(rolled.pk, by=by)
    again, _ = api_key.roll(successor.pk, by=successor)

    for number, key in enumerate((successor, again)):
        asked = ask(house, key, f"adj_{number}")
        assert sorted(asked.issuers) == [ana.pk, berta.pk]
        assert voters(asked, ana, berta, carla) == ["carla"]


@pytest.mark.parametrize("rolled", [False, True])
def test_nobody_decides_about_a_key_from_the_host(
    rolled: bool, house: House, ana: User, berta: User, merchant: Merchant
) -> None:
    key = issue(merchant, None)
    if rolled:
        key, _ = api_key.roll(key.pk, by=issue(merchant, ana))
    asked = ask(house, key)

    assert None in asked.issuers
    assert voters(asked, ana, berta) == []
    with pytest.raises(approval.VoterBarred, match="issuer of the API key .* is unknown"):
        approval.vote(asked.pk, berta, "approve", "")
    assert state(asked) == ("pending", 0)


def test_accounts_that_the_issuer_made_do_not_decide(house: House, ana: User, berta: User, merchant: Merchant) -> None:
    with account.acting(ana):
        made = User.objects.create_user("ana2", password="x", is_staff=True)
    with account.acting(account.OPERATOR):
        made.user_permissions.set(Permission.objects.filter(codename="decide_approval"))

    assert voters(ask(house, issue(merchant, ana)), made, berta) == ["berta"]


def test_a_maker_is_a_person_or_a_key(
    attacker: psycopg.Connection[Any], ana: User, berta: User, merchant: Merchant
) -> None:
    key = issue(merchant, ana)

    refused(attacker, INSERT, None, "", [], saying="approval_one_maker")
    refused(attacker, INSERT, None, "", [berta.pk], saying="approval_one_maker")
    refused(attacker, INSERT, berta.pk, key.public_id, [], saying="approval_one_maker")
    refused(attacker, INSERT, berta.pk, "", [ana.pk], saying="approval_one_maker")
    refused(attacker, INSERT, None, "key_0", [ana.pk], saying="no API key", by=errors.ForeignKeyViolation)


@pytest.mark.parametrize("forged", [[], [0]])
def test_issuers_come_from_the_database(
    forged: list[int], attacker: psycopg.Connection[Any], ana: User, merchant: Merchant
) -> None:
    key = issue(merchant, ana)

    assert attacker.execute(INSERT, [None, key.public_id, forged]).fetchone() == ([ana.pk],)


def test_the_database_counts_no_vote_of_an_issuer(
    attacker: psycopg.Connection[Any], house: House, ana: User, berta: User, merchant: Merchant
) -> None:
    asked = ask(house, api_key.roll(issue(merchant, ana).pk, by=issue(merchant, ana))[0])

    refused(attacker, VOTE, asked.pk, ana.pk, "approve", saying="this account cannot vote")
    refused(attacker, APPROVE, asked.pk, saying="too few other people voted")
    attacker.execute(VOTE, [asked.pk, berta.pk, "approve"])
    attacker.execute(APPROVE, [asked.pk])


@pytest.mark.parametrize("makers", ["NULL", "ARRAY[NULL]", "'{}'"])
def test_without_a_known_maker_every_account_is_barred(makers: str, ana: User, berta: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT staff_barred({makers}::integer[])")
        barred = {account for (account,) in cursor.fetchall()}

    assert {ana.pk, berta.pk} <= barred


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ("created_by_id = {berta}", errors.RestrictViolation),
        ("created_by_id = NULL", errors.RestrictViolation),
        ("created_by_key_id = id", errors.RestrictViolation),
    ],
)
def test_the_issuer_of_a_key_cannot_be_changed(
    change: str, refusal: Any, attacker: psycopg.Connection[Any], ana: User, berta: User, merchant: Merchant
) -> None:
    key = issue(merchant, ana)
    statement = f"UPDATE merchants_apikey SET {change.format(berta=berta.pk)} WHERE id = %s"

    refused(attacker, statement, key.pk, saying="cannot change", by=refusal)


def test_a_key_has_one_issuer(ana: User, merchant: Merchant) -> None:
    other = issue(merchant, ana)
    fields = {"merchant": merchant, "livemode": False, "prefix": "sk_test_x", "secret_sha256": "x", "scopes": []}

    with pytest.raises(IntegrityError, match="api_key_one_issuer"):
        ApiKey.objects.create(**fields, created_by=ana, created_by_key=other)
