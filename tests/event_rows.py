"""Events as another session writes them: by SQL, in a transaction that the test ends."""

from __future__ import annotations

import json

import psycopg

from merchants.models import Merchant


def write(connection: psycopg.Connection, merchant: Merchant, name: str, object_sequence: int = 1) -> None:
    """An event about object ``name`` in this raw connection's open transaction."""
    connection.execute(
        "INSERT INTO merchants_event "
        "(public_id, sequence, merchant_id, livemode, type, object_id, object_sequence, data, created_at) "
        "VALUES (%s, 0, %s, false, 'payment.created', %s, %s, %s, now())",
        [f"evt_{name}{object_sequence}", merchant.pk, name, object_sequence, json.dumps({})],
    )
