"""Command ``provider_event_bodies``: maintains the partitions of notice bodies."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection

from webhooks.inbound.services import bodies


class Command(BaseCommand):
    """Create and drop partitions of notice bodies, and list them."""

    help = (
        "Create partitions in advance, drop bodies older than INBOX_BODY_DAYS and list the partitions. "
        "A daily job does the same."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        made, dropped = bodies.make_partitions(), bodies.drop_old()
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, since, until, bytes FROM webhooks_body_partition ORDER BY since NULLS LAST")
            for name, since, until, size in cursor.fetchall():
                span = f"{since:%Y-%m-%d} to {until:%Y-%m-%d}" if since and until else "default partition"
                self.stdout.write(f"{name}: {span}, {size // 1024} KiB")
        self.stdout.write(f"{made} made, {len(dropped)} dropped.")
