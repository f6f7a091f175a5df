"""``manage.py openapi``: writes docs/openapi.json."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from payments_site.openapi import document


class Command(BaseCommand):
    """Writes the checked-in copy of the OpenAPI document."""

    help = "Write docs/openapi.json from the views. Needs no database."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        document.copy().write_bytes(document.as_bytes())
        self.stdout.write(f"{document.copy()}: {len(document.as_bytes())} bytes")
