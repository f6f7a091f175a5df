from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from merchants.models import ApiKey, Merchant
from merchants.services import api_key


def new_key_url(merchant: Merchant, mode: str) -> str:
    return f"/admin/merchants/merchant/{merchant.public_id}/new-{mode}-key/"


@pytest.mark.parametrize(("mode", "livemode"), [("test", False), ("live", True)])
def test_a_new_key_is_shown_once_and_kept_nowhere(
    mode: str, livemode: bool, merchant: Merchant, admin_client: Client
) -> None:
    asked = admin_client.get(new_key_url(merchant, mode))
    assert asked.status_code == 200
    assert ApiKey.objects.count() == 0

    made = admin_client.post(new_key_url(merchant, mode), {"name": "Tienda", "scopes": ["payments:read"]})

    secret = re.search(rf"sk_{mode}_[A-Za-z0-9_-]{{43}}", made.content.decode())
    assert secret is not None
    assert api_key.authenticate(secret[0]).livemode is livemode
    assert "no-store" in made.headers["Cache-Control"]
    assert secret[0] not in str(made.cookies)
    assert secret[0] not in str(dict(admin_client.session))
    assert secret[0] not in str(list(LogEntry.objects.values()))
    pages = [
        reverse("admin:merchants_merchant_change", args=[merchant.public_id]),
        reverse("admin:merchants_apikey_change", args=[ApiKey.objects.get().public_id]),
        new_key_url(merchant, mode),
        "/admin/",
    ]
    assert not [page for page in pages if secret[0] in admin_client.get(page).content.decode()]


def test_revoking_asks_first_and_cannot_be_undone(merchant: Merchant, admin_client: Client) -> None:
    key, _ = api_key.create(merchant, livemode=False)
    url = f"/admin/merchants/apikey/{key.public_id}/revoke/"

    assert admin_client.get(url).status_code == 200
    key.refresh_from_db()
    assert key.revoked_at is None

    assert admin_client.post(url).status_code == 302
    key.refresh_from_db()
    assert key.revoked_at is not None
    page = admin_client.get(reverse("admin:merchants_apikey_change", args=[key.public_id]))
    assert "/revoke/" not in page.content.decode()


def test_whoever_may_only_look_makes_and_revokes_no_key(merchant: Merchant, viewer: Client) -> None:
    key, _ = api_key.create(merchant, livemode=False)

    assert viewer.post(new_key_url(merchant, "live")).status_code == 403
    assert viewer.post(f"/admin/merchants/apikey/{key.public_id}/revoke/").status_code == 403
    assert ApiKey.objects.filter(revoked_at=None).count() == 1
    page = viewer.get(reverse("admin:merchants_merchant_change", args=[merchant.public_id])).content.decode()
    assert "new-live-key" not in page


def test_acting_needs_a_csrf_token(merchant: Merchant, admin_user: object) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)  # type: ignore[arg-type]

    assert client.post(new_key_url(merchant, "live"), {"name": ""}).status_code == 403
    assert ApiKey.objects.count() == 0


def test_a_merchant_is_added_and_suspended_but_never_deleted(db: None, admin_client: Client) -> None:
    added = admin_client.post("/admin/merchants/merchant/add/", {"name": "Café Luna", "legal_name": "Café Luna SA"})
    assert added.status_code == 302
    merchant = Merchant.objects.get()
    assert merchant.status == "active"

    url = reverse("admin:merchants_merchant_change", args=[merchant.public_id])
    fields = {"name": "Café Luna", "legal_name": "Café Luna SA", "status": "suspended", "deposit_policy": "review"}
    fields |= {"payout_cool_down_hours": "0", "payout_fee_on_return": "keep"}
    inlines = admin_client.get(url).context["inline_admin_formsets"]
    forms = {f"{one.formset.prefix}-{name}_FORMS": "0" for one in inlines for name in ("TOTAL", "INITIAL")}
    assert admin_client.post(url, fields | forms).status_code == 302
    merchant.refresh_from_db()
    assert merchant.status == "suspended"

    assert admin_client.post(url.replace("change", "delete"), {"post": "yes"}).status_code == 403


def test_a_new_key_gets_what_was_chosen_for_it_and_its_maker_is_kept(merchant: Merchant, admin_client: Client) -> None:
    chosen = {
        "name": "Tienda",
        "scopes": ["payments:read", "reports:read"],
        "networks": "203.0.113.7\n2001:db8::/32, 198.51.100.0/24",
        "last_day": "2099-12-31",
    }

    assert admin_client.post(new_key_url(merchant, "live"), chosen).status_code == 200

    key = ApiKey.objects.get()
    assert key.scopes == ["payments:read", "reports:read"]
    assert [str(network) for network in key.networks] == ["203.0.113.7/32", "2001:db8::/32", "198.51.100.0/24"]
    assert key.expires_at == datetime(2100, 1, 1, 6, tzinfo=UTC)  # midnight in Mexico City
    assert (key.created_by.username, key.created_by_key) == ("admin", None)


@pytest.mark.parametrize(
    "fault",
    [
        {"scopes": []},
        {"scopes": ["everything"]},
        {"networks": "203.0.113.7/24"},
        {"networks": "example.mx"},
        {"last_day": "2020-01-01"},
        {"last_day": "9999-12-31"},
        {"last_day": "mañana"},
    ],
)
def test_a_faulty_wish_makes_no_key(merchant: Merchant, admin_client: Client, fault: dict[str, Any]) -> None:
    answer = admin_client.post(new_key_url(merchant, "test"), {"name": "", "scopes": ["payments:read"]} | fault)

    assert answer.status_code == 200
    assert "errornote" in answer.content.decode() or "error" in answer.content.decode()
    assert ApiKey.objects.count() == 0


def test_the_addresses_of_a_key_are_changed_and_its_page_shows_all(merchant: Merchant, admin_client: Client) -> None:
    key, _ = api_key.create(merchant, livemode=False, scopes=["payouts:write"], networks=["203.0.113.7"])
    url = f"/admin/merchants/apikey/{key.public_id}/restrict/"
    assert "203.0.113.7/32" in admin_client.get(url).content.decode()

    assert admin_client.post(url, {"networks": "198.51.100.0/24"}).status_code == 302

    key.refresh_from_db()
    assert [str(network) for network in key.networks] == ["198.51.100.0/24"]
    page = admin_client.get(reverse("admin:merchants_apikey_change", args=[key.public_id])).content.decode()
    assert "198.51.100.0/24" in page
    assert "payouts:write: " in page
    admin_client.post(url, {"networks": ""})
    key.refresh_from_db()
    assert key.networks == []
