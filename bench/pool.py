"""Benchmark: connection pools of 5, 10, 20 and 50 in one web process with 50 concurrent clients.

    python -m bench.pool [--seconds 3] [--rounds 2]

Two loads, interleaved by round: 50 clients that only read, and 40 clients that create OXXO payments while Conekta takes
300 ms for each, together with 10 that read.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.server import ROOT, released
from payments_site.embedded.process import free_port

POOLS = (5, 10, 20, 50)
THREADS = 50
CONEKTA_TAKES = 0.3
_SEED = """
import django, json, sys; django.setup()
from merchants.models import Merchant
from merchants.services import api_key
from payments.models import ProviderAccount
merchant = Merchant.objects.create(name="Tienda", legal_name="Tienda SA de CV")
ProviderAccount.objects.create(provider="conekta", livemode=False, name="Conekta", base_url=sys.argv[1] + "/conekta",
    credentials={"api_key": "key_bench_0123456789abcdef"})
print(json.dumps(api_key.create(merchant, livemode=False)[1]))
"""


class SlowConekta(BaseHTTPRequestHandler):
    """A proxy that delays every request to the simulator by ``CONEKTA_TAKES`` seconds."""

    protocol_version = "HTTP/1.1"
    simulator = ""

    def do_POST(self) -> None:  # noqa: N802 - the library's name
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(CONEKTA_TAKES)
        kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        request = urllib.request.Request(self.simulator + self.path, body or None, kept, method=self.command)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                self._pass_on(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            self._pass_on(error.code, error.read())

    do_GET = do_POST  # noqa: N815

    def _pass_on(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Log nothing."""


@dataclass
class Load:
    """Results of a group of clients: statuses and response times in seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def add(self, other: Load) -> None:
        self.statuses += other.statuses
        self.seconds += other.seconds

    def quantile(self, share: float) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * share)] * 1000 if self.seconds else 0.0


def client(port: int, key: str, until: float, *, creates: bool) -> Load:
    """One client with a keep-alive connection."""
    load = Load()
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    body = json.dumps({"method": "oxxo", "amount": 10_000, "currency": "MXN"})
    while time.monotonic() < until:
        began = time.monotonic()
        if creates:
            connection.request("POST", "/v1/payments", body, headers | {"Idempotency-Key": secrets.token_hex(12)})
        else:
            connection.request("GET", "/v1/balance", headers=headers)
        answer = connection.getresponse()
        answer.read()
        load.statuses[answer.status] += 1
        load.seconds.append(time.monotonic() - began)
    connection.close()
    return load


def press(port: int, key: str, seconds: float, *, creators: int, readers: int) -> tuple[Load, Load]:
    """Run both groups concurrently for ``seconds``; the results of (creators, readers)."""
    until = time.monotonic() + seconds
    created, read = Load(), Load()
    with ThreadPoolExecutor(creators + readers) as threads:
        running = [(created, threads.submit(client, port, key, until, creates=True)) for _ in range(creators)]
        running += [(read, threads.submit(client, port, key, until, creates=False)) for _ in range(readers)]
        for total, future in running:
            total.add(future.result())
    return created, read


def serve(environ: dict[str, str], pool: int, log: Path) -> tuple[subprocess.Popen[bytes], int]:
    port = free_port()
    more = {"WEB_BIND": f"127.0.0.1:{port}", "WEB_CONCURRENCY": "1", "WEB_CONNECTIONS": str(THREADS)}
    with log.open("ab") as out:
        web = subprocess.Popen(
            [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "gunicorn",
                "-c",
                "payments_site/gunicorn.conf.py",
                "payments_site.wsgi",
            ],
            cwd=ROOT,
            env=environ | more | {"DATABASE_POOL_SIZE": str(pool)},
            stdout=out,
            stderr=out,
        )
    _wait_for(f"http://127.0.0.1:{port}/healthz")
    return web, port


def _wait_for(address: str) -> None:
    end = time.monotonic() + 40
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    chosen = parser.parse_args()
    with released() as _, tempfile.TemporaryDirectory(prefix="payments-pool-") as folder:
        log = Path(folder) / "log"
        sandbox_port = free_port()
        with log.open("ab") as out:
            simulator = subprocess.Popen(
                [sys.executable, "-m", "sandbox", "--port", str(sandbox_port), "--data", f"{folder}/sandbox"],
                cwd=ROOT,
                stdout=out,
                stderr=out,
            )
        SlowConekta.simulator = f"http://127.0.0.1:{sandbox_port}"
        slow = ThreadingHTTPServer(("127.0.0.1", 0), SlowConekta)
        slow.daemon_threads = True
        threading.Thread(target=slow.serve_forever, daemon=True).start()
        try:
            _wait_for(f"http://127.0.0.1:{sandbox_port}/_sim/health")
            environ = dict(os.environ) | {"ALLOWED_HOSTS": "127.0.0.1", "PYTHONPATH": str(ROOT)}
            environ |= dict.fromkeys(("RATE_LIMIT_READ", "RATE_LIMIT_WRITE"), "1000000000/m")
            address = f"http://127.0.0.1:{slow.server_port}"
            seeded = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", _SEED, address],
                cwd=ROOT,
                env=environ,
                capture_output=True,
                text=True,
                check=True,
            )
            key = json.loads(seeded.stdout)
            results: dict[int, list[tuple[Load, Load, Load]]] = {pool: [] for pool in POOLS}
            for _ in range(chosen.rounds):
                for pool in POOLS:
                    web, port = serve(environ, pool, log)
                    try:
                        press(port, key, 0.5, creators=2, readers=10)
                        _, alone = press(port, key, chosen.seconds, creators=0, readers=50)
                        results[pool].append((alone, *press(port, key, chosen.seconds, creators=40, readers=10)))
                    finally:
                        web.terminate()
                        web.wait()
            show(results, chosen.seconds)
        finally:
            slow.shutdown()
            simulator.terminate()
            simulator.wait()


def show(results: dict[int, list[tuple[Load, Load, Load]]], seconds: float) -> None:
    print("| pool | reads alone/s | p99 ms | vouchers/s | p99 ms | 503 | concurrent reads/s | p50 ms | p99 ms | 503 |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for pool, rounds in results.items():
        cells: list[str] = []
        for column in range(3):
            loads = [found[column] for found in rounds]
            good = statistics.median(load.statuses[200] + load.statuses[201] for load in loads) / seconds
            refused, all_ = sum(load.statuses[503] for load in loads), sum(load.statuses.total() for load in loads)
            cells.append(f"{good:.0f}")
            if column == 2:
                cells.append(f"{statistics.median(load.quantile(0.5) for load in loads):.0f}")
            cells.append(f"{statistics.median(load.quantile(0.99) for load in loads):.0f}")
            if column > 0:
                cells.append(f"{100 * refused / max(1, all_):.0f} %")
            others = {status for load in loads for status in load.statuses} - {200, 201, 503}
            if others:
                raise RuntimeError(f"pool {pool}: statuses {others}")
        print(f"| {pool} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
