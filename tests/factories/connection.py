"""Further connections to the test database."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import (
    connection,
)


def elsewhere(text: str) -> Any:
    """What another connection sees."""
    options = connection.get_connection_params()
    known = {key: options[key] for key in ("host", "port", "user", "password", "dbname") if key in options}
    with psycopg.connect(**known, autocommit=True) as other:
        return other.execute(text).fetchone()  # type: ignore[call-overload]
