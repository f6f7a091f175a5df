"""Staff creates a merchant's funding CLABE, sees how its registration stands, and asks again."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from payments.models import Clabe
from tests.backoffice.conftest import Desk
from tests.factories import topups


def action(desk: Desk, name: str) -> str:
    return reverse(f"admin:merchants_merchant_{name}", args=[desk.merchant.public_id])


def test_staff_creates_it_once_from_the_merchants_page(desk: Desk, admin_client: Client) -> None:
    topups.complete(desk.merchant)
    address = action(desk, "fund_test")

    assert admin_client.get(address).status_code == 200
    made = admin_client.post(address)
    again = admin_client.post(address)

    clabe = Clabe.objects.get(purpose="funding")
    assert (clabe.merchant, clabe.livemode, clabe.registration) == (desk.merchant, False, "pending")
    assert made.status_code == again.status_code == 302
    assert made.headers["Location"] == again.headers["Location"]
    assert clabe.public_id in made.headers["Location"]


def test_what_the_registration_lacks_is_said_on_the_form(desk: Desk, admin_client: Client) -> None:
    page = admin_client.post(action(desk, "fund_test"))

    assert page.status_code == 200
    assert "Falta el RFC del comercio." in page.content.decode()
    assert not Clabe.objects.exists()


@pytest.mark.parametrize("name", ["fund_test", "fund_live"])
def test_without_the_permission_none_is_created(desk: Desk, name: str) -> None:
    topups.complete(desk.merchant)
    user = User.objects.create_user("vera", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(user)

    assert client.post(action(desk, name)).status_code == 403
    assert not Clabe.objects.exists()


def test_a_refusal_is_shown_and_asked_again(desk: Desk, admin_client: Client) -> None:
    clabe = topups.funding_clabe(desk.merchant)
    Clabe.objects.filter(pk=clabe.pk).update(
        registration="refused", registration_detail="rfc/curp invalido", registration_due_at=None
    )
    page = reverse("admin:payments_clabe_change", args=[clabe.public_id])
    address = reverse("admin:payments_clabe_register_again", args=[clabe.public_id])

    shown = admin_client.get(page).content.decode()
    assert "rfc/curp invalido" in shown
    assert "register-again" in shown
    assert admin_client.post(address).status_code == 302

    clabe.refresh_from_db()
    assert (clabe.registration, clabe.registration_due_at is not None) == ("pending", True)
    assert "register-again" not in admin_client.get(page).content.decode()
    assert admin_client.post(address).status_code == 200  # refused: it is pending
