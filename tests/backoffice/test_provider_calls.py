"""Staff sees every call to a provider, and says what an account is used for."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from payments.models import ProviderAccount, ProviderCall
from tests.factories.oxxo import make_payment
from tests.factories.provider_pages import url

USES = {"new": (True, True), "notices": (False, True), "nothing": (False, False)}


@pytest.fixture
def call(merchant, conekta) -> ProviderCall:
    payment = make_payment(merchant)
    made = ProviderCall.objects.create(
        account=conekta.account,
        livemode=False,
        operation="create_order",
        object_id=payment.public_id,
        request='{"body": "<b>bold</b>"}',
    )
    ProviderCall.objects.filter(pk=made.pk).update(outcome="unknown", status=502, answer="Bad gateway", duration_ms=31)
    ProviderCall.objects.create(account=conekta.account, livemode=False, operation="list_events")
    return made


def test_a_call_is_on_its_payments_page_in_the_list_and_on_its_own(call, admin_client: Client, viewer: Client) -> None:
    for client in (admin_client, viewer):
        on_payment = client.get(f"/admin/payments/payment/{call.object_id}/change/").content.decode()
        listed = client.get("/admin/payments/providercall/").content.decode()
        unknown = client.get("/admin/payments/providercall/?outcome__exact=unknown").content.decode()
        own = client.get(f"/admin/payments/providercall/{call.pk}/change/").content.decode()

        assert f"/admin/payments/providercall/{call.pk}/change/" in on_payment
        assert "create_order" in listed and "list_events" in listed
        assert "create_order" in unknown and "list_events" not in unknown
        assert "Bad gateway" in own and "&lt;b&gt;bold&lt;/b&gt;" in own and "<b>bold" not in own


def test_a_call_is_looked_up_by_its_object_and_changed_by_none(call, admin_client: Client) -> None:
    before = list(ProviderCall.objects.values())
    found = admin_client.get(f"/admin/payments/providercall/?q={call.object_id}").content.decode()
    saved = admin_client.post(f"/admin/payments/providercall/{call.pk}/change/", {"outcome": "accepted"})
    deleted = admin_client.post(f"/admin/payments/providercall/{call.pk}/delete/", {"post": "yes"})

    assert "create_order" in found and "list_events" not in found
    assert (saved.status_code, deleted.status_code) == (403, 403)
    assert list(ProviderCall.objects.values()) == before


def test_without_the_permission_a_payments_page_hides_its_calls(call, client: Client, django_user_model) -> None:
    user = django_user_model.objects.create_user("pablo", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_payment"))
    client.force_login(user)

    page = client.get(f"/admin/payments/payment/{call.object_id}/change/")

    assert (page.status_code, "create_order" in page.content.decode()) == (200, False)
    assert client.get("/admin/payments/providercall/").status_code == 403


@pytest.mark.parametrize(("use", "flags"), USES.items())
def test_staff_says_what_an_account_is_used_for(stp, admin_client: Client, use: str, flags: tuple[bool, bool]) -> None:
    page = admin_client.post(url(stp.account, "use"), {"use": use})

    assert page.status_code == 302
    account = ProviderAccount.objects.get()
    assert (account.takes_new, account.hears_notices) == flags


def test_an_account_that_takes_over_leaves_the_other_its_notices(stp, admin_client: Client, viewer: Client) -> None:
    following = ProviderAccount.objects.create(
        provider="stp",
        livemode=False,
        name=stp.account.name,
        takes_new=False,
        clabe_prefix="6461801577",
        clabe_sequence=7,
    )
    assert viewer.post(url(following, "use"), {"use": "new"}).status_code == 403
    assert admin_client.post(url(following, "use"), {"use": "other"}).status_code == 200

    assert admin_client.post(url(following, "use"), {"use": "new"}).status_code == 302

    flags = ProviderAccount.objects.order_by("pk").values_list("takes_new", "hears_notices")
    assert list(flags) == [(False, True), (True, True)]
    page = admin_client.get(url(following, "change")).content.decode()
    assert stp.account.public_id in page
    assert admin_client.post(url(following, "new-secret")).status_code == 200
    following.refresh_from_db()
    assert following.webhook_username == "stp-test-1577"
