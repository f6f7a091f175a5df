"""Benchmark: cost of a page as the data grows: ``.venv/bin/python -m bench.growth [--sizes 10000,1000000]``.

Runs on a private durable PostgreSQL with ``--cache`` of shared buffers, one database per size, 20 merchants in each.
Rounds interleave the sizes; each has its own process, which calls the whole site through WSGI:

- E1: 50 payments at a random cursor;
- E2: 50 payments by a prefix of ``external_id``, scattered over the merchant's list;
- history: the first page of staff's transfer history, and page 40.

Prints a Markdown table: per page the median time in ms, and CPU µs of the site and of PostgreSQL.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
from psycopg import sql

from bench.server import DATABASE, ROOT, enlarge, released, tend
from payments_site.embedded.postgres import EmbeddedPostgres
from payments_site.embedded.redis import EmbeddedRedis

MERCHANTS = 20
SAME_PREFIX = 50
STEP = 250_000
JOBS = ("E1", "E2", "history", "history, page 40")
PAYMENTS = f"""
    INSERT INTO payments_payment (public_id, merchant_id, livemode, provider_account_id, method, status, made_by,
        amount, currency, amount_received, amount_refunded, fee_percent, fee_fixed, fee_iva, fee, fee_tax, description,
        external_id, customer_name, customer_email, customer_phone, metadata, failure_code, failure_message, clabe,
        reference_number, tracking_key, payer_name, payer_account, payer_institution, voucher_reference,
        voucher_barcode_url, voucher_store_name, expires_at, created_at, completed_at)
    SELECT 'pay_' || lpad(n::text, 26, '0'), %(merchant)s + n %% {MERCHANTS}, false, %(account)s, 'spei',
        CASE WHEN paid THEN 'completed' WHEN n %% 10 < 9 THEN 'expired' ELSE 'pending' END, 'request',
        amount, 'MXN', CASE WHEN paid THEN amount ELSE 0 END, 0, 1.5, 0, 0.16, 0, 0, 'Pedido de prueba número ' || n,
        'lote-' || lpad((own %% %(lots)s)::text, 6, '0') || '-' || own, 'María ' || left(md5('c' || n), 8),
        left(md5('e' || n), 9) || '@correo.mx', '', '{{"pedido": "x"}}', '', '', '6461801570' || lpad(n::text, 8, '0'),
        lpad(n::text, 7, '0'), CASE WHEN paid THEN 'MBAN' || lpad(n::text, 20, '0') ELSE '' END,
        CASE WHEN paid THEN 'JUAN ' || left(md5('p' || n), 6) ELSE '' END, '', '', '',
        '', '', moment + interval '3 days', moment, CASE WHEN paid THEN moment + interval '1 hour' END
    FROM (
        SELECT n, n / {MERCHANTS} AS own, 10000 + n %% 90000 AS amount, n %% 10 < 7 AS paid,
            now() - (%(rows)s - n) * interval '10 seconds' AS moment
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
    ) numbered
"""
DEPOSITS = """
    INSERT INTO payments_deposit (public_id, livemode, deposit_key, status, suspense_reason, amount, currency, paid_at,
        operating_date, clabe, tracking_key, concept, payer_name, payer_account, payer_institution, provider_event,
        created_at, payment_id, provider_account_id, fee, fee_tax)
    SELECT 'dep_' || lpad(p.id::text, 26, '0'), false, 'k' || p.id, 'credited', '', p.amount, 'MXN', p.completed_at,
        p.completed_at::date, p.clabe, p.tracking_key, '', p.payer_name, '', '', '', p.completed_at, p.id,
        p.provider_account_id, 0, 0
    FROM payments_payment p WHERE p.id > %(after)s AND p.status = 'completed'
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.growth")
    parser.add_argument("--sizes", default="10000,1000000,5000000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=300, help="requests of each kind per round")
    parser.add_argument("--cache", default="4GB", help="shared buffers; 5,000,000 payments and their lists take 3 GB")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    with released() as server, tempfile.TemporaryDirectory(prefix="payments-growth-") as folder:
        enlarge(server, options.cache)
        redis = EmbeddedRedis(Path(folder) / "redis", run_dir=Path(folder) / "run")
        redis.start()
        try:
            first = people()
            for size in sizes:
                with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as cluster:
                    cluster.execute(
                        sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER payments_owner").format(
                            sql.Identifier(f"growth_{size}"), sql.Identifier(DATABASE)
                        )
                    )
                fill(server, f"growth_{size}", size, first)
            measured = measure(server, redis.url, sizes, options.rounds, options.requests)
        finally:
            redis.stop()
    show(sizes, measured)


def people() -> dict[str, int]:
    """Seed merchants, an API key, an account and a staff user; the ids of the first merchant and the account."""
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "bench.growth_site", "people", str(MERCHANTS)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(made.stdout))


def fill(server: EmbeddedPostgres, database: str, rows: int, first: dict[str, int]) -> None:
    """Insert ``rows`` payments and the deposits of completed ones, with indexes dropped and triggers disabled."""
    with psycopg.connect(server.url("postgres", database), autocommit=True) as owner:
        tables = ("payments_payment", "payments_deposit")
        indexes = owner.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index i WHERE NOT indisprimary"
            " AND indrelid = ANY(%s::regclass[]) AND NOT EXISTS"
            " (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)",
            [list(tables)],
        ).fetchall()
        for name, _ in indexes:
            owner.execute(f"DROP INDEX {name}")
        owner.execute("SET session_replication_role = replica")
        for table in tables:
            owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        given = {**first, "rows": rows, "lots": max(1, rows // MERCHANTS // SAME_PREFIX)}
        for begin in range(1, rows + 1, STEP):
            after = owner.execute("SELECT coalesce(max(id), 0) FROM payments_payment").fetchone()
            owner.execute(PAYMENTS, {**given, "first": begin, "last": min(begin + STEP - 1, rows)})
            owner.execute(DEPOSITS, {"after": after[0] if after else 0})
            say(f"{database}: {min(begin + STEP - 1, rows):,}")
        for name, definition in indexes:
            say(f"{database}: {name}")
            owner.execute(definition)
        tend(owner)
        owner.execute("CHECKPOINT")


def measure(
    server: EmbeddedPostgres, redis: str, sizes: list[int], rounds: int, requests: int
) -> dict[tuple[int, str], list[list[float]]]:
    """(size, job) -> the figures of each round: p50 ms, CPU µs of the site and of PostgreSQL."""
    sites = {size: site(server, f"growth_{size}", redis) for size in sizes}
    measured: dict[tuple[int, str], list[list[float]]] = {}
    try:
        for number in range(rounds + 1):
            for job in JOBS:
                for size in sizes:
                    figures = ask(sites[size], job, requests if not job.startswith("history") else requests // 4)
                    if number:  # the first round warms up
                        measured.setdefault((size, job), []).append(figures)
            say(f"round {number}")
    finally:
        for child in sites.values():
            child.stdin.close()  # type: ignore[union-attr]
            child.wait()
    return measured


def site(server: EmbeddedPostgres, database: str, redis: str) -> subprocess.Popen[str]:
    environ = dict(os.environ) | {
        "DATABASE_URL": server.url("payments_app", database),
        "REDIS_URL": redis,
        "DJANGO_SETTINGS_MODULE": "bench.settings",
        "ALLOWED_HOSTS": "*",
        "GROWTH_SUPERUSER": server.url("postgres", database),
    }
    environ |= dict.fromkeys(("RATE_LIMIT_READ", "RATE_LIMIT_WRITE", "RATE_LIMIT_TEST"), "999999/s")
    command = [sys.executable, "-W", "ignore", "-m", "bench.growth_site", "serve"]
    return subprocess.Popen(command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(child: subprocess.Popen[str], job: str, requests: int) -> list[float]:
    assert child.stdin is not None
    assert child.stdout is not None
    print(json.dumps([job, requests]), file=child.stdin, flush=True)
    answer = child.stdout.readline()
    if not answer:
        raise SystemExit("a site has ended")
    return list(json.loads(answer))


def show(sizes: list[int], measured: dict[tuple[int, str], list[list[float]]]) -> None:
    heads = [f"{size:,} payments" for size in sizes]
    print(f"| page | {' | '.join(heads)} | largest / smallest, p50 | the same, CPU |")
    print("|---" * (len(sizes) + 3) + "|")
    for job in JOBS:
        figures = [[statistics.median(column) for column in zip(*measured[size, job], strict=True)] for size in sizes]
        cells = [f"{ms:.2f} ms, {site:.0f} + {database:.0f} µs" for ms, site, database in figures]
        ratio, cpu = figures[-1][0] / figures[0][0], sum(figures[-1][1:]) / sum(figures[0][1:])
        print(f"| {job} | {' | '.join(cells)} | {ratio:.2f} | {cpu:.2f} |")


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
