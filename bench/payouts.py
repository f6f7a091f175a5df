"""Benchmark: payouts that one worker sends: ``.venv/bin/python -m bench.payouts``.

    --payouts 1000       that are due when the worker starts
    --answer 0.02        seconds until the simulated STP answers
    --merchants 20
    --rounds 2           each with payouts of its own; the bare client runs before each of them

Runs on its own PostgreSQL and Redis, with the simulator as STP: it verifies every signature. The bare client is STP's
adapter alone, without database and books, with as many threads as the worker's lane has jobs: the limit that machine
and simulator set. A round lasts from the first request to the last answer. Fails if an order was sent twice or not at
all, or if the books do not balance.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.server import ROOT, released
from bench.storm import Storm
from payments_site.embedded.process import free_port
from payments_site.embedded.redis import EmbeddedRedis
from payments_site.env import LANES

COMPANY, PREFIX, ORDERING, BENEFICIARY = "EMPRESA_BENCH", "6461801104", "646180110400000007", "012180015025335996"
AMOUNT = 10_050
LANE = "providers"


@dataclass(frozen=True, slots=True)
class Round:
    """Orders per second of the bare client and of the worker; the worker's CPU ms per payout and most memory, MiB."""

    bare: float
    worker: float
    cpu: float
    memory: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.payouts")
    parser.add_argument("--payouts", type=int, default=1_000)
    parser.add_argument("--answer", type=float, default=0.02)
    parser.add_argument("--merchants", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with environment(key) as (site, port):
        tell(port, "PUT", "/_sim/stp/config", company(key))
        merchants = seed(site, port, options.merchants)
        found = []
        for number in range(options.rounds):
            slow_down(port, options.answer, 2 * options.payouts)
            bare = send_bare(key, port, options.payouts)
            create(merchants, options.payouts)
            found.append(measure(site, options.payouts, bare))
            progress(f"round {number + 1}: {found[-1]}")
        check(site, port, options.payouts * options.rounds)
    say("| round | bare client/s | worker/s | worker / bare | worker's CPU, ms a payout | its most memory, MiB |")
    say("|---|---|---|---|---|---|")
    for number, one in enumerate(found):
        ratio = one.worker / one.bare
        say(f"| {number + 1} | {one.bare:.0f} | {one.worker:.0f} | {ratio:.2f} | {one.cpu:.1f} | {one.memory:.0f} |")


@contextmanager
def environment(key: rsa.RSAPrivateKey) -> Iterator[tuple[Storm, int]]:
    """The environment without a worker, and the simulator's port; removed at the end."""
    with released() as server:
        home = Path(os.environ["MEDIA_ROOT"]).parent
        redis, port = EmbeddedRedis(home / "redis", run_dir=home / "run"), free_port()
        (home / "keys").mkdir()
        redis.start()
        try:
            os.environ.update(REDIS_URL=redis.url, STP_SIGNING_KEYS=str(home / "keys"))
            site = Storm(server, home, 0, key)
            simulator = site.process("sandbox", "-m", "sandbox", "--port", str(port), "--data", str(home / "sandbox"))
            try:
                simulator.wait_ready(lambda: _is_up(port), 60)
                yield site, port
            finally:
                simulator.stop()
        finally:
            redis.stop()


def seed(site: Storm, port: int, count: int) -> list[Any]:
    """STP's account with its key, and merchants with money."""
    import django

    django.setup()
    from django.db import transaction

    from core import calendar, clock, ids
    from ledger.services.journal import PostingTime
    from ledger.services.postings import pay_in
    from merchants.models import Merchant
    from payments.models import FeeRule, ProviderAccount

    account = ProviderAccount.objects.create(
        provider="stp",
        livemode=False,
        name=COMPANY,
        base_url=f"http://127.0.0.1:{port}/stp",
        clabe_prefix=PREFIX,
        clabe_sequence=1,
        ordering_clabe=ORDERING,
        ordering_name="EMPRESA DEMO",
        ordering_tax_id="EDE010101AB1",
    )
    (site.home / "keys" / f"{account.public_id}.pem").write_bytes(private_pem(site.key))
    merchants, now = [], clock.now()
    for number in range(count):
        merchant = Merchant.objects.create(name=f"Comercio {number}", legal_name=f"Comercio {number} SA de CV")
        FeeRule.objects.create(merchant=merchant, method="payout", percent=0, fixed=500)
        with transaction.atomic():
            pay_in.merchant_top_up(
                merchant,
                livemode=False,
                source=ids.new_id("deposit"),
                amount=10**9,
                when=PostingTime(now, calendar.operating_date(now)),
            )
        merchants.append(merchant)
    return merchants


def create(merchants: list[Any], count: int) -> None:
    """Payouts that are due now, made by the service."""
    from django.db import connections, transaction

    from core.state import Origin, TransitionRow
    from payments.services import payout as payout_service

    origin = Origin(TransitionRow.Cause.API, "key_bench")
    wanted = payout_service.NewPayout(amount=AMOUNT, clabe=BENEFICIARY, name="Ana Ruiz", concept="Nomina")
    for number in range(count):
        merchant = merchants[number % len(merchants)]
        with transaction.atomic():
            payout_service.create(merchant, livemode=False, wanted=wanted, maker="key_bench", origin=origin)
    for connection in connections.all():
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]


def send_bare(key: rsa.RSAPrivateKey, port: int, count: int) -> float:
    """Orders per second that STP's client sends by itself."""
    from core import calendar, clock
    from payments.providers.payout import OutgoingOrder
    from payments.providers.stp.client import StpClient

    today: date = calendar.operating_date(clock.now())
    client = StpClient(COMPANY, private_pem(key), f"http://127.0.0.1:{port}/stp")

    def send(number: int) -> str:
        order = OutgoingOrder(
            tracking_key=f"B{secrets.token_hex(10)}",
            operating_date=today,
            amount=AMOUNT,
            reference=f"po_{number}",
            beneficiary_name="Ana Ruiz",
            beneficiary_clabe=BENEFICIARY,
            beneficiary_bank="40012",
            ordering_name="EMPRESA DEMO",
            ordering_clabe=ORDERING,
            concept="Nomina",
            reference_number=1,
        )
        return str(client.send(order).outcome)

    began = time.monotonic()
    with ThreadPoolExecutor(LANES[LANE]) as pool:
        outcomes = set(pool.map(send, range(count)))
    if outcomes != {"accepted"}:
        raise SystemExit(f"the bare client's orders were {sorted(outcomes)}")
    return count / (time.monotonic() - began)


def measure(site: Storm, count: int, bare: float) -> Round:
    """Let one worker, with all of its lanes, send what is due."""
    sent = "SELECT count(*) FROM payments_payout WHERE send_outcome = 'accepted'"
    already = site.one(sent)
    since = site.one("SELECT coalesce(max(id), 0) FROM payments_providercall")
    with site.workers(1) as (worker,):
        while (done := site.one(sent) - already) == 0:
            time.sleep(0.05)
        before = _cpu(worker.pid)  # without the start of the process
        while site.one(sent) < already + count:
            time.sleep(0.1)
        status = Path(f"/proc/{worker.pid}/status").read_text()
        cpu = (_cpu(worker.pid) - before) / (count - done)
    seconds = site.one(
        "SELECT extract(epoch FROM max(began_at + duration_ms * interval '1 ms') - min(began_at))::float"
        f" FROM payments_providercall WHERE operation = 'send_payout' AND id > {since}"
    )
    peak = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    assert peak is not None
    return Round(bare, count / seconds, 1000 * cpu, int(peak[1]) / 1024)


def check(site: Storm, port: int, count: int) -> None:
    """One accepted call and one order for each payout, and books that balance."""
    calls = site.one(
        "SELECT count(DISTINCT object_id) FILTER (WHERE outcome = 'accepted') = count(*)"
        f" AND count(*) = {count} FROM payments_providercall WHERE operation = 'send_payout'"
    )
    with site.connect() as database:
        keys = {key for (key,) in database.execute("SELECT tracking_key FROM payments_payout")}
    orders = tell(port, "GET", f"/_sim/stp/orders?empresa={COMPANY}&limit=1000000", None)["data"]
    ours = [order["tracking_key"] for order in orders if order["tracking_key"] in keys]
    audit = [sys.executable, "-W", "ignore", "manage.py", "audit_ledger"]
    books = subprocess.run(audit, cwd=ROOT, capture_output=True, check=False).returncode
    if not (calls and len(keys) == count and sorted(ours) == sorted(keys) and books == 0):
        raise SystemExit(f"NOT ONCE EACH: calls {calls}, {len(keys)} payouts, {len(ours)} orders, audit {books}")
    say(f"{count:,} payouts, one order each; the books balance.\n")


def company(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    """The company's settings at the simulator: money enough, and orders that stay in flight."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    lost = {"deposits_url": "http://127.0.0.1:9/lost", "opening_balance": 10**14, "pace": 86_400}
    return {"empresa": COMPANY, "clabe_prefix": PREFIX, "public_key": public, **lost}


def slow_down(port: int, seconds: float, times: int) -> None:
    """Let the simulator wait before it answers the next orders."""
    path = "/stp/speiws/rest/ordenPago/registra"
    tell(port, "POST", "/_sim/faults", {"kind": "delay", "path": path, "seconds": seconds, "times": times})


def tell(port: int, method: str, path: str, body: Any) -> Any:
    """One request to the simulator's control API."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        raw = response.read()
        if response.status != 200:
            raise SystemExit(f"the simulator answered {response.status}: {raw[:500]!r}")
        return json.loads(raw)
    finally:
        connection.close()


def private_pem(key: rsa.RSAPrivateKey) -> bytes:
    """The key as a file holds it."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _is_up(port: int) -> bool:
    try:
        return bool(tell(port, "GET", "/_sim/health", None))
    except OSError:
        return False


def _cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
