"""``manage.py columns``: writes docs/columns.md."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from payments_site import columns


class Command(BaseCommand):
    """Writes the generated page about the mutability of columns."""

    help = "Write docs/columns.md from the models. Needs no database."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        columns.copy().write_text(columns.page())
        self.stdout.write(str(columns.copy()))
