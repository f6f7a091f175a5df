"""Guards four eyes against one person with several accounts, in raw SQL by the application's role.

Each account here is made by the operator on the site's first day (see ``settings.test``) unless a test says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import connection, transaction
from psycopg import errors

from staff.models import AccountChange, Approval
from staff.services import account, approval
from tests import cluster
from tests.ledger.sabotage import set_trigger, triggers

VOTE = "INSERT INTO staff_vote (approval_id, user_id, decision, comment, created_at) VALUES (%s, %s, %s, '', now())"
APPROVE = "UPDATE staff_approval SET status = 'approved', resolved_at = now() WHERE id = %s"
CREATE = (
    "INSERT INTO auth_user (username, password, first_name, last_name, email, is_superuser, is_staff, is_active, "
    "date_joined) VALUES (%s, 'x', '', '', '', {superuser}, true, true, now()) RETURNING id"
)
PERMISSION = "(SELECT id FROM auth_permission WHERE codename = '{codename}')"
SUPERUSER = "UPDATE auth_user SET is_superuser = true WHERE id = {dora}"
DECIDE = f"INSERT INTO auth_user_user_permissions (user_id, permission_id) VALUES ({{dora}}, {PERMISSION})"
JOIN = "INSERT INTO auth_user_groups (user_id, group_id) VALUES ({dora}, {group})"
ALLOW = f"INSERT INTO auth_group_permissions (group_id, permission_id) VALUES ({{group}}, {PERMISSION})"
RESET = "UPDATE auth_user SET password = 'known to ana' WHERE id = {dora}"


def person(name: str, *codenames: str, superuser: bool = False, active: bool = True) -> User:
    user = User.objects.create_user(name, password="x", is_staff=True, is_superuser=superuser, is_active=active)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


@pytest.fixture
def ana(committed_db: None, monkeypatch: pytest.MonkeyPatch) -> User:
    nothing = lambda *_: None  # noqa: E731
    kind = approval.Kind("tests.action", "Action", "auth_user", lambda _: {}, nothing, nothing, lambda _: [])
    monkeypatch.setitem(approval._kinds, kind.name, kind)
    return person("ana", superuser=True)


@pytest.fixture
def berta(ana: User) -> User:
    return person("berta", "decide_approval")


@pytest.fixture
def dora(ana: User) -> User:
    return person("dora")


@pytest.fixture
def asked(ana: User) -> Approval:
    with transaction.atomic():
        return approval.request("tests.action", "adj_0", {}, ana)


@pytest.fixture
def app(committed_db: None) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(cluster.url("payments_app"), autocommit=True) as connected:
        yield connected


def run(app: psycopg.Connection[Any], by: User | str, statement: str, *params: Any) -> Any:
    """Carry out ``statement`` as a change that ``by`` makes; return the id it gives, if any."""
    with app.transaction():
        app.execute("SELECT set_config('payments.actor', %s, true)", [by if isinstance(by, str) else str(by.pk)])
        cursor = app.execute(statement, params)
        return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]


def votes(app: psycopg.Connection[Any], asked: Approval, user: int) -> bool:
    """Whether the database takes this account's vote. Nothing stays."""
    try:
        with app.transaction(force_rollback=True):
            app.execute(VOTE, [asked.pk, user, "approve"])
            app.execute(APPROVE, [asked.pk])
    except errors.CheckViolation as refused:
        if refused.diag.constraint_name != "barred":
            raise
        return False
    return True


def age(owner: psycopg.Connection[Any], by: str) -> None:
    """Let all recorded changes have happened earlier."""
    (guard,) = [name for name in triggers(owner, "staff_accountchange") if "append_only" in name]
    set_trigger(owner, "staff_accountchange", guard, "DISABLE")
    owner.execute(f"UPDATE staff_accountchange SET created_at = created_at - interval '{by}'")
    set_trigger(owner, "staff_accountchange", guard, "ENABLE ALWAYS")
    owner.commit()


def grown(name: str, *members: User, codename: str = "") -> Group:
    group = Group.objects.create(name=name)
    group.permissions.set(Permission.objects.filter(codename=codename))
    group.user_set.set(members)
    return group


CHANGES = {
    "password": RESET,
    "e-mail": "UPDATE auth_user SET email = 'ana@example.mx' WHERE id = {dora}",
    "user name": "UPDATE auth_user SET username = 'dora2' WHERE id = {dora}",
    "access": "UPDATE auth_user SET is_staff = false WHERE id = {dora}; "
    "UPDATE auth_user SET is_staff = true WHERE id = {dora}",
    "active": "UPDATE auth_user SET is_active = false WHERE id = {dora}; "
    "UPDATE auth_user SET is_active = true WHERE id = {dora}",
    "permission": DECIDE.replace("{codename}", "view_payment"),
    "permission moved": DECIDE.replace("{codename}", "view_payment")
    + f"; UPDATE auth_user_user_permissions SET permission_id = {PERMISSION.replace('{codename}', 'view_deposit')} "
    "WHERE user_id = {dora}",
    "joined group": JOIN,
    "group's permission": ALLOW.replace("{codename}", "view_payment"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_who_changed_an_account_bars_its_vote_for_seven_days(
    change: str,
    app: psycopg.Connection[Any],
    owner: psycopg.Connection[Any],
    ana: User,
    berta: User,
    dora: User,
    asked: Approval,
) -> None:
    group = grown("Caja", *([dora] if change == "group's permission" else []))
    assert votes(app, asked, dora.pk)

    for statement in CHANGES[change].format(dora=dora.pk, group=group.pk).split("; "):
        run(app, ana, statement)

    assert not votes(app, asked, dora.pk)
    assert votes(app, asked, berta.pk)
    age(owner, "6 days 23 hours")
    assert not votes(app, asked, dora.pk)
    age(owner, "1 hour")
    assert votes(app, asked, dora.pk)


def test_who_created_an_account_bars_its_vote_for_seven_days(
    app: psycopg.Connection[Any], owner: psycopg.Connection[Any], ana: User, asked: Approval
) -> None:
    eva = run(app, ana, CREATE.format(superuser="false"), "eva")

    assert not votes(app, asked, eva)
    age(owner, "7 days")
    assert votes(app, asked, eva)


@pytest.mark.parametrize("grant", ["superuser", "permission:staff.decide_approval", "group:Aprobadores"])
def test_an_approver_made_by_two_is_barred_for_who_proposed_it(
    grant: str,
    app: psycopg.Connection[Any],
    owner: psycopg.Connection[Any],
    ana: User,
    berta: User,
    dora: User,
    asked: Approval,
) -> None:
    grown("Aprobadores", codename="decide_approval")
    proposed = account.propose(dora, [grant], ana)
    approval.vote(account.approval_of(proposed).pk, berta, "approve", "")  # type: ignore[union-attr]

    assert User.objects.get(pk=dora.pk).has_perm(account.DECIDE)
    assert not votes(app, asked, dora.pk)
    with pytest.raises(approval.VoterBarred):
        approval.vote(asked.pk, User.objects.get(pk=dora.pk), "approve", "")
    with transaction.atomic():
        of_berta = approval.request("tests.action", "adj_1", {}, person("berta2", "add_approval"))
    assert votes(app, of_berta, dora.pk)
    age(owner, "7 days")
    assert votes(app, asked, dora.pk)


def test_a_chain_of_accounts_bars_all_of_them(app: psycopg.Connection[Any], ana: User, asked: Approval) -> None:
    chain = [ana]
    for name in ("eva", "fran", "gil"):
        chain.append(User.objects.get(pk=run(app, chain[-1], CREATE.format(superuser="false"), name)))

    assert [votes(app, asked, link.pk) for link in chain[1:]] == [False] * 3


def test_who_knows_the_makers_password_and_their_other_accounts_do_not_vote(
    app: psycopg.Connection[Any], ana: User, berta: User, dora: User
) -> None:
    eva, fran = (run(app, dora, CREATE.format(superuser="false"), name) for name in ("eva", "fran"))
    maker = User.objects.get(pk=eva)
    maker.user_permissions.set(Permission.objects.filter(codename="add_approval"))
    with transaction.atomic():
        asked = approval.request("tests.action", "adj_1", {}, maker)

    assert not votes(app, asked, dora.pk)
    assert not votes(app, asked, fran)
    assert votes(app, asked, berta.pk)


def test_rights_of_a_team_do_not_bar_its_members_from_each_other(
    app: psycopg.Connection[Any], ana: User, berta: User, dora: User
) -> None:
    group = grown("Caja", berta, dora)
    run(app, ana, ALLOW.format(group=group.pk, codename="add_approval"))

    with transaction.atomic():
        asked = approval.request("tests.action", "adj_1", {}, User.objects.get(pk=dora.pk))

    assert votes(app, asked, berta.pk)
    assert votes(app, asked, ana.pk)


@pytest.mark.parametrize("by", ["", "nobody", "-1", "operator "])
def test_an_account_changed_by_an_unknown_person_votes_on_nothing(
    by: str, app: psycopg.Connection[Any], owner: psycopg.Connection[Any], ana: User, dora: User, asked: Approval
) -> None:
    run(app, by, RESET.format(dora=dora.pk))
    eva = run(app, dora, CREATE.format(superuser="false"), "eva")

    assert AccountChange.objects.get(kind="password").source == "unknown"
    assert (votes(app, asked, dora.pk), votes(app, asked, eva)) == (False, False)
    age(owner, "7 days")
    assert (votes(app, asked, dora.pk), votes(app, asked, eva)) == (True, True)


def test_nobody_approves_for_a_maker_whose_password_an_unknown_person_set(
    app: psycopg.Connection[Any], owner: psycopg.Connection[Any], berta: User, dora: User
) -> None:
    dora.user_permissions.set(Permission.objects.filter(codename="add_approval"))
    with transaction.atomic():
        asked = approval.request("tests.action", "adj_1", {}, dora)
    assert votes(app, asked, berta.pk)

    run(app, "", RESET.format(dora=dora.pk))

    assert not votes(app, asked, berta.pk)
    age(owner, "7 days")
    assert votes(app, asked, berta.pk)


def test_commands_on_the_host_bar_nothing_on_the_first_day_and_seven_days_later(
    app: psycopg.Connection[Any], owner: psycopg.Connection[Any], ana: User, dora: User, asked: Approval
) -> None:
    run(app, "operator", RESET.format(dora=dora.pk))
    assert votes(app, asked, dora.pk)

    age(owner, "1 day")
    run(app, "operator", "UPDATE auth_user SET password = 'once more' WHERE id = %s", dora.pk)

    assert not votes(app, asked, dora.pk)


def test_one_s_own_password_and_lost_rights_bar_nothing(
    app: psycopg.Connection[Any], ana: User, dora: User, asked: Approval
) -> None:
    group = grown("Caja", dora, codename="view_payment")
    dora.user_permissions.set(Permission.objects.filter(codename="view_payment"))

    run(app, dora, RESET.format(dora=dora.pk))
    run(app, ana, "DELETE FROM auth_user_user_permissions WHERE user_id = %s", dora.pk)
    run(app, ana, "DELETE FROM auth_group_permissions WHERE group_id = %s", group.pk)
    run(app, ana, "DELETE FROM auth_user_groups WHERE user_id = %s", dora.pk)
    run(app, ana, "UPDATE auth_user SET is_staff = false, password = '!x', last_login = now() WHERE id = %s", dora.pk)

    assert votes(app, asked, dora.pk)


def test_a_voter_who_is_reset_between_vote_and_approval_does_not_count(
    app: psycopg.Connection[Any], ana: User, dora: User, asked: Approval
) -> None:
    app.execute(VOTE, [asked.pk, dora.pk, "approve"])
    run(app, ana, RESET.format(dora=dora.pk))

    with pytest.raises(errors.CheckViolation, match="too few other people voted"):
        app.execute(APPROVE, [asked.pk])


# An approver is made by two.

MAKES = {
    "superuser": SUPERUSER,
    "superuser from the start": CREATE.format(superuser="true").replace("%s", "'eva'"),
    "permission": DECIDE.replace("{codename}", "decide_approval"),
    "permission moved": f"UPDATE auth_user_user_permissions SET permission_id = "
    f"{PERMISSION.replace('{codename}', 'decide_approval')} WHERE user_id = {{dora}}",
    "joined group": JOIN.replace("{group}", "{deciding}"),
    "group's permission": ALLOW.replace("{codename}", "decide_approval"),
    "password of an approver": RESET.replace("{dora}", "{berta}"),
    "approver reactivated": "UPDATE auth_user SET is_active = true WHERE id = {carla}",
    "approver let in": "UPDATE auth_user SET is_staff = true WHERE id = {carla}",
}


@pytest.mark.parametrize("way", MAKES)
@pytest.mark.parametrize("by", ["ana", "nobody"])
def test_one_person_alone_makes_or_resets_no_approver(
    by: str, way: str, app: psycopg.Connection[Any], ana: User, berta: User, dora: User
) -> None:
    carla = person("carla", "decide_approval", active=False)
    User.objects.filter(pk=carla.pk).update(is_staff=False)
    dora.user_permissions.set(Permission.objects.filter(codename="view_payment"))
    who: dict[str, Any] = {"dora": dora.pk, "berta": berta.pk, "carla": carla.pk}
    who |= {"group": grown("Caja", dora).pk, "deciding": grown("Aprobadores", codename="decide_approval").pk}
    before = AccountChange.objects.count()

    with pytest.raises(errors.CheckViolation, match="needs a second person"):
        run(app, ana if by == "ana" else "", MAKES[way].format(**who))

    assert AccountChange.objects.count() == before
    run(app, "operator", MAKES[way].format(**who))


def test_only_what_was_proposed_for_that_account_is_granted_and_only_once(
    app: psycopg.Connection[Any], ana: User, berta: User, dora: User
) -> None:
    eva = person("eva")
    proposed = account.propose(dora, ["superuser"], ana)
    asked = account.approval_of(proposed)
    assert asked is not None

    def refused(by: User, statement: str) -> None:
        with app.transaction():
            app.execute("SELECT set_config('payments.proposal', %s, true)", [proposed.public_id])
            with pytest.raises(errors.CheckViolation, match="needs a second person"):
                run(app, by, statement)

    refused(ana, SUPERUSER.format(dora=dora.pk))  # not approved yet
    with app.transaction(force_rollback=True):
        app.execute(VOTE, [asked.pk, berta.pk, "approve"])
        app.execute(APPROVE, [asked.pk])
        refused(ana, SUPERUSER.format(dora=eva.pk))
        refused(ana, DECIDE.format(dora=dora.pk, codename="decide_approval"))
        refused(berta, SUPERUSER.format(dora=dora.pk))
    approval.vote(asked.pk, berta, "approve", "")
    run(app, ana, "UPDATE auth_user SET is_superuser = false WHERE id = %s", dora.pk)
    refused(ana, SUPERUSER.format(dora=dora.pk))

    assert list(User.objects.filter(is_superuser=True)) == [ana]


def test_a_group_that_changed_since_voids_the_proposal(ana: User, berta: User, dora: User) -> None:
    group = grown("Aprobadores", codename="decide_approval")
    proposed = account.propose(dora, ["group:Aprobadores"], ana)
    group.permissions.add(Permission.objects.get(codename="add_adjustment"))

    with pytest.raises(approval.ContentChanged):
        approval.vote(account.approval_of(proposed).pk, berta, "approve", "")  # type: ignore[union-attr]

    assert not User.objects.get(pk=dora.pk).groups.exists()


REMOVALS = [
    "UPDATE staff_accountproposal SET grants = '[\"superuser\"]'",
    "UPDATE staff_accountproposal SET user_id = maker_id",
    "UPDATE staff_accountproposal SET password = 'another'",
    "DELETE FROM staff_accountproposal",
    "UPDATE staff_accountchange SET actor_id = NULL",
    "DELETE FROM staff_accountchange",
    "UPDATE auth_permission SET codename = 'decide_approval' WHERE codename = 'view_payment'",
    "UPDATE django_content_type SET app_label = 'staff'",
    "DELETE FROM auth_user WHERE username = 'dora'",
]


def test_records_proposals_and_names_of_permissions_stay(
    subtests: pytest.Subtests, app: psycopg.Connection[Any], ana: User, dora: User
) -> None:
    account.propose(dora, ["permission:staff.decide_approval"], ana)

    for statement in REMOVALS:
        with subtests.test(statement=statement):
            with pytest.raises((errors.InsufficientPrivilege, errors.IntegrityError)):
                app.execute(statement)


def test_a_forged_record_takes_no_bar_away(app: psycopg.Connection[Any], ana: User, dora: User) -> None:
    run(app, "", RESET.format(dora=dora.pk))
    app.execute(
        "INSERT INTO staff_accountchange (user_id, kind, detail, through, source, created_at) "
        "VALUES (%s, 'email', '', '', 'operator', '1999-01-01')",
        [dora.pk],
    )

    assert AccountChange.objects.filter(created_at__year__lt=2000).count() == 0


# Commands on the host.


def test_createsuperuser_and_changepassword_work_and_are_the_operators(
    db: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('payments.actor', '', true)")

    call_command("createsuperuser", username="ana", email="ana@example.mx", interactive=False)
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: "correct horse battery")
    call_command("changepassword", "ana")

    assert User.objects.get().check_password("correct horse battery")
    recorded = AccountChange.objects.order_by("id").values_list("kind", "source", "actor")
    assert list(recorded) == [(kind, "operator", None) for kind in ("created", "superuser", "password")]
