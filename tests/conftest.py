"""Fixtures that many tests share. Objects reach their state through the services, as in production."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import psycopg
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.core.cache import cache
from django.db import connections, transaction
from django.test import Client
from hypothesis import HealthCheck, settings

from core.state import Origin, TransitionRow
from kyc.services import case
from ledger.services import chart
from merchants.models import Merchant
from merchants.services import api_key
from payments.models import FeeRule, ProviderAccount
from payments.services import clabe_number
from payments_site import health, unpooled
from payments_site.middleware import ReleaseMiddleware
from tests import cluster
from tests.promises import FULL
from tests.provider_messages import ConektaSender, StpSender

# The same examples each time, however long one takes: a run fails for a cause. Full counts try new ones.
settings.register_profile(
    "tests", deadline=None, derandomize=not FULL, print_blob=True, suppress_health_check=list(HealthCheck)
)
settings.load_profile("tests")

ReleaseMiddleware.released = True  # the template is; its first question would be counted as a test's own


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """The database is there already: ``tests.cluster`` copied the released template."""


@pytest.fixture
def committed_db(django_db_blocker: Any) -> Iterator[None]:
    """A database whose transactions really commit, for tests with threads and processes; a fresh copy afterwards.

    Append-only tables refuse the TRUNCATE with which Django would clean up. Who waits for a lock or a connection waits
    for a minute: many threads on a busy machine hold each other up for longer than a request may wait.
    """
    with django_db_blocker.unblock():
        try:
            with _timeouts(lock="60s", statement="60s", idle="60s", pool=60):
                yield
        finally:
            _disconnect()
            cluster.copy_template()
            chart.forget_open_accounts()
            clabe_number.forget()
            case.forget_approved()


@pytest.fixture
def never_committed(db: None) -> Iterator[None]:
    """What the test writes is rolled back before the deferred guards look at it: rows no service would leave so."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def production_timeouts(committed_db: None) -> Iterator[None]:
    """This process waits for locks, statements and connections no longer than a request does in production."""
    with _timeouts(lock="2s", statement="5s", idle="10s", pool=2):
        yield


@contextmanager
def _timeouts(*, lock: str, statement: str, idle: str, pool: float) -> Iterator[None]:
    given = connections["default"].settings_dict["OPTIONS"]
    limits = {"lock": lock, "statement": statement, "idle_in_transaction_session": idle}
    further = "".join(f" -c {name}_timeout={value}" for name, value in limits.items())  # the last one counts
    changed = {"options": given["options"] + further, "pool": {**given["pool"], "timeout": pool}}
    _disconnect()
    with mock.patch.dict(given, changed):
        try:
            yield
        finally:
            _disconnect()


def _disconnect() -> None:
    for connection in connections.all(initialized_only=True):
        connection.close()
        connection.close_pool()


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


@pytest.fixture(autouse=True)
def _patient_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """/readyz forgets what it saw in another test, and all wait longer: others use the same processors and cluster."""
    monkeypatch.setattr(health, "TIMEOUT", 10.0)
    monkeypatch.setattr(unpooled, "TIMEOUT", 10.0)
    monkeypatch.setattr(health, "probe", health.DatabaseProbe())


@pytest.fixture
def owner() -> Iterator[psycopg.Connection[Any]]:
    """A raw connection as the schema's owner: sees what is committed, rolled back at the end unless committed."""
    with psycopg.connect(cluster.url("payments_owner")) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def staff_origin() -> Origin:
    return Origin(TransitionRow.Cause.STAFF, "user:ana", "")


@pytest.fixture
def merchant(request: pytest.FixtureRequest) -> Merchant:
    _needs_database(request)
    merchant = Merchant.objects.create(name="Café Luna", legal_name="Café Luna SA de CV")
    for method, percent, fixed in (("spei", "1", 0), ("oxxo", "2.6", 300)):
        FeeRule.objects.create(merchant=merchant, method=method, percent=percent, fixed=fixed)
    return merchant


@pytest.fixture
def other_merchant(request: pytest.FixtureRequest) -> Merchant:
    _needs_database(request)
    return Merchant.objects.create(name="Otra Tienda", legal_name="Otra Tienda SA de CV")


@dataclass
class Api:
    """The merchant API over Django's test client, with one key."""

    client: Client
    secret: str

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(path, headers={"Authorization": f"Bearer {self.secret}", **headers})

    def post(self, path: str, body: Any, *, key: str | None = "k-1", **headers: str) -> Any:
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.client.post(
            path,
            body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.secret}", **headers},
        )


@pytest.fixture
def make_api() -> Callable[..., Api]:
    def make(merchant: Merchant, *, livemode: bool = False, **options: Any) -> Api:
        _, secret = api_key.create(merchant, livemode=livemode, **options)
        return Api(Client(raise_request_exception=False), secret)

    return make


@pytest.fixture
def api(merchant: Merchant, make_api: Callable[..., Api]) -> Api:
    return make_api(merchant)


@pytest.fixture
def stp(request: pytest.FixtureRequest) -> StpSender:
    """STP's test account, and STP itself posting to it."""
    _needs_database(request)
    clabe_number.forget()  # numbers of a sequence that went with an earlier test's account
    secret = "stp-secret-of-the-tests"
    account = ProviderAccount.objects.create(
        provider="stp",
        livemode=False,
        name="EMPRESA_DEMO",
        webhook_username="stp-test",
        webhook_secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
        clabe_prefix="6461801570",
        clabe_sequence=1,
    )
    return StpSender(Client(raise_request_exception=False), account, "stp-test", secret)


@pytest.fixture(scope="session")
def conekta_private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def conekta(request: pytest.FixtureRequest, conekta_private_key: rsa.RSAPrivateKey) -> ConektaSender:
    """Conekta's test account, and Conekta itself signing events for it."""
    _needs_database(request)
    public = conekta_private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    account = ProviderAccount.objects.create(
        provider="conekta",
        livemode=False,
        name="Conekta test",
        base_url="http://127.0.0.1:9/conekta",
        credentials={"api_key": "key_test_only"},
        webhook_public_keys=[public.decode()],
    )

    def sign(raw: bytes) -> bytes:
        return conekta_private_key.sign(raw, padding.PKCS1v15(), hashes.SHA256())

    return ConektaSender(Client(raise_request_exception=False), account, sign)


def _needs_database(request: pytest.FixtureRequest) -> None:
    """Whichever database fixture the test asked for: its own rolled-back one unless it commits."""
    if "committed_db" in request.fixturenames:
        request.getfixturevalue("committed_db")
    else:
        request.getfixturevalue("db")
