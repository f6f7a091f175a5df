"""How the application's sessions are set, whatever the server's own defaults are."""

from __future__ import annotations

import pytest
from django.db import connection

from ledger.services import stream
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


def test_an_export_may_last_longer_than_any_other_transaction(committed_db: None) -> None:
    names = ["statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(name, '1s', false) FROM pg_settings WHERE name = ANY (%s)", [names])
        with stream.snapshot():
            cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY (%s)", [names])
            found = dict(cursor.fetchall())

    assert found.pop("transaction_timeout", "0") == "0"
    assert found == {"statement_timeout": "3600000", "idle_in_transaction_session_timeout": "3600000"}
    connection.close()
