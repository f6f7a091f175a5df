from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from procrastinate.contrib.django import app

HARD_STOP_AFTER = 3.0
"""Seconds beyond the grace after which the process ends whatever it is waiting for (a database that is gone)."""


class Command(BaseCommand):
    """Runs background jobs until it is asked to stop; running jobs are finished first."""

    help = "Run background jobs until SIGTERM or Ctrl-C; running jobs get --grace seconds to finish."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--concurrency", type=int, default=4, help="Jobs at once (default 4).")
        parser.add_argument("--grace", type=float, default=20, help="Seconds to finish running jobs (default 20).")

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(self._run(options["concurrency"], options["grace"]))

    async def _run(self, concurrency: int, grace: float) -> None:
        worker_app = app.with_connector(app.connector.get_worker_connector())  # type: ignore[attr-defined]
        async with worker_app.open_async():
            work = asyncio.create_task(
                worker_app.run_worker_async(
                    concurrency=concurrency, shutdown_graceful_timeout=grace, install_signal_handlers=False
                )
            )

            def stop() -> None:
                deadline = threading.Timer(grace + HARD_STOP_AFTER, os._exit, args=(1,))
                deadline.daemon = True
                deadline.start()
                work.cancel()

            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stop)
            self.stdout.write("worker: ready")
            self.stdout.flush()
            try:
                await work
            except asyncio.CancelledError:
                self.stdout.write("worker: stopped")
