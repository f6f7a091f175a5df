"""A private, durable PostgreSQL that tests may stop, and the site on top of it; Redis is away all the time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from payments_site.embedded.postgres import EmbeddedPostgres
from tests.web_process import ROOT, Web

PAYMENTS = 260
STP_USER, STP_SECRET = "stp-test", "stp-secret-of-the-faults"

_SEED = """
import hashlib, json, sys
from datetime import timedelta
from django.db import transaction
from core import clock
from core.state import Origin, TransitionRow
from merchants.models import Merchant
from merchants.services import api_key
from payments.models import FeeRule, Payment, ProviderAccount
from payments.services import payment
given = json.loads(sys.argv[1])
merchant = Merchant.objects.create(name="Tienda", legal_name="Tienda SA de CV")
ProviderAccount.objects.create(provider="stp", livemode=False, name="EMPRESA_DEMO", webhook_username=given["user"],
    webhook_secret_sha256=hashlib.sha256(given["secret"].encode()).hexdigest(),
    clabe_prefix="6461801570", clabe_sequence=1)
ProviderAccount.objects.create(provider="conekta", livemode=False, name="Conekta", base_url="http://127.0.0.1:9/conekta",
    credentials={"api_key": "key_test_only"}, webhook_public_keys=[given["public_key"]])
_, secret = api_key.create(merchant, livemode=False)
made = []
with transaction.atomic():
    for _ in range(given["payments"]):
        expires_at = clock.now() + timedelta(days=1)
        wanted = payment.NewPayment(method=Payment.Method.SPEI, amount=10_000, expires_at=expires_at)
        origin = Origin(TransitionRow.Cause.API, "key")
        made.append(payment.create(merchant, livemode=False, wanted=wanted, origin=origin))
print(json.dumps({"secret": secret, "clabes": [p.clabe for p in made]}))
"""


@dataclass
class House:
    """The cluster, the environment of whatever runs on it, and what was seeded."""

    postgres: EmbeddedPostgres
    environ: dict[str, str]
    conekta_key: rsa.RSAPrivateKey
    api_secret: str = ""
    clabes: list[str] = field(default_factory=list)
    """CLABEs of pending payments of 100.00 that no test has used: take from the end."""

    def take(self, count: int) -> list[str]:
        taken, self.clabes = self.clabes[-count:], self.clabes[:-count]
        assert len(taken) == count, "seed more payments"
        return taken

    def query(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows as the schema's owner sees them: committed ones."""
        with psycopg.connect(self.postgres.url("payments_owner", "payments")) as connection:
            return connection.execute(statement, params).fetchall()

    def digest(self, raw: bytes) -> bytes:
        return self.conekta_key.sign(raw, padding.PKCS1v15(), hashes.SHA256())


def _run(environ: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home: Path = tmp_path_factory.mktemp("faults")
    postgres = EmbeddedPostgres(home / "postgres", run_dir=home / "run", durable=True)
    try:
        postgres.start()
        postgres.ensure_database("payments")
        environ = {
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "payments_site.settings.test",
            "SECRET_KEY": "test-only-" + "0123456789" * 5,
            "ALLOWED_HOSTS": "127.0.0.1",
            "BASE_URL": "http://127.0.0.1",
            "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "MEDIA_ROOT": str(home / "media"),
            "DATABASE_URL": postgres.url("payments_app", "payments"),
            "REDIS_URL": "redis://127.0.0.1:9/0",
            "WEB_CONCURRENCY": "2",
            "WEB_THREADS": "4",
        }
        _run(environ | {"RELEASE_DATABASE_URL": postgres.url("payments_owner", "payments")}, "manage.py", "release")
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        public_key = key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
        given = {"user": STP_USER, "secret": STP_SECRET, "public_key": public_key, "payments": PAYMENTS}
        script = "import django, os; django.setup()\n" + _SEED
        seeded = json.loads(_run(environ | {"PYTHONPATH": str(ROOT)}, "-c", script, json.dumps(given)))
        yield House(postgres, environ, key, seeded["secret"], seeded["clabes"])
    finally:
        postgres.stop()
        postgres.remove()


@pytest.fixture(scope="module")
def web(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """The site, running; a test that stops it starts it again."""
    running = Web(tmp_path_factory.mktemp("site") / "gunicorn.log", house.environ)
    running.start()
    yield running
    running.stop()
