"""The whole site on a PostgreSQL and a Redis of its own, which tests may stop, kill and restart in any way."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from payments_site.embedded.postgres import EmbeddedPostgres
from payments_site.embedded.process import process_started
from payments_site.embedded.redis import EmbeddedRedis
from tests.ports import hold_port
from tests.web_process import ROOT, Web, Worker, basic

DATABASE = "payments"
AMOUNT = 10_000
"""Centavos of every seeded payment."""

_SEED = Path(__file__).with_name("seed.py")


class PrivatePostgres(EmbeddedPostgres):
    """A durable cluster whose server ends as ``pg_ctl stop -m`` or the kernel would end it, on the same port again.

    The port stays its own while nobody listens there.
    """

    def start(self, port: int | None = None) -> None:
        super().start(port or hold_port())

    def end(self, how: str) -> int:
        """Stop it ``fast`` (clients are told), ``immediate`` (no checkpoint, the log is replayed) or ``kill -9``.

        Returns the port, for ``start``.
        """
        signals = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill -9": signal.SIGKILL}
        pid, port = self.pid, self.port
        assert pid is not None
        assert port is not None
        os.kill(pid, signals[how])
        while process_started(pid) is not None:
            time.sleep(0.005)
        self.stop()
        return port

    def restart(self, how: str) -> None:
        """Stop it and start it on its port; return when it takes connections."""
        self.start(port=self.end(how))


@dataclass(frozen=True, slots=True)
class Order:
    """A pending payment of ``AMOUNT`` at STP (with ``clabe``) or Conekta (without)."""

    public_id: str
    clabe: str


@dataclass
class House:
    """Servers, the environment of whatever runs on them, and what was seeded."""

    home: Path
    postgres: PrivatePostgres
    redis: EmbeddedRedis
    environ: dict[str, str]
    conekta_key: rsa.RSAPrivateKey
    stp_authorization: str
    api_secret: str = ""
    _processes: int = 0
    _orders: dict[str, list[Order]] = field(default_factory=lambda: {"spei": [], "oxxo": []})

    def orders(self, method: str, count: int) -> list[Order]:
        """Pending payments that nobody else gets; they are seeded in the services' own way."""
        waiting = self._orders[method]
        if len(waiting) < count:
            given = {"method": method, "payments": count - len(waiting), "amount": AMOUNT}
            waiting += [Order(**one) for one in self.seed(**given)]
        taken, self._orders[method] = waiting[:count], waiting[count:]
        return taken

    def store_unapplied(self, bodies: Sequence[bytes]) -> None:
        """Conekta's notices, in the inbox and due, as if the site had died between storing and applying them."""
        self.seed(bodies=[body.decode() for body in bodies])

    def seed(self, **wanted: Any) -> Any:
        """What ``seed.py`` makes of these wishes."""
        return json.loads(self.run(str(_SEED), stdin=json.dumps(wanted)))

    def query(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows as the schema's owner sees them: committed ones."""
        with psycopg.connect(self.postgres.url("payments_owner", DATABASE)) as connection:
            return connection.execute(statement, params).fetchall()

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Python in the site's environment, to its end; AssertionError unless it ends well. What it said."""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", *arguments],
            cwd=ROOT,
            env=self.environ | {"PYTHONPATH": str(ROOT)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def web(self, **environ: str) -> Iterator[Web]:
        """gunicorn, ready; a test that kills it may start it again."""
        self._processes += 1
        running = Web(self.home / f"web-{self._processes}.log", self.environ | environ)
        try:
            running.start()
            yield running
        finally:
            running.stop()

    @contextmanager
    def worker(self, **environ: str) -> Iterator[Worker]:
        """The worker, ready; a test that kills it may start it again."""
        self._processes += 1
        running = Worker(self.home / f"worker-{self._processes}.log", self.environ | environ)
        try:
            running.start()
            yield running
        finally:
            running.stop()

    def digest(self, raw: bytes) -> str:
        """The header DIGEST with which Conekta signs ``raw``."""
        return base64.b64encode(self.conekta_key.sign(raw, padding.PKCS1v15(), hashes.SHA256())).decode()


def through(url: str, port: int) -> str:
    """The same address at another port: that of a proxy."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition(":")[0] + f":{port}").geturl()


@contextmanager
def build(home: Path) -> Iterator[House]:
    """A released, seeded house under ``home``, its PostgreSQL and Redis running; everything is gone afterwards."""
    postgres = PrivatePostgres(home / "postgres", run_dir=home / "run", durable=True)
    redis = EmbeddedRedis(home / "redis", run_dir=home / "run")
    try:
        postgres.start()
        postgres.ensure_database(DATABASE)
        redis.start()
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        public_key = key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
        environ = {
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "payments_site.settings.test",
            "SECRET_KEY": "test-only-" + "0123456789" * 5,
            "ALLOWED_HOSTS": "127.0.0.1",
            "BASE_URL": "http://127.0.0.1",
            "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "MEDIA_ROOT": str(home / "media"),
            "DATABASE_URL": postgres.url("payments_app", DATABASE),
            "REDIS_URL": redis.url,
            "WEB_CONCURRENCY": "2",
        }
        house = House(home, postgres, redis, environ, key, basic("stp-test", "stp-secret-of-the-faults"))
        house.environ["RELEASE_DATABASE_URL"] = postgres.url("payments_owner", DATABASE)
        house.run("manage.py", "release")
        del house.environ["RELEASE_DATABASE_URL"]
        given = {"user": "stp-test", "secret": "stp-secret-of-the-faults", "public_key": public_key}
        house.api_secret = house.seed(**given)["secret"]
        yield house
    finally:
        redis.stop()
        postgres.stop()
        postgres.remove()
