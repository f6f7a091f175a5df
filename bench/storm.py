"""Environment for benchmarks of the inbox: merchants, open OXXO orders, the events that pay them, site processes."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from psycopg import sql

from bench.server import DATABASE, ROOT, released, tend
from payments_site.embedded.postgres import EmbeddedPostgres
from payments_site.embedded.process import ManagedProcess, free_port
from payments_site.embedded.redis import EmbeddedRedis

AMOUNT = 10_000
_START_SECONDS = 60


@dataclass
class Storm:
    """A released PostgreSQL with ``orders`` open OXXO orders, a Redis, and Conekta's signing key."""

    server: EmbeddedPostgres
    home: Path
    orders: int
    key: rsa.RSAPrivateKey

    def connect(self, role: str = "payments_owner") -> psycopg.Connection[Any]:
        return psycopg.connect(self.server.url(role, DATABASE), autocommit=True)

    def one(self, query: str) -> Any:
        with self.connect() as connection:
            row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]

    def process(self, name: str, *command: str, **environ: str) -> ManagedProcess:
        """Start one of the site's processes."""
        return ManagedProcess.start(
            name,
            [sys.executable, "-W", "ignore", *command],
            run_dir=self.home / "run",
            log=self.home / f"{name}.log",
            env=os.environ | environ,
            cwd=ROOT,
        )

    @contextmanager
    def web(self, *, workers: int, pool: int) -> Iterator[int]:
        """Run gunicorn as in production; yields its port."""
        port = free_port()
        size = {"WEB_CONCURRENCY": str(workers), "DATABASE_POOL_SIZE": str(pool)}
        size["WEB_BIND"] = f"127.0.0.1:{port}"
        command = ("-m", "gunicorn", "-c", "payments_site/gunicorn.conf.py", "payments_site.wsgi")
        running = self.process("web", *command, ALLOWED_HOSTS="127.0.0.1", **size)
        try:
            running.wait_ready(lambda: _answers(port, workers), _START_SECONDS)
            yield port
        finally:
            running.stop()

    @contextmanager
    def workers(self, count: int) -> Iterator[list[ManagedProcess]]:
        """Run ``count`` processes of ``manage.py worker``; entered when all are ready."""
        running = [self.process(f"worker-{number}", "manage.py", "worker", "--grace", "2") for number in range(count)]
        try:
            for one in running:
                one.wait_ready(partial(_is_ready, one), _START_SECONDS)
            yield running
        finally:
            for one in running:
                one.stop()

    def paid_event(self, number: int) -> tuple[str, bytes]:
        """(id, body) of Conekta's ``order.paid`` for the ``number``-th order."""
        now, order_id, event_id = int(time.time()), f"ord_{number:09d}", f"evt_paid_{number:09d}"
        charge = {
            "id": f"chr_{number:09d}",
            "object": "charge",
            "status": "paid",
            "amount": AMOUNT,
            "currency": "MXN",
            "order_id": order_id,
            "paid_at": now - 5,
            "livemode": False,
            "payment_method": {"object": "cash_payment", "type": "oxxo", "reference": f"{number:014d}"},
        }
        order = {
            "id": order_id,
            "object": "order",
            "amount": AMOUNT,
            "currency": "MXN",
            "payment_status": "paid",
            "livemode": False,
            "metadata": {},
            "charges": {"object": "list", "data": [charge]},
        }
        body = {
            "data": {"object": order, "previous_attributes": {}},
            "livemode": False,
            "id": event_id,
            "object": "event",
            "type": "order.paid",
            "created_at": now,
        }
        return event_id, json.dumps(body).encode()

    def signed_request(self, number: int) -> bytes:
        """The raw HTTP request with which Conekta sends that event."""
        _, raw = self.paid_event(number)
        digest = base64.b64encode(self.key.sign(raw, padding.PKCS1v15(), hashes.SHA256())).decode()
        head = [
            "POST /webhooks/conekta HTTP/1.1",
            "Host: 127.0.0.1",
            "Content-Type: application/json",
            f"Content-Length: {len(raw)}",
            f"DIGEST: {digest}",
        ]
        return "\r\n".join(head).encode() + b"\r\n\r\n" + raw

    def audit(self) -> str:
        """A summary: the result of ``manage.py audit_ledger``, and whether each processed event completed a payment."""
        completed = self.one("SELECT count(*) FROM payments_payment WHERE status = 'completed'")
        processed = self.one("SELECT count(*) FROM webhooks_providerevent WHERE status = 'processed'")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "manage.py", "audit_ledger"], cwd=ROOT, capture_output=True, check=False
        )
        books = "the books balance" if done.returncode == 0 else "THE BOOKS DO NOT BALANCE"
        agree = "" if completed == processed else " THE COUNTS DIFFER;"
        return f"{processed:,} events processed, {completed:,} payments completed;{agree} {books}"


@contextmanager
def storm(*, orders: int, merchants: int) -> Iterator[Storm]:
    """The environment without the site's processes; removed at the end. Sets Django's environment variables."""
    with released() as server:
        home = Path(os.environ["MEDIA_ROOT"]).parent
        redis = EmbeddedRedis(home / "redis", run_dir=home / "run")
        redis.start()
        try:
            os.environ["REDIS_URL"] = redis.url
            found = Storm(server, home, orders, rsa.generate_private_key(public_exponent=65537, key_size=2048))
            _seed(found, merchants)
            yield found
        finally:
            redis.stop()


def _answers(port: int, workers: int) -> bool:
    """True if the site answers on so many concurrent connections that all its processes must be up."""
    connections = [HTTPConnection("127.0.0.1", port, timeout=10) for _ in range(4 * workers)]
    try:
        for connection in connections:
            connection.request("GET", "/healthz")
        return all(connection.getresponse().status == 200 for connection in connections)
    except (OSError, HTTPException):
        return False
    finally:
        for connection in connections:
            connection.close()


def _is_ready(worker: ManagedProcess) -> bool:
    return "worker: ready" in worker.log.read_text()


def _seed(found: Storm, merchants: int) -> None:
    """Create merchants and Conekta's account by the models, one order by the service, and copies of the order."""
    import django

    django.setup()
    from django.db import connections, transaction

    from core import clock
    from core.state import Origin, TransitionRow
    from merchants.models import Merchant
    from payments.models import FeeRule, Payment, ProviderAccount
    from payments.services import payment as payment_service

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = found.key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    ProviderAccount.objects.create(
        provider="conekta",
        livemode=False,
        name="Conekta",
        base_url="http://127.0.0.1:9/conekta",
        credentials={"api_key": "key_bench"},
        webhook_public_keys=[public],
    )
    made = [
        Merchant.objects.create(name=f"Comercio {number}", legal_name=f"Comercio {number} SA de CV")
        for number in range(merchants)
    ]
    for merchant in made:
        FeeRule.objects.create(merchant=merchant, method="oxxo", percent="2.6", fixed=300)
    wanted = payment_service.NewPayment(
        method=Payment.Method.OXXO, amount=AMOUNT, expires_at=clock.now() + timedelta(days=3)
    )
    with transaction.atomic():
        first = payment_service.create(
            made[0], livemode=False, wanted=wanted, origin=Origin(TransitionRow.Cause.API, "key_bench")
        )
    pk = first.pk
    for connection in connections.all():
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
    with found.connect("postgres") as database:
        _copy(database, pk, [merchant.pk for merchant in made], found.orders)


def _copy(database: psycopg.Connection[Any], pk: int, merchants: list[int], orders: int) -> None:
    """Copy the service's row with all its columns, with the guards disabled."""
    rows = database.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'payments_payment'"
        " AND is_generated = 'NEVER' AND column_name <> 'id' ORDER BY ordinal_position"
    )
    own = {
        "public_id": "'pay_01' || substr(md5(n::text), 1, 24)",
        "merchant_id": f"(ARRAY{merchants}::bigint[])[1 + n % {len(merchants)}]",
        "order_id": "'ord_' || lpad(n::text, 9, '0')",
        "voucher_reference": "lpad(n::text, 14, '9')",
    }
    columns = [name for (name,) in rows]
    values = ", ".join(own.get(column, f"p.{column}") for column in columns)
    database.execute("ALTER TABLE payments_payment DISABLE TRIGGER USER")
    database.execute(
        f"INSERT INTO payments_payment ({', '.join(columns)}) SELECT {values}"
        f" FROM generate_series(1, {orders}) n, payments_payment p WHERE p.id = {pk} ORDER BY n"
    )
    guards = database.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'payments_payment'::regclass AND NOT tgisinternal"
    )
    for (guard,) in guards.fetchall():
        database.execute(sql.SQL("ALTER TABLE payments_payment ENABLE ALWAYS TRIGGER {}").format(sql.Identifier(guard)))
    tend(database)
