"""System checks of our own: what a deployment must not get wrong."""

from __future__ import annotations

import os
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import Error as DatabaseError
from django.db import connection


@register(Tags.security)
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


@register(Tags.security)
def media_is_private(**kwargs: Any) -> list[CheckMessage]:
    """payments_site.W002: nobody else on this machine can read the KYC documents."""
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


@register(Tags.database)
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
            return _role_is_limited(cursor)
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
