"""Commands for ``bench/plugin.py`` that need the project: a seeded template, requests, a server, a final check.

    python -m bench.product template NAME          1,000,000 payments of 100 merchants, 400,000 of them open OXXO orders
    python -m bench.product requests JOB [--hot]   length-prefixed raw HTTP requests on standard output
    python -m bench.product serve SERVER PORT DB   gunicorn or granian, on a database of the cluster
    python -m bench.product check DB               counts as JSON

``BENCH_HOME`` holds keys and logs, ``BENCH_CLUSTER`` is host:port of a cluster in which ``bench`` is a superuser.
``BENCH_POOL`` (default 3) and ``BENCH_GRANIAN_THREADS`` (default 2) size the two processes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from psycopg import sql

from bench.server import tend
from payments_site.embedded.redis import EmbeddedRedis

ROOT = Path(__file__).resolve().parent.parent
HOME = Path(os.environ["BENCH_HOME"])
CLUSTER = os.environ["BENCH_CLUSTER"]
MERCHANTS = 100
PAYMENTS = 1_000_000
OPEN = 400_000
for knob, size in (("BENCH_POOL", "3"), ("BENCH_GRANIAN_THREADS", "2")):
    os.environ.setdefault(knob, size)


def url(role: str, database: str) -> str:
    return f"postgresql://{role}@{CLUSTER}/{database}"


def environ(database: str) -> dict[str, str]:
    """Environment variables of the product's processes; rate limits are raised, not removed."""
    return {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "bench.settings",
        "SECRET_KEY": "bench-only-" + "0123456789" * 5,
        "FIELD_ENCRYPTION_KEYS": secret("fernet", lambda: Fernet.generate_key()).decode(),
        "BASE_URL": "http://bench.local",
        "ALLOWED_HOSTS": "*",
        "MEDIA_ROOT": str(HOME / "media"),
        "DATABASE_URL": url("payments_app", database),
        "RELEASE_DATABASE_URL": url("payments_owner", database),
        "DATABASE_POOL_SIZE": os.environ["BENCH_POOL"],
        "REDIS_URL": os.environ.get("BENCH_REDIS", "redis://127.0.0.1:1/0"),
        "METRICS_TOKEN": "bench",
    } | dict.fromkeys(("RATE_LIMIT_READ", "RATE_LIMIT_WRITE", "RATE_LIMIT_TEST"), "999999/s")


def secret(name: str, make: Any) -> bytes:
    """A secret that is the same in every run."""
    path = HOME / name
    if not path.exists():
        path.write_bytes(make())
    return path.read_bytes()


def webhook_key() -> rsa.RSAPrivateKey:
    def make() -> bytes:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.PrivateFormat.PKCS8
        return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())

    key = serialization.load_pem_private_key(secret("webhook.pem", make), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def api_key(merchant: int) -> str:
    digest = hashlib.sha256(b"merchant %d" % merchant).digest()
    return "sk_test_" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


# --- the template


def template(name: str) -> None:
    with psycopg.connect(url("bench", "postgres"), autocommit=True) as cluster:
        if cluster.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return
        for role in ("payments_owner", "payments_app"):
            if not cluster.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                cluster.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        cluster.execute("DROP DATABASE IF EXISTS payments_unfinished WITH (FORCE)")
        cluster.execute("CREATE DATABASE payments_unfinished OWNER payments_owner")
        env = environ("payments_unfinished")
        subprocess.run([sys.executable, "-W", "ignore", "manage.py", "release"], cwd=ROOT, env=env, check=True)
        subprocess.run([sys.executable, "-m", "bench.product", "seed"], cwd=ROOT, env=os.environ | env, check=True)
        cluster.execute(sql.SQL("ALTER DATABASE payments_unfinished RENAME TO {}").format(sql.Identifier(name)))


def seed() -> None:
    """Create merchants and provider accounts by the models, a payment of each method, and a million copies."""
    import django

    django.setup()
    from django.db import connections, transaction

    from core import clock
    from core.state import Origin, TransitionRow
    from merchants.models import ApiKey, Merchant
    from payments.models import FeeRule, Payment, ProviderAccount
    from payments.services import payment as payment_service

    public = (
        webhook_key()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    ProviderAccount.objects.create(
        provider="stp",
        livemode=False,
        name="EMPRESA_BENCH",
        webhook_username="stp",
        webhook_secret_sha256=hashlib.sha256(b"stp").hexdigest(),
        clabe_prefix="6461801570",
        clabe_sequence=1,
    )
    ProviderAccount.objects.create(
        provider="conekta",
        livemode=False,
        name="Conekta",
        base_url="http://127.0.0.1:9/conekta",
        credentials={"api_key": "key_bench"},
        webhook_public_keys=[public.decode()],
    )
    for number in range(MERCHANTS):
        merchant = Merchant.objects.create(name=f"Comercio {number}", legal_name=f"Comercio {number} SA de CV")
        for method in ("spei", "oxxo"):
            FeeRule.objects.create(merchant=merchant, method=method, percent="1.5", fixed=0)
        plain = api_key(number)
        ApiKey.objects.create(
            merchant=merchant,
            livemode=False,
            prefix=plain[:16],
            secret_sha256=hashlib.sha256(plain.encode()).hexdigest(),
            scopes=["payments:read", "payments:write"],
        )
    with transaction.atomic():
        for method in Payment.Method:
            wanted = payment_service.NewPayment(
                method=method, amount=10_000, expires_at=clock.now() + timedelta(days=3), customer_name="JUAN PEREZ"
            )
            payment_service.create(merchant, livemode=False, wanted=wanted, origin=Origin(TransitionRow.Cause.API, "k"))
    connections.close_all()
    with psycopg.connect(url("bench", "payments_unfinished"), autocommit=True) as database:
        _copy_payments(database, [m.pk for m in Merchant.objects.order_by("pk")])
        tend(database)


def _copy_payments(database: psycopg.Connection[Any], merchants: list[int]) -> None:
    """Copy the service's two rows with all their columns."""
    columns = [
        name
        for (name,) in database.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'payments_payment'"
            " AND is_generated = 'NEVER' AND column_name <> 'id' ORDER BY ordinal_position"
        )
    ]
    own = {
        "public_id": "'pay_01' || substr(md5(n::text), 1, 24)",
        "merchant_id": f"{min(merchants)} + n %% {MERCHANTS}",
        "status": f"CASE WHEN n <= {OPEN} THEN 'pending' WHEN n %% 2 = 0 THEN 'failed' ELSE 'expired' END",
        "amount": "10000 + n %% 90000",
        "external_id": "'ord-' || substr(md5(n::text), 1, 12)",
        "order_id": "CASE WHEN p.method = 'oxxo' THEN 'ord_' || lpad(n::text, 9, '0') END",
        "voucher_reference": "CASE WHEN p.method = 'oxxo' THEN lpad(n::text, 14, '9') ELSE '' END",
        "clabe": "CASE WHEN p.method = 'spei' THEN '64618015' || lpad(n::text, 10, '0') END",
        "reference_number": "CASE WHEN p.method = 'spei' THEN lpad(n::text, 7, '0') ELSE '' END",
        "description": "'Pedido de prueba numero ' || n",
        "created_at": f"now() - ({PAYMENTS + 1} - n) * interval '20 s'",
    }
    method = f"CASE WHEN n <= {OPEN} OR n %% 3 = 0 THEN 'oxxo' ELSE 'spei' END"
    values = ", ".join(own.get(column, f"p.{column}") for column in columns)
    database.execute("ALTER TABLE payments_payment DISABLE TRIGGER USER")
    database.execute(
        f"INSERT INTO payments_payment ({', '.join(columns)}) SELECT {values}"
        f" FROM generate_series(1, {PAYMENTS}) n JOIN payments_payment p ON p.method = {method} ORDER BY n".replace(
            "%%", "%"
        )
    )
    guards = database.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'payments_payment'::regclass AND NOT tgisinternal"
    )
    for (guard,) in guards.fetchall():
        database.execute(sql.SQL("ALTER TABLE payments_payment ENABLE ALWAYS TRIGGER {}").format(sql.Identifier(guard)))


# --- the requests


def http(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: bench.local", *(f"{k}: {v}" for k, v in headers.items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def requests(job: str, *, hot: bool) -> Iterator[bytes]:
    rnd = random.Random(7)
    if job in ("A", "B", "C"):
        key = webhook_key()
        if hot and job == "B":  # all orders of one merchant
            numbers = range(MERCHANTS, OPEN + 1, MERCHANTS)
        else:
            numbers = range(1, {"A": 150_000, "B": 120_000, "C": 300}[job] + 1)
        for number in numbers:
            raw = conekta_event(number, "charge.created" if job == "A" else "order.paid")
            digest = base64.b64encode(key.sign(raw, padding.PKCS1v15(), hashes.SHA256())).decode()
            yield http("POST", "/webhooks/conekta", {"DIGEST": digest}, raw)
    elif job == "D":
        for n in range(120_000):
            body = {
                "method": "spei",
                "amount": 10_000 + n,
                "currency": "MXN",
                "external_id": "new-" + hashlib.md5(b"%d" % n, usedforsecurity=False).hexdigest()[:10],
                "description": f"Pedido de prueba numero {n}",
            }
            headers = {
                "Authorization": f"Bearer {api_key(0 if hot else n % MERCHANTS)}",
                "Idempotency-Key": f"idem-{n}-{rnd.getrandbits(64):x}",
            }
            yield http("POST", "/v1/payments", headers, json.dumps(body).encode())
    else:
        cursors = list(random_cursors(rnd)) if job == "E1" else []
        for _ in range(20_000):
            if job == "E1":
                merchant, cursor = rnd.choice(cursors)
                query = f"cursor={cursor}"
            else:
                merchant, query = rnd.randrange(MERCHANTS), f"external_id%5Bprefix%5D=ord-{rnd.getrandbits(8):02x}"
            yield http("GET", f"/v1/payments?limit=50&{query}", {"Authorization": f"Bearer {api_key(merchant)}"})


def conekta_event(n: int, event_type: str) -> bytes:
    """Conekta's event about the n-th open order."""
    order_id, amount = f"ord_{n:09d}", 10_000 + n % 90_000
    paid_at = int(secret("paid_at", lambda: str(int(time.time())).encode()))  # the same bytes for every job
    charge = {
        "id": f"chr_{n:09d}",
        "object": "charge",
        "status": "paid",
        "amount": amount,
        "currency": "MXN",
        "order_id": order_id,
        "paid_at": paid_at,
        "livemode": False,
        "payment_method": {"object": "cash_payment", "type": "oxxo", "reference": f"{n:014d}"},
    }
    order = {
        "id": order_id,
        "object": "order",
        "amount": amount,
        "currency": "MXN",
        "payment_status": "paid",
        "livemode": False,
        "metadata": {},
        "charges": {"object": "list", "data": [charge]},
    }
    body = {
        "data": {"object": charge if event_type.startswith("charge.") else order, "previous_attributes": {}},
        "livemode": False,
        "webhook_status": "pending",
        "id": f"evt_{event_type[0]}{n}",
        "object": "event",
        "type": event_type,
        "created_at": paid_at,
    }
    return json.dumps(body).encode()


def random_cursors(rnd: random.Random) -> Iterator[tuple[int, str]]:
    """(merchant, cursor) of random pages, with cursors in the API's format."""
    os.environ.update(environ("payments_tpl"))
    from core.api import cursor

    with psycopg.connect(url("bench", "payments_tpl")) as database:
        rows = database.execute(
            "SELECT p.created_at, p.id, p.merchant_id, p.merchant_id - (SELECT min(id) FROM merchants_merchant)"
            " FROM payments_payment p TABLESAMPLE SYSTEM (1) WHERE p.id > 20000"
        ).fetchall()
    for created_at, pk, merchant_id, merchant in rows:
        yield merchant, cursor.seal([cursor.from_moment(created_at), pk], "payments", (merchant_id, False), [])


# --- the server


def serve(server: str, port: str, database: str) -> None:
    """Replace this process by the server, with Redis as a child process; SIGTERM ends both."""
    redis = EmbeddedRedis(HOME / "redis", run_dir=HOME / "run")
    redis.start()
    os.environ["BENCH_REDIS"] = redis.url
    env = environ(database)
    os.chdir(ROOT)
    if server == "gunicorn":
        env |= {"WEB_BIND": f"127.0.0.1:{port}", "WEB_CONCURRENCY": "1"}
        one = [sys.executable, "-m", "gunicorn", "-c", "payments_site/gunicorn.conf.py", "--reuse-port"]
        one += ["--keep-alive", "60", "payments_site.wsgi"]
        two = """trap 'kill $first $second' TERM; "$@" & first=$!; "$@" & second=$!; wait; wait"""
        os.execve("/bin/sh", ["sh", "-c", two, "sh", *one], env)
    threads = os.environ["BENCH_GRANIAN_THREADS"]
    counters = HOME / "counters"
    counters.mkdir(exist_ok=True)
    env |= {"PROMETHEUS_MULTIPROC_DIR": str(counters)}
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", port]
    command += ["--workers", "2", "--blocking-threads", threads, "--workers-kill-timeout", "5", "--no-ws"]
    os.execve(sys.executable, [*command, "payments_site.wsgi:application"], env)


def check(database: str) -> dict[str, int]:
    """Counts that must be zero, and the numbers of processed events and created payments."""
    queries = {
        "ledger_sum": "SELECT coalesce(sum(amount), 0) FROM ledger_entry",
        "bad_transitions": "SELECT count(*) FROM payments_payment p WHERE status = 'completed' AND 1 <>"
        " (SELECT count(*) FROM payments_paymenttransition t WHERE t.payment_id = p.id AND to_status = 'completed')",
        "entries_minus_4x": "SELECT (SELECT count(*) FROM ledger_entry)"
        " - 4 * (SELECT count(*) FROM payments_payment WHERE status = 'completed')",
        "processed_minus_completed": "SELECT (SELECT count(*) FROM webhooks_providerevent WHERE status = 'processed')"
        " - (SELECT count(*) FROM payments_payment WHERE status = 'completed')",
        "dup_events": "SELECT count(*) - count(DISTINCT (account_id, event_id)) FROM webhooks_providerevent",
        "keys_without_payment": "SELECT count(*) FROM merchants_idempotencykey WHERE object_id = ''",
        "processed": "SELECT count(*) FROM webhooks_providerevent WHERE status = 'processed'",
        "created": f"SELECT count(*) - {PAYMENTS + 2} FROM payments_payment",
    }
    with psycopg.connect(url("bench", database)) as connection:
        return {name: int(connection.execute(query).fetchone()[0]) for name, query in queries.items()}  # type: ignore[index]


def main(command: str, *arguments: str) -> None:
    HOME.mkdir(parents=True, exist_ok=True)
    if command == "template":
        template(*arguments)
    elif command == "seed":
        seed()
    elif command == "requests":
        for request in requests(arguments[0], hot="--hot" in arguments):
            sys.stdout.buffer.write(struct.pack("!I", len(request)) + request)
    elif command == "serve":
        serve(*arguments)
    else:
        print(json.dumps(check(*arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])
