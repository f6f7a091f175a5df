"""Open-loop benchmark: signed ``order.paid`` events at a fixed rate: ``.venv/bin/python -m bench.open_loop``.

    --rate 200 --seconds 30 --warm-up 5    the schedule; --poisson for random instead of evenly spaced arrivals
    --hot                                  all orders belong to one merchant; otherwise spread over --merchants 100
    --web-workers 2 --web-pool 4           gunicorn's workers and connections per worker
    --workers 1                            number of ``manage.py worker`` processes

Starts its own PostgreSQL, Redis, gunicorn and worker, seeds the orders, and removes everything at the end. Arrivals do
not wait for responses, and latency is measured from the time at which an event was due: if the site stalls for a
second, all events of that second show it. "sent late" is the generator's own delay: if it is large, the machine is too
busy to measure.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections import Counter
from dataclasses import dataclass, field

from bench.storm import storm


@dataclass
class Measured:
    """Seconds from the due time of each event until it was sent and until its response."""

    late: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


class Connection:
    """One keep-alive connection to the site."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def exchange(self, request: bytes) -> int:
        """Send a request, read the whole response and return its status."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        await self._reader.readexactly(length)
        return int(head[9:12])

    def close(self) -> None:
        self._writer.close()


class Generator:
    """Sends each request at its due time, over as many connections as requests are in flight."""

    def __init__(self, port: int, requests: list[bytes], moments: list[float], warm_up: float) -> None:
        self._port, self._requests, self._moments, self._warm_up = port, requests, moments, warm_up
        self._idle: list[Connection] = []
        self.measured = Measured()

    async def run(self) -> Measured:
        loop = asyncio.get_running_loop()
        began = loop.time() + 0.5
        tasks = []
        for request, moment in zip(self._requests, self._moments, strict=True):
            due = began + moment
            await asyncio.sleep(max(0.0, due - loop.time()))
            tasks.append(asyncio.create_task(self._send(request, due, counted=moment >= self._warm_up)))
        await asyncio.gather(*tasks)
        self.measured.seconds = loop.time() - began - self._warm_up
        for connection in self._idle:
            connection.close()
        return self.measured

    async def _send(self, request: bytes, due: float, *, counted: bool) -> None:
        loop = asyncio.get_running_loop()
        sent, answer = loop.time(), ""
        try:
            answer = str(await asyncio.wait_for(self._exchange(request), 30))
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            answer = type(error).__name__
        if counted:
            self.measured.late.append(sent - due)
            self.measured.latencies.append(loop.time() - due)
            self.measured.answers[answer] += 1

    async def _exchange(self, request: bytes) -> int:
        while self._idle:
            connection = self._idle.pop()
            try:
                status = await connection.exchange(request)
            except (ConnectionError, asyncio.IncompleteReadError):
                connection.close()  # closed by the site because it was idle
                continue
            self._idle.append(connection)
            return status
        connection = Connection(*await asyncio.open_connection("127.0.0.1", self._port))
        status = await connection.exchange(request)
        self._idle.append(connection)
        return status


def schedule(rate: float, seconds: float, *, poisson: bool, seed: int) -> list[float]:
    """Due times of events, in seconds from the start."""
    if not poisson:
        return [number / rate for number in range(int(rate * seconds))]
    generator, moments, now = random.Random(seed), [], 0.0
    while (now := now + generator.expovariate(rate)) < seconds:
        moments.append(now)
    return moments


def percentile(values: list[float], part: float) -> float:
    """The smallest value that at least ``part`` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-part * len(ordered) // 1) - 1))]


def report(measured: Measured, name: str) -> None:
    found, late = measured.latencies, measured.late
    cells = [f"{1_000 * percentile(found, part):.1f}" for part in (0.5, 0.9, 0.99, 0.999)]
    wrong = sum(count for answer, count in measured.answers.items() if answer != "200")
    answers = ", ".join(f"{answer}: {count:,}" for answer, count in sorted(measured.answers.items()))
    say("| arrivals | events | answered/s | p50 ms | p90 | p99 | p99.9 | max | errors | sent late p99 ms |")
    say("|---|---|---|---|---|---|---|---|---|---|")
    cells += [f"{1_000 * max(found):.1f}", str(wrong), f"{1_000 * percentile(late, 0.99):.1f}"]
    say(f"| {name} | {len(found):,} | {len(found) / measured.seconds:.0f} | {' | '.join(cells)} |")
    say(f"\nanswers: {answers}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.open_loop")
    parser.add_argument("--rate", type=float, default=200, help="events per second")
    parser.add_argument("--seconds", type=float, default=30, help="measured, after the warm-up")
    parser.add_argument("--warm-up", type=float, default=5, help="seconds before")
    parser.add_argument("--poisson", action="store_true", help="random arrivals")
    parser.add_argument("--seed", type=int, default=7, help="seed of random arrivals")
    parser.add_argument("--hot", action="store_true", help="all orders belong to one merchant")
    parser.add_argument("--merchants", type=int, default=100)
    parser.add_argument("--web-workers", type=int, default=2)
    parser.add_argument("--web-pool", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    moments = schedule(options.rate, options.warm_up + options.seconds, poisson=options.poisson, seed=options.seed)
    with storm(orders=len(moments), merchants=1 if options.hot else options.merchants) as site:
        requests = [site.signed_request(number) for number in range(1, len(moments) + 1)]
        with site.web(workers=options.web_workers, pool=options.web_pool) as port:
            with site.workers(options.workers):
                generator = Generator(port, requests, moments, options.warm_up)
                measured = asyncio.run(generator.run())
        whose = "one hot merchant" if options.hot else f"{options.merchants} merchants"
        report(measured, f"{options.rate:g}/s{' at random' if options.poisson else ''}, {whose}")
        say(site.audit())


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
