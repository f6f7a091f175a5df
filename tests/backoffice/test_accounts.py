"""Guards staff's desk for accounts: adding a colleague, passwords, rights, and what waits for a second person.

No change is recorded as the operator's here: what the pages do not attribute to a person is ``unknown``.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, Permission, User
from django.contrib.messages import get_messages
from django.db import connection, transaction
from django.test import Client

from staff.models import AccountChange, AccountProposal, Approval
from staff.services import account, approval

ADD = "/admin/auth/user/add/"
PASSWORD = "correct horse battery"  # noqa: S105
PBKDF2 = "django.contrib.auth.hashers.PBKDF2PasswordHasher"


def person(name: str, *codenames: str, superuser: bool = False) -> User:
    user = User.objects.create_user(name, password=PASSWORD, is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def people(db: None) -> tuple[User, User, User]:
    """Ana, a superuser; Berta, who decides; Dora, who may do nothing yet."""
    found = person("ana", superuser=True), person("berta", "decide_approval", "view_approval"), person("dora")
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('payments.actor', '', true)")
    return found


@pytest.fixture
def ana(people: tuple[User, User, User]) -> Client:
    return signed_in(people[0])


@pytest.fixture
def berta(people: tuple[User, User, User]) -> Client:
    return signed_in(people[1])


@pytest.fixture
def dora(people: tuple[User, User, User]) -> User:
    return people[2]


def new(**changes: Any) -> dict[str, Any]:
    body = {
        "username": "eva",
        "first_name": "Eva",
        "last_name": "Ríos",
        "email": "eva@example.mx",
        "is_staff": "on",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


def edited(user: User, **changes: Any) -> dict[str, Any]:
    """The change page's form as it stands, with ``changes``."""
    body = {
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "is_active": "on" if user.is_active else None,
        "is_staff": "on" if user.is_staff else None,
        "is_superuser": "on" if user.is_superuser else None,
        "groups": list(user.groups.values_list("pk", flat=True)),
        "user_permissions": list(user.user_permissions.values_list("pk", flat=True)),
        "date_joined_0": "2026-11-01",
        "date_joined_1": "10:00:00",
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


def page(user: User, step: str = "change") -> str:
    return f"/admin/auth/user/{user.pk}/{step}/"


def told(answer: Any) -> str:
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def recorded(user: User) -> list[tuple[str, str, str]]:
    """What was changed since the account was made: kind, source and by whom."""
    rows = AccountChange.objects.filter(user=user).exclude(source="operator").order_by("id")
    return [(row.kind, row.detail, row.actor.username if row.actor else row.source) for row in rows]


def decided(client: Client, decision: str) -> Any:
    proposed = AccountProposal.objects.latest("id")
    return client.post(f"/admin/staff/accountproposal/{proposed.public_id}/{decision}/", {"comment": "Visto."})


def test_colleagues_are_added_with_name_email_and_password(ana: Client) -> None:
    shown = ana.get(ADD).context["adminform"].form
    assert [*shown.fields] == [*new()]
    assert shown.get_initial_for_field(shown.fields["is_staff"], "is_staff") is True

    for name in ("eva", "fran"):
        answer = ana.post(ADD, new(username=name))
        assert answer.headers["Location"] == page(User.objects.get(username=name))

    eva = User.objects.get(username="eva")
    assert (eva.get_full_name(), eva.email, eva.is_staff) == ("Eva Ríos", "eva@example.mx", True)
    assert recorded(eva) == [("created", "", "ana")]
    visitor = Client()
    assert visitor.post("/admin/login/?next=/admin/", {"username": "eva", "password": PASSWORD}).status_code == 302
    assert visitor.get("/admin/").status_code == 200


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"username": ""}, "username"),
        ({"username": "ana"}, "username"),
        ({"email": "eva"}, "email"),
        ({"password2": "another"}, "password2"),
        ({"password1": None, "password2": None}, "password1"),
    ],
)
def test_a_wrong_field_is_named_and_nobody_is_added(changes: dict[str, Any], field: str, ana: Client) -> None:
    answer = ana.post(ADD, new(**changes))

    assert field in answer.context["adminform"].form.errors
    assert User.objects.count() == 3


def test_a_colleague_without_password_gets_one_later(ana: Client) -> None:
    ana.post(ADD, new(usable_password="false", password1=None, password2=None))
    eva = User.objects.get(username="eva")
    assert not eva.has_usable_password()

    assert ana.get(page(eva, "password")).status_code == 200
    answer = ana.post(page(eva, "password"), {"password1": PASSWORD, "password2": PASSWORD, "set-password": ""})

    assert answer.status_code == 302
    eva.refresh_from_db()
    assert eva.check_password(PASSWORD)
    assert recorded(eva) == [("created", "", "ana"), ("password", "", "ana")]


def test_names_groups_and_plain_permissions_are_saved_at_once(ana: Client, dora: User) -> None:
    group = Group.objects.create(name="Caja")
    view = Permission.objects.get(codename="view_payment")

    answer = ana.post(page(dora), edited(dora, last_name="Luna", groups=[group.pk], user_permissions=[view.pk]))

    assert "segunda persona" not in told(answer)
    dora.refresh_from_db()
    assert (dora.last_name, list(dora.groups.all()), list(dora.user_permissions.all())) == ("Luna", [group], [view])
    assert recorded(dora) == [("group", "Caja", "ana"), ("permission", "payments.view_payment", "ana")]
    assert not AccountProposal.objects.exists()


def test_one_s_own_password_is_changed_without_a_second_person(berta: Client, people: tuple[User, ...]) -> None:
    body = {"old_password": PASSWORD, "new_password1": "another battery", "new_password2": "another battery"}
    assert berta.get("/admin/password_change/").status_code == 200

    assert berta.post("/admin/password_change/", body).status_code == 302

    assert recorded(people[1]) == [("password", "", "berta")]


def test_a_hash_renewed_at_sign_in_is_the_accounts_own_change(people: tuple[User, ...], settings: Any) -> None:
    settings.PASSWORD_HASHERS = [*settings.PASSWORD_HASHERS, PBKDF2]
    with account.acting(account.OPERATOR):
        User.objects.filter(username="berta").update(password=make_password(PASSWORD, hasher="pbkdf2_sha256"))

    answer = Client().post("/admin/login/?next=/admin/", {"username": "berta", "password": PASSWORD})

    assert answer.status_code == 302
    assert recorded(people[1]) == [("password", "", "berta")]


def test_a_superuser_is_made_when_a_second_person_approves(ana: Client, berta: Client, dora: User) -> None:
    answer = ana.post(page(dora), edited(dora, first_name="Dora", is_superuser="on"))

    assert "debe aprobarlo una segunda persona" in told(answer)
    dora.refresh_from_db()
    assert (dora.first_name, dora.is_superuser) == ("Dora", False)
    assert "tu propia propuesta" in decided(ana, "approve").context["form"].non_field_errors()[0]
    inbox = berta.get("/admin/staff/approval/?status__exact=pending").content.decode()
    assert "cuenta dora: superusuario: puede hacer todo y decidir aprobaciones" in inbox
    proposed = AccountProposal.objects.get()
    shown = berta.get(f"/admin/staff/accountproposal/{proposed.public_id}/change/")
    assert "superusuario: puede hacer todo" in shown.content.decode()
    assert len(shown.context["actions_detail"]) == 2

    assert decided(berta, "approve").status_code == 302

    dora.refresh_from_db()
    assert dora.is_superuser
    assert recorded(dora) == [("superuser", "", "ana")]
    assert Approval.objects.get().status == "approved"
    with transaction.atomic():
        asked = approval.request(account.KIND, "acp_x", {}, User.objects.get(username="ana"))
    assert not approval.may_decide(asked, dora)


@pytest.mark.parametrize("way", ["permission", "group"])
def test_the_right_to_decide_waits_and_the_rest_is_saved(way: str, ana: Client, berta: Client, dora: User) -> None:
    decide = Permission.objects.get(codename="decide_approval")
    view = Permission.objects.get(codename="view_payment")
    deciding = Group.objects.create(name="Aprobadores")
    deciding.permissions.add(decide)
    plain = Group.objects.create(name="Caja")
    wanted = {
        "permission": edited(dora, user_permissions=[view.pk, decide.pk]),
        "group": edited(dora, groups=[plain.pk, deciding.pk]),
    }

    answer = ana.post(page(dora), wanted[way])

    assert "debe aprobarlo una segunda persona" in told(answer)
    assert not account.decides(dora)
    assert (view in dora.user_permissions.all()) if way == "permission" else (plain in dora.groups.all())
    assert decided(berta, "approve").status_code == 302
    assert account.decides(dora)
    # Saved again as it stands, nothing is asked for.
    assert ana.post(page(dora), edited(dora)).status_code == 302
    assert AccountProposal.objects.count() == 1


def test_a_rejected_reset_of_an_approver_leaves_the_password(ana: Client, people: tuple[User, ...]) -> None:
    carla = signed_in(_by_operator("carla"))
    berta = people[1]
    fresh = {"password1": "known to ana", "password2": "known to ana", "set-password": ""}

    answer = ana.post(page(berta, "password"), fresh)

    assert "debe aprobarlo una segunda persona" in told(answer)
    assert AccountProposal.objects.get().password != ""
    assert decided(carla, "reject").status_code == 302
    berta.refresh_from_db()
    assert berta.check_password(PASSWORD)
    assert AccountProposal.objects.get().password == ""


def test_an_approved_reset_of_an_approver_sets_the_password(ana: Client, people: tuple[User, ...]) -> None:
    carla = signed_in(_by_operator("carla"))
    berta = people[1]
    ana.post(page(berta, "password"), {"password1": "known to ana", "password2": "known to ana", "set-password": ""})

    assert decided(carla, "approve").status_code == 302

    berta.refresh_from_db()
    assert berta.check_password("known to ana")
    assert recorded(berta) == [("password", "", "ana")]
    assert AccountProposal.objects.get().password == ""


def test_an_approver_who_left_comes_back_by_two_people(ana: Client, people: tuple[User, ...]) -> None:
    carla = signed_in(_by_operator("carla"))
    berta = people[1]
    assert "segunda persona" not in told(ana.post(page(berta), edited(berta, is_active=None, is_staff=None)))
    berta.refresh_from_db()
    assert not berta.is_active

    answer = ana.post(page(berta), edited(berta, is_active="on", is_staff="on"))

    assert "debe aprobarlo una segunda persona" in told(answer)
    berta.refresh_from_db()
    assert (berta.is_active, berta.is_staff) == (False, False)
    assert decided(carla, "approve").status_code == 302
    berta.refresh_from_db()
    assert (berta.is_active, berta.is_staff) == (True, True)


def test_a_group_with_members_gets_the_right_to_decide_by_two_people(ana: Client, berta: Client, dora: User) -> None:
    decide, view = (Permission.objects.get(codename=name) for name in ("decide_approval", "view_payment"))
    group = Group.objects.create(name="Caja")
    dora.groups.add(group)
    body = {"name": "Caja", "permissions": [decide.pk, view.pk]}

    answer = ana.post(f"/admin/auth/group/{group.pk}/change/", body)

    assert "debe aprobarlo una segunda persona" in told(answer)
    assert list(group.permissions.all()) == [view]
    inbox = berta.get("/admin/staff/approval/").content.decode()
    assert "todos los miembros del grupo Caja: permiso para decidir aprobaciones" in inbox
    assert decided(berta, "approve").status_code == 302
    assert account.decides(dora)
    assert ("permission", "staff.decide_approval", "ana") in recorded(dora)


def test_a_group_without_members_gets_any_permission_at_once(ana: Client) -> None:
    decide = Permission.objects.get(codename="decide_approval")

    answer = ana.post("/admin/auth/group/add/", {"name": "Aprobadores", "permissions": [decide.pk]})

    assert "segunda persona" not in told(answer)
    assert list(Group.objects.get().permissions.all()) == [decide]


def test_a_barred_account_is_told_why_and_offered_no_button(ana: Client, people: tuple[User, ...], dora: User) -> None:
    berta = people[1]
    ana.post(page(berta), edited(berta, email="berta@example.mx"))
    ana.post(page(dora), edited(dora, is_superuser="on"))
    proposed = AccountProposal.objects.get()
    client = signed_in(berta)

    shown = client.get(f"/admin/staff/accountproposal/{proposed.public_id}/change/")
    answer = decided(client, "approve")

    assert shown.context["actions_detail"] == []
    assert "se restableció o recibió permisos hace muy poco" in answer.context["form"].non_field_errors()[0]
    assert "ninguna cuenta habilitada" in client.get("/admin/staff/approval/").content.decode()
    assert not User.objects.get(pk=dora.pk).is_superuser


def test_only_superusers_change_accounts_and_the_record_is_read_only(berta: Client, dora: User) -> None:
    views = Permission.objects.filter(codename__in=["view_user", "view_accountchange"])
    with account.acting(account.OPERATOR):
        User.objects.get(username="berta").user_permissions.add(*views)

    assert berta.get(page(dora)).status_code == 200
    assert berta.get("/admin/staff/accountchange/").status_code == 200
    assert berta.get(ADD).status_code == 403
    assert berta.post(page(dora), edited(dora, last_name="Luna")).status_code == 403
    assert berta.post(page(dora, "password"), {"password1": "x", "password2": "x"}).status_code == 403
    assert recorded(dora) == []


def _by_operator(name: str) -> User:
    with account.acting(account.OPERATOR):
        return person(name, "decide_approval")
