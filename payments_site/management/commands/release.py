"""``manage.py release``: see ``payments_site.release``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from payments_site.release import ReleaseError, release


class Command(BaseCommand):
    """Updates the database for this code. The only command that migrates."""

    help = "Update the database for this code: migrate, grant rights to the application's role, verify, record."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--release-version", default="development", help="What is released, e.g. an image digest.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = release(options["release_version"], say=self.stdout.write)
        except ReleaseError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Released {done.version}: {done.migrations} migrations applied.")
