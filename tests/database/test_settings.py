"""How the application's sessions are set, whatever the server's own defaults are."""

from __future__ import annotations

import pytest
from django.db import connection


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # Guards forbid sequential scans; on empty tables that makes plans look dear enough to be compiled, 0.3 s each.
        ("jit", "off"),
        ("synchronous_commit", "on"),
        ("statement_timeout", "5s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("TimeZone", "UTC"),
    ],
)
def test_a_session_of_the_application_has_this_setting(db: None, name: str, value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])

        assert cursor.fetchone() == (value,)
