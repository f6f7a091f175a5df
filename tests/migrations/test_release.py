"""``manage.py release``: may run twice at once, be killed at any moment and be repeated; nobody else can migrate.

Real processes against fresh databases of this run's cluster.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests import cluster
from tests.concurrency.threads import soon
from tests.promises import pick

APP, OWNER = "payments_app", "payments_owner"
SECONDS = 500


@pytest.fixture
def database() -> Iterator[str]:
    """A database as the cluster's administrator hands it over: roles and rights, nothing in it."""
    name = f"{cluster.DATABASE}_released"
    cluster.postgres.drop_database(name)
    cluster.postgres.ensure_database(name)
    yield name
    cluster.postgres.drop_database(name)


@pytest.fixture
def as_owner(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(cluster.url(OWNER, database), autocommit=True) as connection:
        yield connection


def start(database: str, *command: str, **environ: str) -> subprocess.Popen[str]:
    """``manage.py`` in a process of its own; an empty variable counts as not set."""
    addresses = {"DATABASE_URL": cluster.url(APP, database), "RELEASE_DATABASE_URL": cluster.url(OWNER, database)}
    return subprocess.Popen(
        [sys.executable, "manage.py", *(command or ["release"])],
        cwd=cluster.ROOT,
        env=os.environ | addresses | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=SECONDS)
    return process.returncode, said


def run(database: str, *command: str, **environ: str) -> tuple[int, str]:
    return finish(start(database, *command, **environ))


def applied(connection: psycopg.Connection[Any]) -> int:
    if connection.execute("SELECT to_regclass('public.django_migrations')").fetchone() == (None,):
        return 0
    return connection.execute("SELECT count(*) FROM django_migrations").fetchone()[0]  # type: ignore[index]


def advisory_locks(connection: psycopg.Connection[Any]) -> int:
    return connection.execute(  # type: ignore[index]
        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
        "WHERE locktype = 'advisory' AND datname = current_database()"
    ).fetchone()[0]


@pytest.mark.promise("P22", "releases that start at the same moment: one does the work, all end well")
@pytest.mark.parametrize("count", pick([3], [2, *[4] * 5]))
def test_releases_that_run_at_once_all_end_well_and_one_does_the_work(trials, database, as_owner, count):
    processes = [start(database) for _ in range(count)]

    ended = [finish(process) for process in processes]

    assert [code for code, _ in ended] == [0] * count, ended
    assert sum("Applying" in said for _, said in ended) == 1
    assert sum("The schema is up to date." in said for _, said in ended) == count - 1
    releases = as_owner.execute("SELECT migrations FROM payments_site_release ORDER BY id").fetchall()
    assert releases == [(applied(as_owner),)] + [(0,)] * (count - 1)
    assert advisory_locks(as_owner) == 0
    trials.done(count, "releases")


@pytest.mark.promise("P22", "a release killed at any moment can be repeated")
@pytest.mark.parametrize("number", range(pick(1, 5)))
def test_a_release_killed_at_any_moment_can_be_repeated(trials, database, as_owner, number):
    choose = trials.random
    killed_at = []
    for enough in pick((1, choose.randint(2, 20)), (0, 1, choose.randint(2, 20), choose.randint(20, 40))):
        process = start(database)
        # From "it holds the lock" on, at a moment that nobody chose; it may have been quicker than us.
        assert soon(
            lambda enough=enough, process=process: (
                process.poll() is not None or (advisory_locks(as_owner) > 0 and applied(as_owner) >= enough)
            )
        )
        time.sleep(choose.random() / 20)
        process.kill()
        code, _ = finish(process)
        killed_at.append(code)
        assert soon(lambda: advisory_locks(as_owner) == 0)
    assert set(killed_at) <= {-9, 0}
    assert killed_at.count(-9) >= pick(1, 2)
    trials.done(killed_at.count(-9), "kills")

    code, said = run(database)

    assert code == 0, said
    assert run(database, "migrate", "--check", "--database", "owner")[0] == 0
    assert advisory_locks(as_owner) == 0
    releases = as_owner.execute("SELECT count(*) FROM payments_site_release").fetchone()
    assert releases == (1 + killed_at.count(0),)


def test_without_the_owners_address_it_names_the_variable(database, as_owner):
    code, said = run(database, RELEASE_DATABASE_URL="")

    assert code == 1
    assert "RELEASE_DATABASE_URL is not set" in said
    assert "Traceback" not in said
    assert applied(as_owner) == 0


def test_with_the_applications_address_for_the_owners_it_says_so(database, as_owner):
    code, said = run(database, RELEASE_DATABASE_URL=cluster.url(APP, database))

    assert code == 1
    assert "RELEASE_DATABASE_URL names the application's own role, payments_app" in said
    assert "Traceback" not in said
    assert applied(as_owner) == 0


def test_with_the_owners_address_for_the_applications_it_says_so(database, as_owner):
    code, said = run(database, DATABASE_URL=cluster.url(OWNER, database))

    assert code == 1
    assert "RELEASE_DATABASE_URL names the application's own role, payments_owner" in said
    assert applied(as_owner) == 0


@pytest.mark.parametrize("wrong", ["password", "port"])
def test_a_database_that_cannot_be_reached_is_said_without_its_password(database, wrong):
    right = cluster.url(OWNER, database)
    password = right.split(":")[2].partition("@")[0]
    spoilt = {"password": (password, "not-the-password"), "port": (f":{cluster.postgres.port}/", ":1/")}

    code, said = run(database, RELEASE_DATABASE_URL=right.replace(*spoilt[wrong]))

    assert code == 1
    assert "The database cannot be reached as its owner" in said
    assert password not in said and "not-the-password" not in said
    assert "Traceback" not in said


def test_a_table_that_somebody_holds_for_two_seconds_delays_it_and_no_more(database, as_owner):
    cluster.postgres.drop_database(database)
    cluster.postgres.create_database_from_template(database, cluster.TEMPLATE)
    with psycopg.connect(cluster.url(OWNER, database)) as connection:
        _drop_everything_of_webhooks(connection)
        connection.execute("DELETE FROM django_migrations WHERE app = 'webhooks'")
        connection.commit()
        connection.execute("LOCK TABLE payments_provideraccount IN ACCESS EXCLUSIVE MODE")
        process = start(database)
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'payments_provideraccount'::regclass"
        with psycopg.connect(cluster.url(OWNER, database), autocommit=True) as observer:
            assert soon(lambda: observer.execute(waiting).fetchone() == (1,))
        time.sleep(2)
        assert process.poll() is None
        connection.rollback()

    code, said = finish(process)

    assert code == 0, said
    assert re.search(r"Applying [1-9]\d* migrations", said)


def _drop_everything_of_webhooks(connection):
    ours = connection.execute(
        "SELECT 'TABLE', oid::regclass::text FROM pg_class "
        "WHERE relkind IN ('r', 'p') AND NOT relispartition AND relname LIKE 'webhooks\\_%' "
        "UNION ALL SELECT 'VIEW', viewname FROM pg_views WHERE viewname LIKE 'webhooks\\_%' "
        "UNION ALL SELECT 'FUNCTION', oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'webhooks\\_%'"
    ).fetchall()
    for kind, name in ours:
        connection.execute(f"DROP {kind} IF EXISTS {name} CASCADE")


@pytest.mark.promise("P22", "the web process has no right to migrate", unit="attempts")
def test_the_web_process_cannot_migrate(database, as_owner):
    code, said = run(database, "migrate", "--skip-checks", RELEASE_DATABASE_URL="")

    assert code != 0
    assert "permission denied for schema public" in said
    relations = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    assert as_owner.execute(relations).fetchone() == (0,)
