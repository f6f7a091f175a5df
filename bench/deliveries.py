"""Benchmark of webhooks to merchants: ``.venv/bin/python -m bench.deliveries``.

    --events 3000 --rounds 3    throughput: events of a backlog, delivered by one worker, beside a bare httpx2 loop
    --rate 50 --seconds 30      latency: notices of payments at a fixed rate, from the notice to the merchant's receiver
    --others 10000              events of another merchant, inserted in the middle of a second run of the latter

Starts its own PostgreSQL, Redis, gunicorn and worker, and a receiver on loopback that answers at once; removes them.
The bare loop posts the same bodies to the same receiver over one connection that it keeps; the worker opens one for
each delivery, judges its address, signs, and writes an attempt.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from bench.open_loop import Generator, Measured, percentile, say, schedule
from bench.storm import Storm, storm
from payments_site.embedded.process import free_port

MERCHANTS = 10
_GOOD = b"HTTP/1.1 204 No Content\r\n\r\n"
_INSERT = """
    INSERT INTO merchants_event
        (public_id, merchant_id, livemode, type, object_id, object_sequence, data, created_at, sequence)
    SELECT 'evt_' || %(batch)s || n, (%(merchants)s::bigint[])[1 + n %% %(many)s], false, 'payment.completed',
        'pay_' || %(batch)s || n, 1, %(data)s, now(), 0
    FROM generate_series(1, %(count)s) n
"""


class Receiver:
    """A process that takes deliveries on loopback and notes each: its moment, event and object."""

    def __init__(self, log: Path) -> None:
        self.log, self.port = log, free_port()
        self.url = f"http://127.0.0.1:{self.port}/webhooks"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.deliveries", "receive", str(self.port), str(log)],
            env=os.environ | {"PYTHONPATH": "."},
        )

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    def arrivals(self) -> dict[str, tuple[float, str]]:
        """Event id -> moment of its first arrival (monotonic clock) and object id."""
        found: dict[str, tuple[float, str]] = {}
        for line in self.log.read_text().splitlines() if self.log.exists() else []:
            moment, event, subject = line.split()
            found.setdefault(event, (float(moment), subject))
        return found


async def receive(port: int, log: Path) -> None:
    """Serve until terminated."""
    with log.open("a", buffering=1) as lines:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while head := await reader.readuntil(b"\r\n\r\n"):
                    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                    body = json.loads(await reader.readexactly(int(fields[b"content-length"])))
                    lines.write(f"{time.monotonic()} {body['id']} {body['data']['object'].get('id', '-')}\n")
                    writer.write(_GOOD)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024)
        await server.serve_forever()


@dataclass
class Site:
    """The environment with an endpoint for each merchant."""

    storm: Storm
    receiver: Receiver
    merchants: list[int]
    other: int
    """A merchant, with an endpoint, that takes no payments."""

    def insert(self, batch: str, count: int, merchants: list[int]) -> None:
        """So many events in one transaction, as large as those of payments."""
        subject = {"id": "pay_x", "object": "payment", "description": "x" * 900}
        given = {"batch": batch, "count": count, "merchants": merchants, "many": len(merchants)}
        with self.storm.connect("payments_app") as connection:
            connection.execute(_INSERT, given | {"data": json.dumps({"object": subject, "previous": {}})})

    def arrived(self, batch: str, count: int, *, within: float = 300) -> list[float]:
        """The moments of arrival of all of a batch."""
        until = time.monotonic() + within
        while True:
            found = [moment for event, (moment, _) in self.receiver.arrivals().items() if event[4:].startswith(batch)]
            if len(found) >= count:
                return sorted(found)
            if time.monotonic() > until:
                raise SystemExit(f"{count - len(found)} of {count} events did not arrive")
            time.sleep(0.2)


@contextmanager
def site(orders: int) -> Iterator[Site]:
    os.environ["WEBHOOK_ALLOW_HTTP"] = "1"
    with storm(orders=orders, merchants=MERCHANTS) as made:
        receiver = Receiver(made.home / "arrivals.log")
        try:
            merchants = _register(receiver.url)
            yield Site(made, receiver, merchants[:MERCHANTS], merchants[MERCHANTS])
        finally:
            receiver.stop()


def _register(url: str) -> list[int]:
    """An endpoint for each merchant and for one more, which takes no payments; returns the merchants' keys."""
    from django.db import connections, transaction

    from merchants.models import Merchant
    from webhooks.outbound.services import endpoint

    merchants = [
        *Merchant.objects.order_by("pk"),
        Merchant.objects.create(name="Otro", legal_name="Otro SA de CV"),
    ]
    for merchant in merchants:
        with transaction.atomic():
            endpoint.create(merchant, livemode=False, wanted=endpoint.NewEndpoint(url=url, events=["*"]))
    for connection in connections.all():
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
    return [merchant.pk for merchant in merchants]


def bare_loop(url: str, count: int) -> float:
    """Posts per second of one thread over one connection."""
    body = json.dumps({"id": "evt_bare", "data": {"object": {"id": "pay_x", "description": "x" * 900}}}).encode()
    with httpx2.Client(trust_env=False) as client:
        began = time.monotonic()
        for _ in range(count):
            client.post(url, content=body, headers={"Content-Type": "application/json"}).raise_for_status()
        return count / (time.monotonic() - began)


def throughput(found: Site, *, events: int, rounds: int) -> None:
    """Rates of the worker, for one endpoint and for ten, and of the bare loop, in turn."""
    rates: dict[str, list[float]] = {"one endpoint": [], "ten endpoints": [], "bare httpx2 loop": []}
    with found.storm.workers(1):
        for number in range(rounds):
            for name, merchants in (("one endpoint", found.merchants[:1]), ("ten endpoints", found.merchants)):
                batch = f"{name[:1]}{number}x"
                found.insert(batch, events, merchants)
                moments = found.arrived(batch, events)
                rates[name].append((events - 1) / (moments[-1] - moments[0]))
            rates["bare httpx2 loop"].append(bare_loop(found.receiver.url, events))
        memory = _peak_mebibytes(found.storm.home)
    bare = statistics.median(rates["bare httpx2 loop"])
    say("| deliveries/s | median | of the bare loop | each round |")
    say("|---|---|---|---|")
    for name, each in rates.items():
        median = statistics.median(each)
        say(f"| {name} | {median:.0f} | {median / bare:.2f} | {', '.join(f'{rate:.0f}' for rate in each)} |")
    say(f"\nthe worker's peak memory: {memory:.0f} MiB RSS\n")


def _peak_mebibytes(home: Path) -> float:
    pid = json.loads((home / "run" / "worker-0.pid").read_text())["pid"]
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def latency(found: Site, name: str, first: int, moments: list[float], *, others: int) -> None:
    """Seconds from the moment a notice of a payment was due to the arrival of ``payment.completed``."""
    numbers = range(first, first + len(moments))
    requests = [found.storm.signed_request(number) for number in numbers]
    wanted = {f"pay_01{hashlib.md5(str(n).encode(), usedforsecurity=False).hexdigest()[:24]}": n for n in numbers}

    async def run(port: int) -> tuple[float, Measured]:
        generator = Generator(port, requests, moments, 0.0)
        began = time.monotonic() + 0.5
        insertion: Any = None
        if others:

            async def insert() -> None:
                await asyncio.sleep(moments[-1] / 2)
                await asyncio.to_thread(found.insert, f"o{first}x", others, [found.other])

            insertion = asyncio.create_task(insert())
        measured = await generator.run()
        if insertion is not None:
            await insertion
        return began, measured

    with found.storm.web(workers=2, pool=4) as port, found.storm.workers(1):
        began, measured = asyncio.run(run(port))
        until = time.monotonic() + 120
        while True:
            seen = {subject: at for at, subject in found.receiver.arrivals().values() if subject in wanted}
            if len(seen) == len(wanted) or time.monotonic() > until:
                break
            time.sleep(0.5)
        if others:
            found.arrived(f"o{first}x", others)
    waits = [seen[subject] - began - moments[number - first] for subject, number in wanted.items() if subject in seen]
    cells = [f"{1000 * percentile(waits, part):.0f}" for part in (0.5, 0.9, 0.99)]
    cells += [f"{1000 * max(waits):.0f}", f"{1000 * percentile(measured.latencies, 0.99):.0f}"]
    answers = ", ".join(f"{answer}: {count}" for answer, count in sorted(measured.answers.items()))
    say(f"| {name} | {len(waits)} of {len(wanted)} | {' | '.join(cells)} | {answers} |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.deliveries")
    parser.add_argument("--events", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--others", type=int, default=10_000)
    options = parser.parse_args()
    moments = schedule(options.rate, options.seconds, poisson=False, seed=7)
    with site(2 * len(moments)) as found:
        if options.rounds:
            throughput(found, events=options.events, rounds=options.rounds)
        say("| from the notice to the receiver | payments | p50 ms | p90 | p99 | max | p99 of our answer | answers |")
        say("|---|---|---|---|---|---|---|---|")
        latency(found, f"{options.rate:g}/s", 1, moments, others=0)
        name = f"{options.rate:g}/s, while {options.others:,} events of another merchant are inserted"
        latency(found, name, 1 + len(moments), moments, others=options.others)


if __name__ == "__main__":
    if sys.argv[1:2] == ["receive"]:
        asyncio.run(receive(int(sys.argv[2]), Path(sys.argv[3])))
    else:
        main()
