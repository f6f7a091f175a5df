"""Signing in: five tries an account and twenty an address in 15 minutes, counted in Redis, else in PostgreSQL."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import time_machine
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.models import User
from django.core.cache import caches
from django.db import OperationalError
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from redis.retry import Retry

from core import clock
from staff.models import SignInCounter
from staff.services import sign_in_limit
from tests.cluster import ROOT
from tests.concurrency.threads import at_once

PASSWORD = "una clave larga"
LOGIN = "/admin/login/"


@pytest.fixture(autouse=True)
def _redis_is_asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """And no window of tries ends within a test."""
    monkeypatch.setattr(sign_in_limit, "_redis_paused_until", 0.0)
    with time_machine.travel(clock.now(), tick=False):
        yield


@pytest.fixture
def ana(db: None) -> User:
    return User.objects.create_superuser("ana", password=PASSWORD)


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield server.getsockname()[1]


def use_redis(settings: Any, port: int) -> None:
    options = {"socket_connect_timeout": 0.2, "socket_timeout": 0.2, "retry": Retry(NoBackoff(), 0)}
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": f"redis://127.0.0.1:{port}/0", "OPTIONS": options}}


def sign_in(username: str, password: str = "mal", address: str = "192.0.2.1", **headers: str) -> Any:
    return Client(REMOTE_ADDR=address, headers=headers).post(LOGIN, {"username": username, "password": password})


def test_the_sixth_try_on_an_account_is_refused_even_with_the_right_password(ana: User) -> None:
    statuses = [sign_in("ana", address=f"192.0.2.{n}").status_code for n in range(5)]
    refused = sign_in("ana", PASSWORD, address="192.0.2.99")

    assert statuses == [200] * 5
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 15 * 60
    assert "Demasiados intentos de inicio de sesión." in refused.content.decode()
    assert "sessionid" not in refused.cookies


def test_an_account_is_one_however_its_name_is_written(ana: User) -> None:
    for name in ("ana", "ANA", " ana ", "Ana", "aNa"):
        sign_in(name, address="192.0.2.7")

    assert sign_in("ana", PASSWORD).status_code == 429


VARIANTS = [
    "ａｎａ",
    "ＡＮＡ",
    "ªnª",
    "ᵃⁿᵃ",
    "ⓐⓝⓐ",
    "ⒶⓃⒶ",
    "𝐚𝐧𝐚",
    "𝒶𝓃𝒶",
    "𝖆𝖓𝖆",
    "𝚊𝚗𝚊",
    "ａna",
    "an𝗮",
    "\u3000ana\u00a0",
    "\tAna\n",
]


def test_compatibility_variants_of_a_name_are_one_account(ana: User) -> None:
    tried = [sign_in(name, address=f"192.0.2.{n}").status_code for n, name in enumerate(VARIANTS)]

    assert tried == [200] * 5 + [429] * (len(VARIANTS) - 5)
    assert sign_in("ana", PASSWORD, address="198.51.100.1").status_code == 429


def test_the_variants_are_spellings_under_which_django_signs_in(ana: User) -> None:
    for n, name in enumerate(VARIANTS):
        caches["default"].clear()
        signed_in = sign_in(name, PASSWORD, address=f"192.0.2.{n}").status_code == 302
        assert signed_in == (UsernameField().clean(name) == "ana")


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("ａªⓐﬁ\u3000\u00a0¨ﷺ"), max_size=8))
def test_names_that_django_takes_for_one_count_as_one(name: str) -> None:
    assert sign_in_limit.account_name(name) == UsernameField(required=False).to_python(name).casefold()


def test_the_addresses_of_one_ipv6_network_count_as_one(ana: User) -> None:
    """A provider assigns a /64; its customer may use any address of it."""
    for n in range(20):
        sign_in(f"nadie{n}", address=f"2001:db8:1:2:{n:x}::{n:x}")

    inside, outside = (sign_in("ana", PASSWORD, address=f"2001:db8:1:{n}::ffff").status_code for n in (2, 3))
    assert (inside, outside) == (429, 302)


def test_an_address_gets_twenty_tries_over_all_accounts(ana: User) -> None:
    statuses = [sign_in(f"nadie{n}").status_code for n in range(20)]

    assert statuses == [200] * 20
    assert sign_in("ana", PASSWORD).status_code == 429
    assert sign_in("ana", PASSWORD, address="192.0.2.2").status_code == 302


def test_a_made_up_forwarded_address_changes_nothing(ana: User) -> None:
    headers = [{"X-Forwarded-For": f"203.0.113.{n}"} for n in range(25)]

    statuses = Counter(sign_in(f"nadie{n}", **header).status_code for n, header in enumerate(headers))

    assert statuses == {200: 20, 429: 5}


@pytest.mark.parametrize("form", ["203.0.113.{}:41234", "::ffff:203.0.113.{}", "[2001:db8:0:{}::1]:443"])
def test_people_behind_one_proxy_are_counted_apart(form: str, ana: User, settings: Any) -> None:
    settings.SITE = replace(settings.SITE, trusted_proxies=1)
    for n in range(21):
        sign_in(f"nadie{n}", address="10.0.0.1", **{"X-Forwarded-For": form.format(1)})

    attacker, colleague = (
        sign_in("ana", PASSWORD, address="10.0.0.1", **{"X-Forwarded-For": form.format(n)}).status_code for n in (1, 2)
    )

    assert (attacker, colleague) == (429, 302)


@pytest.mark.parametrize("forwarded", [None, "", "unknown", "203.0.113.7, _hidden", "203.0.113.7,"])
def test_an_unreadable_address_cannot_sign_in_and_counts_for_no_one(
    forwarded: str | None, ana: User, settings: Any
) -> None:
    settings.SITE = replace(settings.SITE, trusted_proxies=1)
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    refused = [sign_in("ana", PASSWORD, address="10.0.0.1", **headers) for _ in range(21)][-1]
    colleague = sign_in("ana", PASSWORD, address="10.0.0.1", **{"X-Forwarded-For": "203.0.113.7"})

    assert refused.status_code == 400
    assert "No pudimos identificar tu dirección IP" in refused.content.decode()
    assert "Retry-After" not in refused.headers
    assert colleague.status_code == 302


def test_others_get_in_while_one_account_is_attacked(ana: User) -> None:
    User.objects.create_superuser("luis", password=PASSWORD)
    for n in range(10):
        sign_in("ana", address=f"192.0.2.{n}")

    assert sign_in("luis", PASSWORD, address="198.51.100.1").status_code == 302


@pytest.mark.parametrize("tries", [1, 6])
def test_an_unknown_account_gets_the_same_answer_as_a_known_one(tries: int, ana: User) -> None:
    known, unknown = ([sign_in(name, address=f"192.0.2.{n}") for n in range(tries)][-1] for name in ("ana", "nadie"))

    def visible(answer: Any, name: str) -> str:
        text = answer.content.decode().replace(answer.cookies["csrftoken"].value, "")
        return "\n".join(line for line in text.split("\n") if "csrfmiddlewaretoken" not in line).replace(name, "")

    assert known.status_code == unknown.status_code
    assert visible(known, "ana") == visible(unknown, "nadie")
    assert ("Retry-After" in known.headers) == ("Retry-After" in unknown.headers) == (tries == 6)


def test_only_posts_are_counted(ana: User) -> None:
    for method in ("get", "head", "put"):
        for _ in range(30):
            getattr(Client(REMOTE_ADDR="192.0.2.1"), method)(LOGIN)

    assert sign_in("ana", PASSWORD).status_code == 302


def test_a_try_without_csrf_token_never_reaches_the_password(ana: User) -> None:
    client = Client(enforce_csrf_checks=True)

    assert client.post(LOGIN, {"username": "ana", "password": PASSWORD}).status_code == 403


@pytest.mark.parametrize("username", ["", "\0", "x" * 10_000, "' OR 1=1 --", "ñandú", "a\nb"])
def test_a_strange_name_is_counted_like_any_other(username: str, db: None) -> None:
    statuses = [sign_in(username, address=f"192.0.2.{n}").status_code for n in range(6)]

    assert statuses == [200] * 5 + [429]


def test_without_redis_postgresql_keeps_the_same_limits(ana: User, settings: Any) -> None:
    use_redis(settings, port=9)

    statuses = [sign_in("ana", address=f"192.0.2.{n}").status_code for n in range(6)]
    elsewhere = Counter(sign_in(f"nadie{n}").status_code for n in range(21))

    assert statuses == [200] * 5 + [429]
    assert elsewhere == {200: 19, 429: 2}  # the first address of the loop above counts as well
    assert SignInCounter.objects.exists()
    assert not SignInCounter.objects.filter(key__contains="ana").exists()


@pytest.mark.promise("P19", "signing in with Redis hung", unit="outages")
def test_a_hung_redis_costs_less_than_a_third_of_a_second(
    rf: Any, db: None, settings: Any, black_hole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_redis(settings, port=black_hole)
    costs = []
    for n in range(8):
        monkeypatch.setattr(sign_in_limit, "_redis_paused_until", 0.0)  # the worst case: asked again every time
        began = time.monotonic()
        refused = sign_in_limit.check(rf.post(LOGIN, REMOTE_ADDR=f"192.0.2.{n}"), "ana")
        costs.append(time.monotonic() - began)
        assert (refused is not None) == (n >= 5)

    assert min(costs) <= 0.3  # the others tell of a busy machine
    assert max(costs) < 15


def test_redis_is_asked_again_after_a_pause(rf: Any, db: None, settings: Any) -> None:
    working = settings.CACHES
    use_redis(settings, port=9)
    sign_in_limit.check(rf.post(LOGIN), "ana")
    settings.CACHES = working
    before = SignInCounter.objects.get(count=1, key__in=_keys("ana")).count

    sign_in_limit.check(rf.post(LOGIN), "ana")
    assert SignInCounter.objects.get(key__in=_keys("ana")).count == before + 1

    sign_in_limit._redis_paused_until = 0.0
    sign_in_limit.check(rf.post(LOGIN), "ana")
    assert SignInCounter.objects.get(key__in=_keys("ana")).count == before + 1


def test_nobody_gets_in_when_nothing_can_count(ana: User, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    use_redis(settings, port=9)

    def away(*args: object) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(sign_in_limit, "_count_in_postgres", away)
    answer = sign_in("ana", PASSWORD)

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "sessionid" not in answer.cookies
    assert "En este momento no es posible iniciar sesión." in answer.content.decode()


@pytest.mark.promise("P18", "guessing through several threads, with Redis and without", unit="attacks")
@pytest.mark.parametrize("with_redis", [True, False])
def test_threads_share_one_count(with_redis: bool, committed_db: None, settings: Any) -> None:
    if not with_redis:
        use_redis(settings, port=9)
    User.objects.create_superuser("ana", password=PASSWORD)
    statuses: list[int] = []

    def attack(number: int) -> None:
        for n in range(5):
            statuses.append(sign_in("ana", address=f"198.51.100.{number * 5 + n}").status_code)

    at_once([lambda number=number: attack(number) for number in range(8)])  # type: ignore[misc]

    assert Counter(statuses) == {200: 5, 429: 35}


@pytest.mark.promise("P18", "guessing through several processes", unit="attacks")
def test_processes_share_one_count(committed_db: None) -> None:
    program = (
        "import django; django.setup();"
        "import time_machine; from tests.staff.test_sign_in_limit import sign_in;"
        f"time_machine.travel({clock.now().timestamp()}, tick=False).start();"
        "print([sign_in('ana', address='198.51.100.%d' % n).status_code for n in range(5)].count(200))"
    )

    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(3)
    ]
    allowed = [int(process.communicate(timeout=300)[0].splitlines()[-1]) for process in processes]

    assert sum(allowed) == 5


def test_signing_in_leads_to_the_desk(ana: User) -> None:
    answer = sign_in("ana", PASSWORD)

    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
    caches["default"].clear()


def _keys(*names: str) -> list[str]:
    return [sign_in_limit._key("account", name) for name in names]
