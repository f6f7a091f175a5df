"""Exchange of secrets and keys: two are valid for a while, and removed ones are refused."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.db import connections
from django.db.models import Count
from django.test import Client

from core.errors import IllegalTransition, InvalidRequest
from payments.models import ProviderAccount
from payments.providers.conekta.signature import key_id
from payments.services import provider_account as service
from tests.concurrency.threads import soon
from tests.factories.oxxo import pem, sign_with
from tests.problems import assert_problem, rows
from tests.web_process import Web, basic, patient
from webhooks.inbound.services import keys
from webhooks.models import ProviderEvent

EVENTS = 1_000
ENVIRON = [
    "SECRET_KEY",
    "ALLOWED_HOSTS",
    "BASE_URL",
    "FIELD_ENCRYPTION_KEYS",
    "MEDIA_ROOT",
    "DATABASE_URL",
    "REDIS_URL",
]


def deposit(stp, number: int) -> bytes:
    return stp.deposit("646180157099999997", 100, claveRastreo=f"K{number}")


@pytest.mark.django_db
def test_two_secrets_of_stp_are_valid_until_the_exchange_is_finished(stp):
    new = service.start_exchange(stp.account.pk)
    old_header, new_header = basic(stp.username, stp.secret), basic(stp.username, new)

    assert [stp.post(deposit(stp, n), authorization=h).status_code for n, h in enumerate((old_header, new_header))] == [
        200,
        200,
    ]
    with pytest.raises(IllegalTransition):
        service.start_exchange(stp.account.pk)
    proven_by = list(ProviderEvent.objects.order_by("pk").values_list("key_id", flat=True))
    assert proven_by == [hashlib.sha256(s.encode()).hexdigest()[:16] for s in (stp.secret, new)]
    account = ProviderAccount.objects.get(pk=stp.account.pk)
    assert [(use.key_id, use.is_new, use.used_today) for use in keys.in_use(account)] == [
        (proven_by[0], False, 1),
        (proven_by[1], True, 1),
    ]

    service.finish_exchange(stp.account.pk)

    assert_problem(stp.post(deposit(stp, 3), authorization=old_header), 401, "invalid_signature")
    assert stp.post(deposit(stp, 4), authorization=new_header).status_code == 200
    with pytest.raises(IllegalTransition):
        service.finish_exchange(stp.account.pk)


def test_money_that_keeps_arriving_keeps_no_secret_from_being_exchanged(committed_db, stp, owner):
    owner.execute("SELECT 1 FROM payments_provideraccount FOR KEY SHARE")  # as every row that points to it does

    assert service.start_exchange(stp.account.pk)
    service.finish_exchange(stp.account.pk)


def test_one_key_signs_for_one_account(db, conekta, second_key):
    live = ProviderAccount.objects.create(provider="conekta", livemode=True, name="Conekta live")
    service.add_key(live.pk, pem(second_key))
    before = rows()

    for account, key in ((conekta.account, pem(second_key)), (live, conekta.account.webhook_public_keys[0])):
        with pytest.raises(InvalidRequest, match="Another account has this key"):
            service.add_key(account.pk, key)

    assert rows() == before


@pytest.mark.django_db
@pytest.mark.parametrize("width", [20, 76, 400])
def test_a_key_is_one_however_its_lines_are_broken(conekta, second_key, width):
    (first,) = conekta.account.webhook_public_keys
    live = ProviderAccount.objects.create(provider="conekta", livemode=True, name="Conekta live")
    before = rows()

    for account in (conekta.account, live):
        with pytest.raises(InvalidRequest):
            service.add_key(account.pk, _rewrapped(first, width))
    assert rows() == before

    added = service.add_key(conekta.account.pk, _rewrapped(pem(second_key), width))
    assert added == key_id(pem(second_key))


def _rewrapped(text: str, width: int) -> str:
    start, *lines, end = text.strip().split("\n")
    body = "".join(lines)
    return "\r\n".join([f"{start}  ", *(body[i : i + width] for i in range(0, len(body), width)), end, "", ""])


@pytest.mark.django_db
def test_a_cancelled_exchange_leaves_the_present_secret_alone(stp):
    new = service.start_exchange(stp.account.pk)
    service.cancel_exchange(stp.account.pk)

    assert stp.post(deposit(stp, 1), authorization=basic(stp.username, new)).status_code == 401
    assert stp.post(deposit(stp, 1)).status_code == 200


@pytest.mark.django_db
def test_the_first_secret_of_an_account_is_valid_at_once(stp):
    ProviderAccount.objects.filter(pk=stp.account.pk).update(webhook_secret_sha256="", webhook_username=None)

    secret = service.start_exchange(stp.account.pk)

    assert stp.post(deposit(stp, 1), authorization=basic("stp-test", secret)).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("secret", ["", " ", "0" * 64])
def test_an_account_without_a_second_secret_refuses_an_empty_one(stp, secret):
    assert stp.post(deposit(stp, 1), authorization=basic(stp.username, secret)).status_code == 401


@pytest.mark.django_db
def test_keys_of_conekta_come_and_go_but_never_all_of_them(conekta, second_key, merchant):
    (first,) = conekta.account.webhook_public_keys
    added = service.add_key(conekta.account.pk, pem(second_key).replace("\n", "\r\n"))

    raw = b'{"type": "webhook_ping", "id": "by-second"}'
    assert conekta.post(raw, digest=sign_with(second_key, raw)).status_code == 200
    assert ProviderEvent.objects.get().key_id == added == key_id(pem(second_key))
    with pytest.raises(IllegalTransition):
        service.add_key(conekta.account.pk, pem(_third_key()))
    with pytest.raises(InvalidRequest):
        service.remove_key(conekta.account.pk, "0" * 16)

    service.remove_key(conekta.account.pk, key_id(first))

    assert_problem(conekta.post(b'{"type": "webhook_ping", "id": "by-first"}'), 401, "invalid_signature")
    with pytest.raises(IllegalTransition):
        service.remove_key(conekta.account.pk, added)


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", ["", "hello", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
def test_what_is_no_key_is_refused_and_nothing_changes(conekta, wrong):
    with pytest.raises(InvalidRequest) as refused:
        service.add_key(conekta.account.pk, wrong)

    assert [error.field for error in refused.value.errors] == ["pem"]
    assert ProviderAccount.objects.get(pk=conekta.account.pk).webhook_public_keys == conekta.account.webhook_public_keys


@pytest.mark.django_db
def test_a_removed_secret_is_refused_once_the_cache_expires(stp, settings):
    settings.PROVIDER_ACCOUNT_CACHE_SECONDS = 0.5
    assert soon(lambda: stp.post(deposit(stp, 1)).status_code == 200)  # the cache may hold accounts of another test
    service.start_exchange(stp.account.pk)
    service.finish_exchange(stp.account.pk)

    assert soon(lambda: stp.post(deposit(stp, 1)).status_code == 401)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("networks", "address", "status"),
    [
        (["203.0.113.0/24"], "203.0.113.9", 200),
        (["203.0.113.9"], "203.0.113.9", 200),
        (["10.0.0.0/8", "2001:db8::/32"], "2001:db8::7", 200),
        (["203.0.113.0/24"], "203.0.114.9", 403),
        (["203.0.113.0/24"], "2001:db8::7", 403),
        ([], "198.51.100.1", 200),
    ],
)
def test_stp_is_heard_from_its_addresses_only(stp, settings, networks, address, status):
    service.set_networks(stp.account.pk, networks)
    before = rows()

    answer = stp.post(deposit(stp, 1), client=Client(REMOTE_ADDR=address))

    assert answer.status_code == status
    if status == 403:
        assert_problem(answer, 403, "ip_not_allowed")
        assert rows() == before


@pytest.mark.django_db
def test_an_address_counts_as_our_own_proxy_saw_it(stp, settings):
    settings.SITE = dataclasses.replace(settings.SITE, trusted_proxies=1)
    service.set_networks(stp.account.pk, ["203.0.113.7"])

    def post(forwarded: str) -> int:
        client = Client(REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": forwarded})
        return stp.post(deposit(stp, 1), client=client).status_code

    assert [post("203.0.113.7, 198.51.100.1"), post("198.51.100.1, 203.0.113.7")] == [403, 200]
    assert [post(forwarded) for forwarded in ("203.0.113.7:41234", "::ffff:203.0.113.7")] == [200, 200]
    kept = ProviderEvent.objects.values_list("remote_address", flat=True)
    assert set(kept) == {"203.0.113.7"}


@pytest.mark.django_db
@pytest.mark.parametrize("forwarded", ["", "unknown", "198.51.100.1, unknown", "203.0.113.7,"])
def test_an_unreadable_entry_is_refused_though_the_proxy_is_allowed(stp, settings, forwarded):
    settings.SITE = dataclasses.replace(settings.SITE, trusted_proxies=1)
    service.set_networks(stp.account.pk, ["10.0.0.0/8", "203.0.113.7"])
    before = rows()

    client = Client(REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": forwarded})
    answer = stp.post(deposit(stp, 1), client=client)

    assert_problem(answer, 403, "ip_not_allowed")
    assert rows() == before


@pytest.mark.django_db
def test_what_is_no_network_is_refused_by_name(stp):
    with pytest.raises(InvalidRequest) as refused:
        service.set_networks(stp.account.pk, ["203.0.113.7", "stp.mx"])

    assert [error.field for error in refused.value.errors] == ["networks"]
    assert ProviderAccount.objects.get(pk=stp.account.pk).webhook_networks is None


@pytest.mark.promise("P14", "an exchange of Conekta's keys under traffic: none lost")
def test_a_thousand_events_across_an_exchange_of_keys_lose_none(trials, committed_db, conekta, second_key, tmp_path):
    """Over gunicorn, with the accounts cached as in production: before, while and after both keys are valid."""
    environ = {name: os.environ[name] for name in ENVIRON}
    environ["DATABASE_URL"] = patient(environ["DATABASE_URL"])
    web = Web(tmp_path / "gunicorn.log", environ)
    first_name = key_id(conekta.account.webhook_public_keys[0])
    dice = random.Random(7)
    numbers, answers, lock = iter(range(EVENTS)), [], threading.Lock()
    phase = {"old": 1.0}

    def send() -> None:
        while True:
            with lock:
                number = next(numbers, None)
                if number is None:
                    return
                old = dice.random() < phase["old"]
            raw = b'{"type": "order.created", "id": "evt-%d"}' % number
            digest = base64.b64encode(conekta.sign(raw)).decode() if old else sign_with(second_key, raw)
            answer = web.post("/webhooks/conekta", raw, DIGEST=digest)
            with lock:
                answers.append(answer.status)
                if len(answers) == EVENTS // 4:
                    service.add_key(conekta.account.pk, pem(second_key))
                    phase["old"] = 0.5
                if len(answers) == EVENTS // 2:
                    phase["old"] = 0.0

    def send_and_close() -> None:
        try:
            send()
        finally:
            connections.close_all()

    web.start()
    try:
        with ThreadPoolExecutor(4) as senders:
            for sender in [senders.submit(send_and_close) for _ in range(4)]:
                sender.result()
        service.remove_key(conekta.account.pk, first_name)
        raw = b'{"type": "order.created", "id": "evt-late"}'
        late = web.post("/webhooks/conekta", raw, DIGEST=base64.b64encode(conekta.sign(raw)).decode())
    finally:
        web.stop()

    assert answers == [200] * EVENTS
    assert ProviderEvent.objects.count() == EVENTS
    used = dict(ProviderEvent.objects.values_list("key_id").order_by().annotate(n=Count("id")))
    assert used.keys() == {first_name, key_id(pem(second_key))}
    assert late.status == 401
    trials.done(EVENTS, "events")


def _third_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
