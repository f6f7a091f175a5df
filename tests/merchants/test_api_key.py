"""What a key may, from where, until when; and how long a process believes what it knows of one."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client

from core import clock
from core.errors import InvalidApiKey
from merchants.models import ApiKey, Merchant
from merchants.services import api_key
from tests.problems import assert_problem

pytestmark = pytest.mark.django_db


def get(secret, address="127.0.0.1", **headers):
    client = Client(raise_request_exception=False, REMOTE_ADDR=address)
    return client.get("/v1/merchant", headers={"Authorization": f"Bearer {secret}", **headers})


@pytest.fixture
def _remembering(settings):
    settings.API_KEY_CACHE_SECONDS = 0.2
    api_key._cache.clear()
    yield
    api_key._cache.clear()


def test_an_expired_key_is_refused_from_its_moment_on(merchant):
    end = clock.now() + timedelta(hours=1)
    _, secret = api_key.create(merchant, livemode=False, expires_at=end)

    with time_machine.travel(end - timedelta(seconds=1), tick=False):
        assert get(secret).status_code == 200
    with time_machine.travel(end, tick=False):
        assert_problem(get(secret), 401, "invalid_api_key")


@pytest.mark.parametrize(
    ("networks", "address", "status"),
    [
        ([], "198.51.100.7", 200),
        (["203.0.113.7"], "203.0.113.7", 200),
        (["203.0.113.7"], "203.0.113.8", 403),
        (["203.0.113.0/24"], "203.0.113.255", 200),
        (["203.0.113.0/24"], "203.0.114.0", 403),
        (["198.51.100.0/24", "203.0.113.0/24"], "203.0.113.9", 200),
        (["203.0.113.0/24"], "::ffff:203.0.113.9", 200),
        (["203.0.113.0/24"], "203.0.113.9:41234", 200),
        (["::ffff:203.0.113.0/120"], "203.0.113.9", 200),
        (["2001:db8::/32"], "[2001:db8::1]:443", 200),
        (["2001:db8::/32"], "2001:db8::1", 200),
        (["2001:db8::/32"], "2001:db9::1", 403),
        (["2001:db8::/32"], "203.0.113.9", 403),
        (["0.0.0.0/0"], "2001:db8::1", 403),
        (["203.0.113.0/24"], "", 403),
        (["203.0.113.0/24"], "unix:", 403),
    ],
)
def test_a_key_with_addresses_is_taken_from_them_only(merchant, networks, address, status):
    _, secret = api_key.create(merchant, livemode=False, networks=networks)

    answer = get(secret, address)

    assert answer.status_code == status
    assert status == 200 or answer.json()["code"] == "ip_not_allowed"


def test_the_address_is_what_our_own_proxy_saw_and_never_what_the_caller_wrote(merchant, settings):
    _, secret = api_key.create(merchant, livemode=False, networks=["203.0.113.7"])
    forged = {"X-Forwarded-For": "203.0.113.7"}

    assert get(secret, "198.51.100.1", **forged).status_code == 403
    settings.SITE = replace(settings.SITE, trusted_proxies=1)
    assert get(secret, "10.0.0.1", **{"X-Forwarded-For": "203.0.113.7, 198.51.100.1"}).status_code == 403
    assert get(secret, "10.0.0.1", **{"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}).status_code == 200


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("203.0.113.7:41234", 200),
        ("::ffff:203.0.113.7", 200),
        ("[::ffff:203.0.113.7]:41234", 200),
        ("198.51.100.1:41234", 403),
        ("unknown", 403),
        ("203.0.113.7, unknown", 403),
        ("203.0.113.7,", 403),
        ("", 403),
        (None, 403),
    ],
)
def test_what_a_proxy_writes_is_read_and_never_replaced_by_its_own_address(merchant, settings, forwarded, status):
    _, secret = api_key.create(merchant, livemode=False, networks=["203.0.113.7", "10.0.0.0/8"])
    settings.SITE = replace(settings.SITE, trusted_proxies=1)
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}

    assert get(secret, "10.0.0.1", **headers).status_code == status


@pytest.mark.parametrize("text", ["", "203.0.113", "203.0.113.7/33", "203.0.113.7/24", "example.mx", "1.2.3.4;", 7.5])
def test_what_is_no_network_is_refused(merchant, text):
    with pytest.raises(ValidationError):
        api_key.create(merchant, livemode=False, networks=[text])


def test_networks_come_back_as_networks(merchant):
    key, _ = api_key.create(merchant, livemode=False, networks=["203.0.113.7", "2001:db8::/32"])

    assert ApiKey.objects.get(pk=key.pk).networks == [ip_network("203.0.113.7/32"), ip_network("2001:db8::/32")]


def test_restricting_a_key_is_felt_at_once(merchant):
    key, secret = api_key.create(merchant, livemode=False)
    assert get(secret).status_code == 200

    api_key.restrict(key, networks=["203.0.113.7"])
    refused = get(secret)
    api_key.restrict(key, networks=[])

    assert_problem(refused, 403, "ip_not_allowed")
    assert get(secret).status_code == 200


def test_a_suspended_merchant_is_heard_only_after_its_key_was_recognised(merchant):
    """Whoever calls from a wrong address learns nothing of the merchant."""
    _, secret = api_key.create(merchant, livemode=False, networks=["203.0.113.7"])
    Merchant.objects.update(status="suspended")

    assert_problem(get(secret), 403, "ip_not_allowed")
    assert_problem(get(secret, "203.0.113.7"), 403, "merchant_suspended")


@pytest.mark.usefixtures("_remembering")
def test_a_known_key_costs_no_statement(merchant, settings, django_assert_num_queries):
    settings.API_KEY_CACHE_SECONDS = 60
    _, secret = api_key.create(merchant, livemode=False)

    with django_assert_num_queries(2):  # the key, and the minute of its use
        get(secret)
    with django_assert_num_queries(0):
        assert get(secret).status_code == 200


@pytest.mark.usefixtures("_remembering")
@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE merchants_apikey SET revoked_at = now()", "invalid_api_key"),
        ("UPDATE merchants_apikey SET expires_at = now()", "invalid_api_key"),
        ("UPDATE merchants_apikey SET networks = '{203.0.113.7}'", "ip_not_allowed"),
        ("UPDATE merchants_merchant SET status = 'suspended'", "merchant_suspended"),
    ],
)
def test_what_another_process_did_to_a_key_is_felt_when_the_memory_is_over(merchant, statement, code):
    _, secret = api_key.create(merchant, livemode=False)
    assert get(secret).status_code == 200

    with connection.cursor() as cursor:
        cursor.execute(statement)
    time.sleep(0.21)

    assert get(secret).json()["code"] == code


@pytest.mark.usefixtures("_remembering")
def test_the_end_of_a_remembered_key_is_felt_at_once(merchant):
    _, secret = api_key.create(merchant, livemode=False, expires_at=clock.now() + timedelta(hours=1))
    assert get(secret).status_code == 200

    with time_machine.travel(clock.now() + timedelta(hours=1), tick=False):
        assert_problem(get(secret), 401, "invalid_api_key")


@pytest.mark.usefixtures("_remembering")
def test_strangers_do_not_fill_the_memory(merchant, monkeypatch):
    monkeypatch.setattr(api_key, "_MAX_CACHED", 3)
    for number in range(50):
        get("sk_test_" + f"{number:043d}")
    assert len(api_key._cache) == 0

    for _ in range(5):
        assert get(api_key.create(merchant, livemode=False)[1]).status_code == 200

    assert len(api_key._cache) <= 3


@pytest.mark.usefixtures("_remembering")
def test_keys_that_are_in_use_are_asked_for_by_one_statement(merchant, django_assert_num_queries):
    made = [api_key.create(merchant, livemode=False) for _ in range(3)]
    for _, secret in made:
        api_key.authenticate(secret)
    api_key.revoke(made[0][0])
    ApiKey.objects.filter(pk=made[1][0].pk).update(revoked_at=clock.now())  # as another process does it
    time.sleep(0.21)

    with django_assert_num_queries(1):
        api_key.authenticate(made[2][1])
        with pytest.raises(InvalidApiKey):
            api_key.authenticate(made[1][1])


def test_the_memory_is_shorter_than_a_second_in_production():
    from payments_site.settings import base

    assert 0 < base.API_KEY_CACHE_SECONDS < 1
