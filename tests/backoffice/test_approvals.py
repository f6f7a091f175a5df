"""The approvals inbox: open approvals of every kind, with what would be done, who may decide, and until when."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from core.admin import format_moment
from ledger.models import Adjustment
from merchants.models import Merchant
from merchants.services import api_key
from staff.models import Approval
from staff.services import account, approval
from tests.factories.adjustment import propose

INBOX = "/admin/staff/approval/?status__exact=pending"


def person(name: str, *codenames: str, superuser: bool = False) -> User:
    user = User.objects.create_user(name, password="x", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def lines(client: Client) -> list[str]:
    """The inbox's rows as plain text, newest first."""
    page = client.get(INBOX).content.decode()
    body = page.split('id="result_list"')[1].split("</table>")[0]
    rows = [" ".join(strip_tags(part).split()) for part in body.split("<tr")]
    return [row for row in rows if "pendiente" in row]


@pytest.fixture
def ana(db: None) -> User:
    return person("ana", superuser=True)


@pytest.fixture
def berta(ana: User) -> User:
    return person("berta", "decide_approval", "view_approval")


def kind(name: str, **options: Any) -> approval.Kind:
    nothing = lambda *_: None  # noqa: E731
    return approval.Kind(
        name,
        title="Pago a terceros",
        page="merchants_merchant",
        content_of=lambda _: {},
        on_approved=nothing,
        on_closed=nothing,
        describe=lambda subject: ["$1,000.00 a 646***"],
        **options,
    )


def test_open_approvals_of_every_kind_say_what_who_and_until_when(
    ana: User, berta: User, merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval, "_kinds", dict(approval._kinds))
    approval.register(kind("tests.payout", approvers=2, permission="ledger.view_hold"))
    person("carla", "decide_approval", "view_hold")
    key, _ = api_key.create(merchant, livemode=False, created_by=ana)
    adjusted = propose(ana)
    account.propose(berta, ["staff"], ana)
    with transaction.atomic():
        approval.request("tests.payout", merchant.public_id, {}, key.public_id)
        approval.discard(approval.request("tests.payout", "mer_closed", {}, key.public_id))

    paid, promoted, corrected = lines(signed_in(berta))

    asked = Approval.objects.get(subject=merchant.public_id)
    page = signed_in(berta).get(INBOX).content.decode()
    for name, shown in (("merchants_merchant", merchant), ("ledger_adjustment", adjusted), ("merchants_apikey", key)):
        assert f'href="{reverse(f"admin:{name}_change", args=[shown.public_id])}"' in page
    for text in ("Pago a terceros", "$1,000.00 a 646***", key.public_id[-8:], format_moment(asked.expires_at)):
        assert text in paid
    assert paid.endswith("0 de 2 carla")
    assert "Cuenta que aprueba" in promoted
    assert "cuenta berta" in promoted
    assert "Comisión bancaria no reportada: $100.00" in corrected
    assert corrected.endswith("0 de 1 berta, carla")


def test_votes_given_are_counted_and_their_voters_no_longer_asked(
    ana: User, berta: User, merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval, "_kinds", dict(approval._kinds))
    approval.register(kind("tests.payout", approvers=2))
    person("carla", "decide_approval")
    with transaction.atomic():
        asked = approval.request("tests.payout", merchant.public_id, {}, ana)

    approval.vote(asked.pk, berta, "approve", "")

    (line,) = lines(signed_in(berta))
    assert line.endswith("1 de 2 carla")


def test_the_page_of_an_approval_names_the_issuers_of_the_key(
    ana: User, berta: User, merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval, "_kinds", dict(approval._kinds))
    approval.register(kind("tests.payout"))
    from_host, _ = api_key.create(merchant, livemode=False)
    by_ana, _ = api_key.create(merchant, livemode=False, created_by=ana, replaces=from_host)
    with transaction.atomic():
        asked = approval.request("tests.payout", merchant.public_id, {}, by_ana.public_id)

    page = signed_in(berta).get(f"/admin/staff/approval/{asked.public_id}/change/").content.decode()

    text = " ".join(strip_tags(page).split())
    assert "ana, comando en el servidor" in text
    assert "ninguna cuenta habilitada" in text


def test_an_unregistered_kind_is_still_listed(ana: User, berta: User, monkeypatch: pytest.MonkeyPatch) -> None:
    propose(ana)
    monkeypatch.setattr(approval, "_kinds", {})

    (line,) = lines(signed_in(berta))

    assert "ledger.adjustment" in line
    assert Adjustment.objects.get().public_id[-8:] in line
