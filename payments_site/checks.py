"""Django system checks for deployment mistakes: keys, permissions, database role and connection budget."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import Error as DatabaseError
from django.db import connection

from payments_site import env

OURS = "payments_site"
"""Tag of the checks below."""


@register(Tags.security, OURS)
def encryption_keys(**kwargs: Any) -> list[CheckMessage]:
    """payments_site.E001: every key of FIELD_ENCRYPTION_KEYS is a Fernet key."""
    for key in settings.FIELD_ENCRYPTION_KEYS:
        try:
            Fernet(key)
        except ValueError:
            return [
                Error(
                    "FIELD_ENCRYPTION_KEYS holds something that is not a Fernet key.",
                    hint="Make one: python -c 'from cryptography.fernet import Fernet as F; print(F.generate_key())'",
                    id="payments_site.E001",
                )
            ]
    return []


@register(Tags.security, OURS)
def media_is_private(**kwargs: Any) -> list[CheckMessage]:
    """payments_site.W002: other users of this machine cannot read the KYC documents."""
    folder = settings.MEDIA_ROOT
    if folder.exists() and os.stat(folder).st_mode & 0o077:
        return [
            Warning(
                "MEDIA_ROOT can be read by other users of this machine.",
                hint=f"chmod 700 {folder}",
                id="payments_site.W002",
            )
        ]
    return []


@register(Tags.security, OURS)
def webhooks_go_to_public_addresses(**kwargs: Any) -> list[CheckMessage]:
    """payments_site.W007: webhooks cannot be aimed at this machine, except in development."""
    if settings.WEBHOOK_ALLOW_HTTP and not settings.DEBUG:
        return [
            Warning(
                "WEBHOOK_ALLOW_HTTP is on: webhooks may use plain HTTP and reach services of this machine.",
                hint="It is meant for development and the demo. Unset it.",
                id="payments_site.W007",
            )
        ]
    return []


@register(Tags.database, OURS)
def database_is_durable(databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """payments_site.E003: an acknowledged webhook survives a crash of PostgreSQL (synchronous_commit)."""
    if not databases or "default" not in databases:
        return []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('synchronous_commit')")
            if cursor.fetchone()[0] == "off":
                return [
                    Error(
                        "synchronous_commit is off: acknowledged notices would be lost in a crash.",
                        hint="Set it to on for this database and role.",
                        id="payments_site.E003",
                    )
                ]
            return [*_role_is_limited(cursor), *_budget_fits(cursor)]
    except DatabaseError as error:
        return [Warning(f"The database cannot be checked: {type(error).__name__}", id="payments_site.W005")]


def _role_is_limited(cursor: Any) -> list[CheckMessage]:
    """payments_site.E004: the application's role cannot change the schema."""
    cursor.execute(
        "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR has_schema_privilege(current_user, 'public', 'CREATE') "
        "FROM pg_roles WHERE rolname = current_user"
    )
    if cursor.fetchone()[0]:
        return [
            Error(
                "DATABASE_URL names a role that may change the schema.",
                hint="The application runs as payments_app; only RELEASE_DATABASE_URL names the owner.",
                id="payments_site.E004",
            )
        ]
    return []


SPARE = 10
"""Connections reserved for administrators, replication and monitoring."""
QUEUE_CONNECTIONS = 2
"""Connections of one lane's queue: one listens for jobs, one fetches and finishes them."""
SENDER_CONNECTIONS = 1
"""Connections of the loop that delivers webhooks, in a worker with the lane ``deliver``."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How many database connections this installation may open at once."""

    web_instances: int
    web_processes: int
    pool: int
    worker_instances: int
    jobs: int
    """Jobs that one worker runs at once, in all its lanes."""
    lanes: int

    @classmethod
    def from_env(cls) -> Budget:
        """The budget that the environment configures."""
        database, lanes = settings.DATABASE, env.Worker.from_env().concurrency
        return cls(
            web_instances=database.web_instances,
            web_processes=env.Web.from_env().workers,
            pool=database.pool_size,
            worker_instances=database.worker_instances,
            jobs=sum(lanes.values()),
            lanes=len(lanes),
        )

    @property
    def needed(self) -> int:
        """Each web process has its pool and one connection for /readyz; each worker lane one per concurrent job and
        ``QUEUE_CONNECTIONS`` for its queue, and webhooks ``SENDER_CONNECTIONS``; a release takes 2."""
        web = self.web_instances * self.web_processes * (self.pool + 1)
        worker = self.jobs + QUEUE_CONNECTIONS * self.lanes + SENDER_CONNECTIONS
        return web + self.worker_instances * worker + 2

    def __str__(self) -> str:
        return (
            f"{self.web_instances} web × {self.web_processes} processes × ({self.pool} pool + 1 for /readyz) + "
            f"{self.worker_instances} worker × ({self.jobs} jobs + {QUEUE_CONNECTIONS} × {self.lanes} lanes' queues + "
            f"{SENDER_CONNECTIONS} for webhooks) + "
            f"2 for a release = {self.needed}"
        )


def allowed_connections(cursor: Any) -> int:
    """Connection limit of the application's role: the lowest of server, database and role limits, less reserves."""
    cursor.execute(
        "SELECT least(current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,"
        " nullif((SELECT datconnlimit FROM pg_database WHERE datname = current_database()), -1),"
        " nullif((SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user), -1))"
    )
    return int(cursor.fetchone()[0])


def _budget_fits(cursor: Any) -> list[CheckMessage]:
    """payments_site.E006: all processes together leave connections free."""
    budget, allowed = Budget.from_env(), allowed_connections(cursor)
    if budget.needed <= allowed - SPARE:
        return []
    return [
        Error(
            f"Too many connections are planned: {budget}; the database allows {allowed}, of which {SPARE} stay free.",
            hint="Lower DATABASE_POOL_SIZE, WEB_CONCURRENCY or WORKER_CONCURRENCY, or raise max_connections. "
            "See docs/guides/sizing.md.",
            id="payments_site.E006",
        )
    ]
