"""Staff exchanges secrets and keys on a provider account's page; every fault is said, and looking is not changing."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.test import Client

from payments.models import ProviderAccount
from payments.providers.conekta.signature import key_id
from tests.factories.oxxo import pem
from tests.factories.provider_pages import url
from tests.web_process import basic


def test_a_new_secret_is_shown_once_and_kept_nowhere(stp, admin_client: Client) -> None:
    assert admin_client.get(url(stp.account, "new-secret")).status_code == 200
    assert ProviderAccount.objects.get().webhook_next_secret_sha256 == ""

    page = admin_client.post(url(stp.account, "new-secret"))

    found = re.search(r"stp-test:([A-Za-z0-9_-]{43})@testserver/webhooks/stp/orders", page.content.decode())
    assert found is not None
    assert "no-store" in page.headers["Cache-Control"]
    assert found[1] not in str(list(LogEntry.objects.values()))
    assert found[1] not in admin_client.get(url(stp.account, "change")).content.decode()
    raw = stp.deposit("646180157099999997", 100)
    assert stp.post(raw, authorization=basic("stp-test", found[1])).status_code == 200
    assert admin_client.post(url(stp.account, "finish-exchange")).status_code == 302
    assert stp.post(raw).status_code == 401


@pytest.mark.parametrize(
    ("wrong", "saying"),
    [("hello", "public RSA key of at least 2048 bits"), ("", "This field is required")],
)
def test_a_wrong_key_is_said_and_changes_nothing(conekta, admin_client: Client, wrong: str, saying: str) -> None:
    before = ProviderAccount.objects.get().webhook_public_keys

    page = admin_client.post(url(conekta.account, "add-key"), {"pem": wrong}, headers={"Accept-Language": "en"})

    assert (page.status_code, saying in page.content.decode()) == (200, True)
    assert ProviderAccount.objects.get().webhook_public_keys == before


def test_a_key_is_added_and_the_old_one_removed(conekta, conekta_private_key, admin_client: Client) -> None:
    new = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    assert "/remove-key/" not in admin_client.get(url(conekta.account, "change")).content.decode()

    assert admin_client.post(url(conekta.account, "add-key"), {"pem": new}).status_code == 302
    page = admin_client.get(url(conekta.account, "change")).content.decode()
    assert key_id(new) in page and "/remove-key/" in page and "/add-key/" not in page
    old = key_id(pem(conekta_private_key))
    assert admin_client.post(url(conekta.account, "remove-key"), {"key": old}).status_code == 302

    assert [key_id(key) for key in ProviderAccount.objects.get().webhook_public_keys] == [key_id(new)]


def test_networks_are_set_one_in_each_line(stp, admin_client: Client) -> None:
    page = admin_client.post(url(stp.account, "networks"), {"networks": "203.0.113.7\nstp.mx"})
    assert (page.status_code, ProviderAccount.objects.get().webhook_networks) == (200, None)

    assert admin_client.post(url(stp.account, "networks"), {"networks": "203.0.113.7\n10.0.0.0/8"}).status_code == 302

    assert ProviderAccount.objects.get().webhook_networks == ["203.0.113.7/32", "10.0.0.0/8"]


@pytest.mark.parametrize("action", ["new-secret", "finish-exchange", "cancel-exchange", "networks"])
def test_whoever_may_only_look_changes_no_secret(stp, viewer: Client, action: str) -> None:
    before = list(ProviderAccount.objects.values())

    for answer in (viewer.get(url(stp.account, action)), viewer.post(url(stp.account, action), {"networks": ""})):
        assert answer.status_code == 403
    assert list(ProviderAccount.objects.values()) == before


@pytest.mark.django_db
def test_the_command_shows_the_partitions() -> None:
    out = StringIO()

    call_command("provider_event_bodies", stdout=out)

    said = out.getvalue()
    assert said.count("webhooks_providereventbody_") == 5
    assert "webhooks_providereventbody_default: default partition" in said
    assert said.endswith("0 made, 0 dropped.\n")
