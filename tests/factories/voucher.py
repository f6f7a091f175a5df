"""Requests for OXXO payments, and the jobs and events that they cause."""

from __future__ import annotations

import json

from django.db import connection

from core import clock
from merchants.models import Event

CUSTOMER = {"name": "Ana Núñez", "email": "ana@example.mx", "phone": "5555555555"}
OXXO = {"method": "oxxo", "amount": 25_000, "currency": "MXN", "customer": CUSTOMER}
CLOSED = "http://127.0.0.1:9/conekta"
"""An address at which nothing listens."""


def jobs():
    """Enqueued jobs, as (task, arguments, seconds from now)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT task_name, args, scheduled_at FROM procrastinate_jobs WHERE status = 'todo' ORDER BY id")
        return [(name, json.loads(args), (at - clock.now()).total_seconds()) for name, args, at in cursor.fetchall()]


def event_types():
    """Types of all events, oldest first."""
    return list(Event.objects.order_by("sequence").values_list("type", flat=True))
