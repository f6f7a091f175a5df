"""Benchmark: ledger postings against bare PostgreSQL inserts: ``.venv/bin/python -m bench.ledger [--seconds 8]``.

Runs on a private durable PostgreSQL. Rounds interleave all variants, so that a change of the machine's load affects all
of them. Prints a Markdown table; absolute figures depend on the machine, ratios on the design.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from typing import Any

import psycopg

from bench.server import CONNECTIONS, DATABASE, Rate, pgbench, released
from payments_site.embedded.postgres import EmbeddedPostgres

MERCHANTS = 100
SHARDS = 16
AMOUNTS = "100000, -98840, -1000, -160"

BARE_SCHEMA = """
    CREATE TABLE bare_transaction (LIKE ledger_transaction INCLUDING ALL);
    CREATE TABLE bare_entry (LIKE ledger_entry INCLUDING ALL);
    CREATE TABLE alternative_balance (account bigint, shard int, total bigint NOT NULL, PRIMARY KEY (account, shard))
        WITH (fillfactor = 50);
    INSERT INTO alternative_balance SELECT id, shard, 0 FROM ledger_account, generate_series(0, 16) shard;
    GRANT SELECT, INSERT, UPDATE ON bare_transaction, bare_entry, alternative_balance TO payments_app;
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.ledger")
    parser.add_argument("--seconds", type=int, default=8, help="duration of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2, help="number of Python processes")
    parser.add_argument("--entries", type=int, default=5_000_000, help="entries of the account with a long history")
    parser.add_argument("--work", nargs=2, metavar=("NUMBER", "SECONDS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        say(json.dumps(work(*map(int, options.work))))
        return
    with released() as server:
        ways = prepare(server)
        rates: dict[str, list[Rate]] = defaultdict(list)
        python: list[list[dict[str, float]]] = []
        for number in range(options.rounds):
            for name, script in ways.items():
                rates[name].append(pgbench(server, script, seconds=options.seconds))
                progress(f"round {number + 1}: {name}: {rates[name][-1].per_second:.0f}/s")
            python.append(through_python(options.processes, options.seconds))
            progress(f"round {number + 1}: Python: {sum(one['rate'] for one in python[-1]):.0f}/s")
        report_rates(rates)
        report_python(python)
        report_history(server, options.entries)
        report_audit()


def prepare(server: EmbeddedPostgres) -> dict[str, str]:
    """Open the merchants' accounts; variant of posting -> its pgbench script."""
    statement = open_books()
    with owner(server) as connection:
        connection.execute(BARE_SCHEMA)
    begin = "\\set n random(1, 9000000000000000000)\n\\set shard random(0, 15)\n"
    many = f"{begin}\\set merchant random(0, {MERCHANTS - 1})\n"
    hot = f"{begin}\\set merchant 0\n"
    post = door_statement(statement)
    bare = post.replace("ledger_transaction", "bare_transaction").replace("ledger_entry", "bare_entry")
    # No lookup of accounts either: their ids are given.
    bare = re.sub(r"\(\s*SELECT a\.id FROM ledger_account a.*?\)", "leg.account", bare, flags=re.DOTALL)
    bare = bare.replace(f"{CODES}::text[]", "ARRAY[1, :merchant::bigint + 5, 2, 3]").replace(
        "leg(code,", "leg(account,"
    )
    one_row, sharded = with_balances(post, "16"), with_balances(post, ":shard")
    return {
        "bare": f"{many}{bare};\n",
        "journal": f"{many}{post};\n",
        "journal, one hot merchant": f"{hot}{post};\n",
        "balance row": f"{many}{one_row};\n",
        "balance row, one hot merchant": f"{hot}{one_row};\n",
        "16 balance rows": f"{many}{sharded};\n",
        "16 balance rows, one hot merchant": f"{hot}{sharded};\n",
    }


def open_books() -> str:
    """Open all accounts; return the SQL statement with which the ledger writes a posting."""
    django_setup()
    from django.db import connection, transaction
    from django.test.utils import CaptureQueriesContext

    from merchants.models import Merchant

    with CaptureQueriesContext(connection) as written:
        for number in range(MERCHANTS):
            merchant = Merchant.objects.create(
                public_id=f"mer_{number:026d}", name=f"M{number}", legal_name=f"M{number} SA de CV"
            )
            with transaction.atomic():
                deposit(merchant, f"first_{number}")
    (statement,) = {query["sql"] for query in written.captured_queries if "INSERT INTO ledger_entry" in query["sql"]}
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    return statement


_COLON = "|| chr(58) ||"  # pgbench takes a colon before a word for a variable, even within quotes
CODES = (
    f"ARRAY['platform' {_COLON} 'stp_cash', 'mer_' || lpad(:merchant::text, 26, '0') {_COLON} 'available', "
    f"'platform' {_COLON} 'fee_revenue', 'platform' {_COLON} 'iva_payable']"
)


def door_statement(statement: str) -> str:
    """The posting statement with pgbench variables in place of its parameters, in order."""
    values = iter(
        [
            "'trx_' || :n",
            "'spei_deposit'",
            "'dep_' || :n",
            "false",
            "'Depósito SPEI abonado'",
            "now()",
            "current_date",
            "now()",
            "NULL::bigint",
            "false",
            "'MXN'",
            "'MXN'",
            CODES,
            f"ARRAY[{AMOUNTS}]",
        ]
    )
    filled = re.sub(r"\$\d+", lambda _: next(values), statement)
    assert next(values, None) is None, "the posting statement has other parameters"
    return filled


def with_balances(post: str, shard: str) -> str:
    """The posting statement that also updates a balance row per account (shard 16) or one of 16 per account."""
    kept = f"""), kept AS (
        UPDATE alternative_balance b SET total = b.total + leg.amount
        FROM unnest({CODES}::text[], ARRAY[{AMOUNTS}]::bigint[]) AS leg(code, amount)
        JOIN ledger_account a ON a.code = leg.code AND NOT a.livemode
        WHERE b.account = a.id AND b.shard = {shard}
    )
    SELECT (SELECT id FROM w0)"""
    return re.sub(r"\) SELECT \(SELECT id FROM w0\)", lambda _: kept, post)


def through_python(processes: int, seconds: int) -> list[dict[str, float]]:
    """Results of ``processes`` Python processes that call the posting function as services do."""
    argv = [sys.executable, "-W", "ignore", "-m", "bench.ledger", "--work"]
    running = [
        subprocess.Popen([*argv, str(number), str(seconds)], stdout=subprocess.PIPE, text=True)
        for number in range(processes)
    ]
    return [json.loads(process.communicate()[0]) for process in running]


def work(number: int, seconds: int) -> dict[str, float]:
    """Post for ``seconds`` in this process: postings per second, CPU microseconds per posting."""
    django_setup()
    from django.db import transaction

    from merchants.models import Merchant

    merchants = list(Merchant.objects.order_by("pk"))
    stamp = time.time_ns()
    for warm_up in range(20):
        with transaction.atomic():
            deposit(merchants[0], f"{number}w{stamp}{warm_up}")
    before, began, done = resource.getrusage(resource.RUSAGE_SELF), time.monotonic(), 0
    while time.monotonic() - began < seconds:
        with transaction.atomic():
            deposit(merchants[done % len(merchants)], f"{number}_{stamp}_{done}")
        done += 1
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"rate": done / took, "cpu": 1e6 * cpu / done}


def deposit(merchant: Any, source: str) -> None:
    from core import clock
    from ledger.services.journal import PostingTime
    from ledger.services.postings import pay_in

    now = clock.now()
    when = PostingTime(now, now.date())
    pay_in.spei_deposit(merchant, livemode=False, source=source, amount=100_000, fee=1_000, fee_tax=160, when=when)


def django_setup() -> None:
    import django

    django.setup()


def owner(server: EmbeddedPostgres, role: str = "payments_owner") -> psycopg.Connection[Any]:
    return psycopg.connect(server.url(role, DATABASE), autocommit=True)


def report_rates(rates: dict[str, list[Rate]]) -> None:
    speed = {name: statistics.median(one.per_second for one in found) for name, found in rates.items()}
    cpu = {name: statistics.median(one.cpu for one in found) for name, found in rates.items()}
    say(f"\n| way of posting, {CONNECTIONS} connections | postings/s | of bare | PostgreSQL's CPU, µs | each round |")
    say("|---|---|---|---|---|")
    for name, found in rates.items():
        rounds = ", ".join(f"{one.per_second:.0f}" for one in found)
        say(f"| {name} | {speed[name]:.0f} | {speed[name] / speed['bare']:.2f} | {cpu[name]:.0f} | {rounds} |")
    hot = "journal, one hot merchant"
    say(f"\njournal / bare = {speed['journal'] / speed['bare']:.2f} (wanted: 0.5 or more)")
    say(f"one hot merchant / many = {speed[hot] / speed['journal']:.2f} (wanted: 0.7 or more)")


def report_python(rounds: list[list[dict[str, float]]]) -> None:
    total = statistics.median(sum(one["rate"] for one in found) for found in rounds)
    cpu = statistics.median(one["cpu"] for found in rounds for one in found)
    say(
        f"through Python: {total:.0f} postings/s with {len(rounds[0])} processes "
        f"({total / len(rounds[0]):.0f} each), {cpu:.0f} µs of Python's CPU a posting"
    )


def report_history(server: EmbeddedPostgres, entries: int) -> None:
    """Time of ``ledger_total`` for an account with a long history and for one with a thousandth of its entries."""
    from ledger.services import snapshot

    with owner(server, "postgres") as connection:
        long = fill_account(connection, "bench:long", entries)
        short = fill_account(connection, "bench:short", entries // 1_000)
        connection.execute("VACUUM ANALYZE ledger_transaction, ledger_entry, ledger_account")
        snapshot.take()
        times: dict[int, list[float]] = {long: [], short: []}
        for _ in range(1_000):
            for account, found in times.items():
                began = time.perf_counter()
                connection.execute("SELECT ledger_total(%s)", [account])
                found.append(time.perf_counter() - began)
    ratio = statistics.median(times[long]) / statistics.median(times[short])
    say(
        f"ledger_total with {entries:,} entries: {1e6 * statistics.median(times[long]):.0f} µs, with "
        f"{entries // 1_000:,}: {1e6 * statistics.median(times[short]):.0f} µs; {ratio:.2f} times (wanted: 1.3 or less)"
    )


def fill_account(connection: psycopg.Connection[Any], code: str, entries: int) -> int:
    """Create an account with ``entries`` of one centavo, 50 per transaction, with triggers disabled; return its id."""
    row = connection.execute(
        "INSERT INTO ledger_account (code, purpose, livemode, currency, normal_side, floor, created_at) "
        "VALUES (%s, 'owner_funds', false, 'MXN', 'credit', NULL, now()) RETURNING id",
        [code],
    ).fetchone()
    assert row is not None
    tables = ("ledger_transaction", "ledger_entry")
    for table in tables:
        connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    connection.execute(
        """
        WITH posted AS (
            INSERT INTO ledger_transaction (public_id, kind, source, livemode, description, effective_at,
                operating_date, recorded_at, position)
            SELECT 'trx_' || %(code)s || n, 'history', %(code)s || n, false, 'Filled', now(), current_date, now(),
                nextval('ledger_position_counter')
            FROM generate_series(1, %(entries)s / 50) n RETURNING id, position, effective_at
        )
        INSERT INTO ledger_entry (transaction_id, account_id, amount, currency, position, effective_at)
        SELECT posted.id, CASE leg WHEN 0 THEN cash.id ELSE %(account)s END, CASE leg WHEN 0 THEN 50 ELSE -1 END, 'MXN',
            posted.position, posted.effective_at
        FROM posted, generate_series(0, 50) leg,
            (SELECT id FROM ledger_account WHERE code = 'platform:stp_cash' AND NOT livemode) cash
        """,
        {"code": code, "entries": entries, "account": row[0]},
    )
    for table in tables:
        connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
        triggers = connection.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal", [table]
        ).fetchall()
        for (trigger,) in triggers:
            connection.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")
    return int(row[0])


def report_audit() -> None:
    from ledger.services import audit

    began = time.monotonic()
    found = audit.run(on_fault=say, on_warning=progress, on_progress=progress)
    say(
        f"audit: {found.entries:,} entries in {time.monotonic() - began:.1f} s, {found.faults} faults, peak memory of "
        f"this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB; the books "
        f"{'balance' if not found.faults else 'DO NOT BALANCE'}"
    )


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
