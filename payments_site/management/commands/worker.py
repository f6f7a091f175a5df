from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from procrastinate.contrib.django import app


class Command(BaseCommand):
    """Runs background jobs until SIGTERM; a running job is finished first."""

    help = "Run background jobs until SIGTERM or Ctrl-C; running jobs are finished first (up to 20 s)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--concurrency", type=int, default=4, help="Jobs at once (default 4).")

    def handle(self, *args: Any, **options: Any) -> None:
        worker_app = app.with_connector(app.connector.get_worker_connector())  # type: ignore[attr-defined]
        self.stdout.write("worker: ready")
        self.stdout.flush()
        with worker_app.open():
            worker_app.run_worker(
                concurrency=options["concurrency"], shutdown_graceful_timeout=20, install_signal_handlers=True
            )
