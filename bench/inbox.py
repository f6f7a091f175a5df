"""Benchmark: cost of storing a notice as the inbox grows: ``.venv/bin/python -m bench.inbox [--rows 5000000]``.

Measures the statements that store and settle a notice on an empty and on a filled inbox, on a private durable
PostgreSQL with ``--cache`` of shared buffers. Half of the ids increase with time, as Conekta's and STP's do; half are
random, the worst case for an index. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import psycopg

from bench.server import DATABASE, enlarge, released

if TYPE_CHECKING:
    from payments.models import ProviderAccount

SAMPLES = 3_000
ROUNDS = 3
FILL = """
    INSERT INTO webhooks_providerevent (public_id, account_id, livemode, channel, event_id, event_type, business_key,
        status, reason, object_id, body_sha256, key_id, response_body, attempts, last_error, received_at, next_at)
    SELECT 'pev_' || lpad(n::text, 26, '0'), %(account)s, false, 'conekta.events',
        CASE n %% 2 WHEN 0 THEN md5(n::text) ELSE 'evt-' || lpad(n::text, 20, '0') END, 'order.paid',
        'ord_' || md5(n::text), 'received', '', '', md5(n::text) || md5(n::text), '', '{}', 0, '',
        now() - (%(rows)s - n) * interval '1 second', NULL
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
"""
SETTLE = """
    UPDATE webhooks_providerevent SET status = 'processed', reason = 'credited', object_id = 'pay_' || id,
        processed_at = received_at, response_status = 200, attempts = 1
    WHERE status = 'received' AND id > %(after)s
"""
BODIES = """
    INSERT INTO webhooks_providereventbody (event_id, received_at, headers, body)
    SELECT id, received_at, '{}', convert_to(repeat(body_sha256, 12), 'UTF8')
    FROM webhooks_providerevent WHERE id > %(after)s
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.inbox")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--cache", default="4GB", help="shared buffers; 5,000,000 notices and their indexes take 5 GB")
    options = parser.parse_args()
    with released() as server:
        enlarge(server, options.cache)
        import django

        django.setup()
        from payments.models import ProviderAccount

        account = ProviderAccount.objects.create(provider="conekta", livemode=False, name="bench")
        figures = {0: measure(account)}
        with psycopg.connect(server.url("payments_owner", DATABASE), autocommit=True) as owner:
            step, after = 250_000, 0
            for first in range(1, options.rows + 1, step):
                last = min(first + step - 1, options.rows)
                after = scalar(owner.execute("SELECT coalesce(max(id), 0) FROM webhooks_providerevent"))
                given = {"account": account.pk, "rows": options.rows, "first": first, "last": last, "after": after}
                owner.execute(FILL, given)
                owner.execute(BODIES, given)
                owner.execute(SETTLE, given)
                progress(f"{last:,} rows")
            owner.execute("VACUUM ANALYZE webhooks_providerevent")
            sizes = [
                scalar(owner.execute(f"SELECT pg_size_pretty({size})"))  # constants only
                for size in (
                    "pg_table_size('webhooks_providerevent')",
                    "pg_indexes_size('webhooks_providerevent')",
                    "(SELECT sum(bytes) FROM webhooks_body_partition)",
                )
            ]
        figures[options.rows] = measure(account)
    say("| notices in the inbox | store, µs | store, µs (p95) | settle, µs | repetition, µs |")
    say("|---|---|---|---|---|")
    for rows, (store, p95, settle, repeated) in figures.items():
        say(f"| {rows:,} | {store:.0f} | {p95:.0f} | {settle:.0f} | {repeated:.0f} |")
    say(f"\nRows {sizes[0]}, their indexes {sizes[1]}, bodies {sizes[2]}.")


def measure(account: ProviderAccount) -> tuple[float, float, float, float]:
    """Medians over rounds: store, its p95, settle, and a repeated notice; all statements in one transaction."""
    from django.db import connection, transaction

    from core import clock
    from webhooks.inbound.services.store import IncomingNotice, find_or_lock, insert
    from webhooks.models import Channel

    found = []
    for _ in range(ROUNDS):
        stores, settles, repeats = [], [], []
        with transaction.atomic():
            for number in range(SAMPLES):
                raw = secrets.token_hex(400).encode()
                key = secrets.token_hex(16) if number % 2 else f"evz-{time.time_ns():020d}"
                notice = IncomingNotice(account, Channel.CONEKTA_EVENTS, raw, clock.now())
                digest = notice.digest
                event = notice.event(digest=digest, event_id=key, event_type="order.paid", business_key=key)
                started = time.perf_counter()
                assert insert(notice, event) is None
                stored = time.perf_counter()
                event.process(reason="credited", object_id="pay_x")
                event.save(update_fields=["status", "reason", "object_id", "processed_at", "attempts", "next_at"])
                settled = time.perf_counter()
                assert find_or_lock(account.pk, key, None)[0] is not None
                repeats.append(time.perf_counter() - settled)
                stores.append(stored - started)
                settles.append(settled - stored)
            transaction.set_rollback(True)
        connection.close()
        found.append([1e6 * statistics.median(stores), 1e6 * sorted(stores)[int(0.95 * SAMPLES)]])
        found[-1] += [1e6 * statistics.median(settles), 1e6 * statistics.median(repeats)]
    store, p95, settle, repeated = (statistics.median(column) for column in zip(*found, strict=True))
    return store, p95, settle, repeated


def scalar(cursor: psycopg.Cursor[Any]) -> Any:
    """The single value of a result."""
    (value,) = next(cursor)
    return value


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
