"""How the application's sessions are set, whatever the server's own defaults are."""

from __future__ import annotations

import pytest
from django.db import connection

from payments_site.settings import base


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
    """With the options of production: tests' own sessions may be idle for longer."""
    given = {**connection.get_connection_params(), "options": base.DATABASES["default"]["OPTIONS"]["options"]}
    with connection.Database.connect(**given) as session:
        assert session.execute("SELECT current_setting(%s)", [name]).fetchone() == (value,)
