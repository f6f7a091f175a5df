"""``manage.py release``: migrates, grants rights and verifies; the only code that changes the schema.

It runs as the schema's owner over a direct connection. A session advisory lock serializes releases: a concurrent one
waits and then has nothing to do. It is idempotent: after a kill, every migration is either complete or absent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError, connections, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from core import clock
from core.db import is_append_only, keeps_rows, missing_guards
from payments_site import health
from payments_site.env import connection_parameters
from payments_site.models import Release
from webhooks.inbound.services import bodies

LOCK_KEY = 4_737_002_023
LOCK_WAIT = 600.0
"""Seconds to wait for a concurrent release."""
DDL_TRIES = 5

COUNTERS = {
    "merchants_event_counter": "SELECT max(sequence) FROM merchants_event",
    "ledger_position_counter": "SELECT greatest((SELECT max(position) FROM ledger_transaction),"
    " (SELECT max(position) FROM ledger_snapshot))",
}
"""Sequence -> query for the highest value in use."""

FUNCTIONS = ["webhooks_make_body_partitions(integer)", "webhooks_drop_body_partitions(integer)"]
"""SECURITY DEFINER functions that the application may call."""

IDLE_AT_MOST = "60s"
"""idle_in_transaction_session_timeout of both roles; web and worker set a lower one."""
TRANSACTION_AT_MOST = "120s"
"""transaction_timeout of the application's role (PostgreSQL 17 and newer); code that needs more sets it locally."""

ONLY_READ = {"django_migrations", "auth_permission", "django_content_type", Release._meta.db_table}
"""Tables that only ``release`` writes. Renaming a permission would turn it into another one."""

Say = Callable[[str], Any]


class ReleaseError(Exception):
    """The release failed; the message says why and what to do."""


def release(version: str, *, say: Say) -> Release:
    """Migrate, grant, verify, record. Raises ``ReleaseError``; the database stays consistent."""
    if settings.DATABASE.owner_url is None:
        raise ReleaseError(
            "RELEASE_DATABASE_URL is not set: it should name the schema's owner over a direct connection, "
            "postgresql://payments_owner:…@host:5432/payments"
        )
    started_at = clock.now()
    with exclusive(settings.DATABASE.owner_url, say):
        return _release(version, started_at, say)


@contextmanager
def exclusive(owner_url: str, say: Say) -> Iterator[None]:
    """Hold the release lock on a separate connection; wait up to ten minutes for a concurrent release."""
    try:
        holder = psycopg.connect(owner_url, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise ReleaseError(f"The database cannot be reached as its owner: {str(error).strip()[:300]}") from error
    with holder:
        _refuse_pooler(holder)
        _refuse_wrong_role(holder)
        if not _row(holder, "SELECT pg_try_advisory_lock(%s)", LOCK_KEY):
            say("Another release is running; waiting for it …")
            # Polling: a blocked statement keeps a snapshot, which CREATE INDEX CONCURRENTLY in the running release
            # would wait for.
            end = time.monotonic() + LOCK_WAIT
            while not _row(holder, "SELECT pg_try_advisory_lock(%s)", LOCK_KEY):
                if time.monotonic() > end:
                    raise ReleaseError(f"Another release has been running for more than {LOCK_WAIT:g} seconds.")
                time.sleep(0.2)
        yield


def _refuse_pooler(holder: psycopg.Connection[Any]) -> None:
    """Session locks do not work through a pooler in transaction mode: sessions share backends."""
    if holder.info.backend_pid != _row(holder, "SELECT pg_backend_pid()"):
        raise ReleaseError("RELEASE_DATABASE_URL goes through a connection pooler; give the database's own address.")


def _refuse_wrong_role(holder: psycopg.Connection[Any]) -> None:
    """The schema's owner must be a different role from the application's, or no right could be denied to it."""
    role = holder.info.user
    if role == connection_parameters("DATABASE_URL", settings.DATABASE.url)["user"]:
        raise ReleaseError(
            f"RELEASE_DATABASE_URL names the application's own role, {role}: it needs the schema's owner."
        )
    if not _row(holder, "SELECT has_schema_privilege('public', 'CREATE')"):
        raise ReleaseError(f"RELEASE_DATABASE_URL names {role}, which may not change the schema: it needs its owner.")


def _release(version: str, started_at: datetime, say: Say) -> Release:
    _refuse_other_migrations()
    before = len(health.unapplied_migrations("owner"))
    if before:
        say(f"Applying {before} migrations …")
        _migrate(say)
    else:
        say("The schema is up to date.")
    _grant(say)
    _bound_transactions(say)
    _raise_counters(say)
    missing = health.unapplied_migrations("owner")
    if missing:
        raise ReleaseError(f"Migrations are still missing: {', '.join(missing)}")
    _verify_guards()
    bodies.make_partitions(using="owner")
    return Release.objects.using("owner").create(version=version, migrations=before, started_at=started_at)


def _refuse_other_migrations() -> None:
    """A database from before the first release has other migrations, which do not lead to this code's tables."""
    found = health.apps_with_other_migrations("owner")
    if found:
        raise ReleaseError(
            "The tables in this database were made by migrations that this code does not have "
            f"({', '.join(found)}): a version from before the first release made it. Nothing was changed. "
            "Create a new, empty database, let DATABASE_URL and RELEASE_DATABASE_URL name it, and release again; the "
            "old one keeps its data, which only the old version reads. In a demo, `make clean` removes it."
        )


def _migrate(say: Say) -> None:
    for attempt in range(1, DDL_TRIES + 1):
        try:
            call_command("migrate", database="owner", interactive=False, verbosity=0)
        except OperationalError as error:
            if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable) or attempt == DDL_TRIES:
                raise ReleaseError(f"A migration failed: {str(error).strip()[:300]}") from error
            say(f"A table is busy; trying again ({attempt} of {DDL_TRIES}) …")
            connections["owner"].close()
            time.sleep(attempt)
        else:
            return


def _grant(say: Say) -> None:
    """Grant the application's role SELECT and INSERT, and UPDATE and DELETE only on tables whose models allow it."""
    role = connection_parameters("DATABASE_URL", settings.DATABASE.url)["user"]
    kept = {model._meta.db_table for model in apps.get_models() if keeps_rows(model)}
    append_only = {model._meta.db_table for model in apps.get_models() if is_append_only(model)}
    frozen_for_app = append_only | ONLY_READ
    # One transaction: the running application never sees a right revoked and not yet granted again.
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT relname, relispartition FROM pg_class "
            "WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        )
        for table, is_partition in cursor.fetchall():
            if is_partition:  # accessed only through the parent table
                _grant_exactly(cursor, table, [], role)
                continue
            rights = ["SELECT"]
            if table not in ONLY_READ:
                rights.append("INSERT")
            if table not in frozen_for_app:
                rights.append("UPDATE")
                if table not in kept:
                    rights.append("DELETE")
            _grant_exactly(cursor, table, rights, role)
        cursor.execute("SELECT viewname FROM pg_views WHERE schemaname = 'public'")
        for (view,) in cursor.fetchall():
            _grant_exactly(cursor, view, ["SELECT"], role)
        for function in FUNCTIONS:
            cursor.execute(_for_role(f"GRANT EXECUTE ON FUNCTION {function} TO {{role}}", role))
        cursor.execute(_for_role("REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {role}", role))
        cursor.execute(_for_role("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}", role))
    say(f"Rights of {role} are set.")


def _grant_exactly(cursor: CursorWrapper, table: str, rights: list[str], role: str) -> None:
    names = {"table": sql.Identifier("public", table), "role": sql.Identifier(role)}
    cursor.execute(sql.SQL("REVOKE ALL ON {table} FROM {role}").format(**names))
    if rights:
        listed = sql.SQL(", ").join(sql.SQL(right) for right in rights)
        cursor.execute(sql.SQL("GRANT {rights} ON {table} TO {role}").format(rights=listed, **names))


def _for_role(statement: str, role: str) -> sql.Composed:
    return sql.SQL(statement).format(role=sql.Identifier(role))


def _bound_transactions(say: Say) -> None:
    """Limit how long sessions of both roles may keep a transaction open in this database.

    Each role sets its own defaults, which needs no extra right. A program may override them, as ``pg_dump`` does.
    """
    for variable, url in (
        ("RELEASE_DATABASE_URL", settings.DATABASE.owner_url or ""),
        ("DATABASE_URL", settings.DATABASE.url),
    ):
        try:
            role = psycopg.connect(**connection_parameters(variable, url), autocommit=True, connect_timeout=5)
        except psycopg.OperationalError as error:
            say(f"Transactions of the role in {variable} stay unbounded: {str(error).strip()[:300]}")
            continue
        with role:
            limits = {"idle_in_transaction_session_timeout": IDLE_AT_MOST}
            if variable == "DATABASE_URL" and role.info.server_version >= 170_000:
                limits["transaction_timeout"] = TRANSACTION_AT_MOST
            for name, limit in limits.items():
                statement = sql.SQL("ALTER ROLE CURRENT_USER IN DATABASE {} SET {} = {}")
                role.execute(statement.format(sql.Identifier(role.info.dbname), sql.Identifier(name), limit))


def _raise_counters(say: Say) -> None:
    """Advance sequences after rows were copied without them, as logical replication does; ``pg_dump`` copies both.

    Must happen before web and worker start.
    """
    with connections["owner"].cursor() as cursor:
        for counter, highest in COUNTERS.items():
            cursor.execute(
                f"SELECT setval('{counter}', taken.highest) FROM ({highest}) taken(highest), {counter} given "  # noqa: S608
                "WHERE taken.highest > given.last_value"
            )
            if cursor.fetchone():
                say(f"{counter} was raised: its rows were copied into this database without it.")


def _verify_guards() -> None:
    """Check that every trigger declared by the models exists and is always enabled."""
    missing = missing_guards(apps.get_models(), using="owner")
    if missing:
        raise ReleaseError(f"Guards are missing or disabled: {', '.join(missing)}")


def _row(connection: psycopg.Connection[Any], query: str, *params: Any) -> Any:
    row = connection.execute(query, params).fetchone()
    return row[0] if row else None
