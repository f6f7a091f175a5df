"""Child process of ``bench.growth`` for one database: seeds it, or answers ``[job, requests]`` lines with figures."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import os
import random
import statistics
import sys
import time
from pathlib import Path

import django
import psycopg

KEY = "sk_test_" + base64.urlsafe_b64encode(hashlib.sha256(b"growth").digest()).decode().rstrip("=")
STAFF = "staff"


def people(merchants: int) -> None:
    """Create merchants, an account and a staff user; print the database ids of the first merchant and the account."""
    from django.contrib.auth.models import User

    from merchants.models import ApiKey, Merchant
    from payments.models import ProviderAccount
    from staff.services.account import OPERATOR, acting

    account = ProviderAccount.objects.create(
        provider="stp",
        livemode=False,
        name="EMPRESA_BENCH",
        webhook_username="stp",
        webhook_secret_sha256=hashlib.sha256(b"stp").hexdigest(),
        clabe_prefix="6461801570",
        clabe_sequence=1,
    )
    made = [
        Merchant.objects.create(name=f"Comercio {number}", legal_name=f"Comercio {number} SA de CV")
        for number in range(merchants)
    ]
    ApiKey.objects.create(
        merchant=made[0],
        livemode=False,
        prefix=KEY[:16],
        secret_sha256=hashlib.sha256(KEY.encode()).hexdigest(),
        scopes=["payments:read"],
    )
    with acting(OPERATOR):
        User.objects.create_superuser(STAFF)
    print(json.dumps({"merchant": made[0].pk, "account": account.pk}))


class Site:
    """The whole site in this process, called through WSGI."""

    def __init__(self) -> None:
        from django.contrib.auth.models import User
        from django.core.wsgi import get_wsgi_application
        from django.test import Client

        from core.api import cursor
        from merchants.models import Merchant
        from payments.models import Payment

        self.application = get_wsgi_application()
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(Path(os.devnull).open("w"))
        staff = Client()
        staff.force_login(User.objects.get(username=STAFF))
        self.cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in staff.cookies.items())
        merchant = Merchant.objects.order_by("id").first()
        assert merchant is not None
        own = Payment.objects.filter(merchant=merchant, livemode=False).order_by("-created_at", "-id")
        deep = own.count() // 2
        self.cursors = [
            cursor.seal([cursor.from_moment(moment), pk], "payments", (merchant.pk, False), [])
            for moment, pk in random.sample(list(own.values_list("created_at", "pk")[:deep]), min(deep, 5_000))
        ]
        self.prefixes = max(1, own.count() // 50)
        self.superuser = psycopg.connect(os.environ["GROWTH_SUPERUSER"], autocommit=True)

    def get(self, address: str, **headers: str) -> bytes:
        path, _, query = address.partition("?")
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "bench.local",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "bench.local",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": sys.stderr,
        } | headers
        statuses: list[str] = []
        answer = self.application(environ, lambda status, *_: statuses.append(status))  # type: ignore[arg-type]
        body = b"".join(answer)
        answer.close()
        if statuses != ["200 OK"]:
            raise SystemExit(f"{address}: {statuses} {body[:300]!r}")
        return body

    def payments(self, query: str, count: int) -> None:
        body = self.get(f"/v1/payments?limit=50&{query}", HTTP_AUTHORIZATION=f"Bearer {KEY}")
        assert body.count(b'"object":"payment"') == count, body[:300]

    def history(self, query: str) -> None:
        body = self.get(f"/admin/backoffice/transfer/{query}", HTTP_COOKIE=self.cookie)
        assert body.count(b"/admin/payments/payment/") >= 50, body[:300]

    def ask(self, job: str) -> None:
        if job == "E1":
            self.payments(f"cursor={random.choice(self.cursors)}", 50)
        elif job == "E2":
            self.payments(f"external_id[prefix]=lote-{random.randrange(self.prefixes):06d}-", 50)
        else:
            self.history("?p=40" if job.endswith("40") else "")

    def measure(self, job: str, requests: int) -> list[float]:
        """Per request: p50 in ms, CPU µs of this process and of its PostgreSQL sessions."""
        for _ in range(5):
            self.ask(job)
        times = []
        database, own = self.database_cpu(), time.process_time()
        for _ in range(requests):
            began = time.perf_counter()
            self.ask(job)
            times.append(time.perf_counter() - began)
        own, database = time.process_time() - own, self.database_cpu() - database
        return [statistics.median(times) * 1e3, own / requests * 1e6, database / requests * 1e6]

    def database_cpu(self) -> float:
        sessions = self.superuser.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = 'payments_app'"
        ).fetchall()
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for (pid,) in sessions) / 1e9


def main(command: str, *arguments: str) -> None:
    django.setup()
    if command == "people":
        people(int(arguments[0]))
        return
    site = Site()
    for line in sys.stdin:
        print(json.dumps(site.measure(*json.loads(line))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
