from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections
from procrastinate import PsycopgConnector
from procrastinate.contrib.django import app, connector_params
from procrastinate.exceptions import ConnectorException

from payments_site import start

logger = logging.getLogger(__name__)

HARD_STOP_AFTER = 3.0
"""Seconds beyond the grace after which the process ends whatever it is waiting for (a database that is gone)."""
AGAIN_AFTER = 1.0
"""Seconds between losing the database and looking for it again."""
CONNECTION_WAIT = 2.0
"""Seconds that the queue waits for a connection; with psycopg's 30 a short outage would take as long to notice."""
STATEMENT_TIMEOUT = "60s"
"""A job may take longer over one statement than a request may."""


def allow_long_statements() -> None:
    """From now on this process's database sessions bear statements of ``STATEMENT_TIMEOUT``."""
    connection: Any = connections[DEFAULT_DB_ALIAS]
    connection.close()
    connection.close_pool()
    # Settings are shared by all threads: each session that begins from here on has them, the queue's own as well.
    connection.settings_dict["OPTIONS"]["options"] += f" -c statement_timeout={STATEMENT_TIMEOUT}"


class Command(BaseCommand):
    """Runs background jobs until it is asked to stop; running jobs are finished first."""

    help = "Run background jobs until SIGTERM or Ctrl-C; running jobs get --grace seconds to finish."
    requires_system_checks = []  # made at start, and said in the log like everything else

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--concurrency", type=int, default=4, help="Jobs at once (default 4).")
        parser.add_argument("--grace", type=float, default=20, help="Seconds to finish running jobs (default 20).")

    def handle(self, *args: Any, **options: Any) -> None:
        start.worker()
        allow_long_statements()
        asyncio.run(self._run(options["concurrency"], options["grace"]))

    async def _run(self, concurrency: int, grace: float) -> None:
        work = asyncio.create_task(self._work(concurrency, grace))

        def stop() -> None:
            deadline = threading.Timer(grace + HARD_STOP_AFTER, os._exit, args=(1,))
            deadline.daemon = True
            deadline.start()
            work.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        try:
            await work
        except asyncio.CancelledError:
            self._say("worker: stopped")

    async def _work(self, concurrency: int, grace: float) -> None:
        """Run jobs for ever. Losing the database ends procrastinate's worker; another begins when it is back."""
        while True:
            connector = PsycopgConnector(kwargs=connector_params(), timeout=CONNECTION_WAIT)
            worker_app = app.with_connector(connector)
            try:
                async with worker_app.open_async():
                    self._say("worker: ready")
                    await worker_app.run_worker_async(
                        concurrency=concurrency,
                        shutdown_graceful_timeout=grace,
                        install_signal_handlers=False,
                        delete_jobs="successful",  # some run every few seconds
                    )
            except (psycopg.Error, ConnectorException) as error:
                logger.warning("the worker lost the database", exc_info=error)
            await asyncio.sleep(AGAIN_AFTER)

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
