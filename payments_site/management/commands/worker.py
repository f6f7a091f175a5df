"""``manage.py worker``: runs background jobs, each lane with its own concurrency and connections."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections
from procrastinate import PsycopgConnector
from procrastinate.contrib.django import app, connector_params
from procrastinate.exceptions import ConnectorException

from core.jobs import Lane
from payments_site import env, startup
from payments_site.checks import QUEUE_CONNECTIONS, SENDER_CONNECTIONS
from webhooks.outbound.services.sender import Sender

logger = logging.getLogger(__name__)

HARD_STOP_AFTER = 3.0
"""Seconds after the grace period until the process exits even if a job still hangs."""
AGAIN_AFTER = 1.0
"""Seconds between losing the database and reconnecting."""
CONNECTION_WAIT = 2.0
"""Seconds the queue waits for a connection; psycopg's default of 30 would be slow to notice an outage."""
STATEMENT_TIMEOUT = "60s"
"""Jobs may run longer statements than requests."""


def prepare_database(jobs: int) -> None:
    """Resize this process's pool to one connection per concurrent job (and sender), raise its statement timeout."""
    connection: Any = connections[DEFAULT_DB_ALIAS]
    connection.close()
    connection.close_pool()
    # Settings are shared by all threads, so this applies to all new sessions, the queue's included.
    options = connection.settings_dict["OPTIONS"]
    options["options"] += f" -c statement_timeout={STATEMENT_TIMEOUT}"
    if isinstance(options.get("pool"), dict):
        options["pool"]["max_size"] = jobs


class Command(BaseCommand):
    """Runs background jobs until a stop signal; running jobs may finish."""

    help = (
        "Run background jobs until SIGTERM or Ctrl-C; running jobs get --grace seconds to finish. The lanes: "
        "money (notices, expiries, the books), providers (calls to STP and Conekta), deliver (webhooks to merchants) "
        "and slow (reports, clean-up). No lane waits for another one. WORKER_CONCURRENCY sets their sizes."
    )
    requires_system_checks = []  # startup.worker runs and logs them

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--lanes", default=",".join(Lane), help="Lanes to run, separated by commas (default all).")
        parser.add_argument("--grace", type=float, default=20, help="Seconds to finish running jobs (default 20).")

    def handle(self, *args: Any, **options: Any) -> None:
        lanes = _lanes(options["lanes"])
        startup.worker(signs=Lane.PROVIDERS in lanes)
        prepare_database(sum(lanes.values()) + (SENDER_CONNECTIONS if Lane.DELIVER in lanes else 0))
        asyncio.run(self._run(lanes, options["grace"]))

    async def _run(self, lanes: Mapping[Lane, int], grace: float) -> None:
        # Jobs run in the loop's executor. With one thread per concurrent job no lane waits for another.
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(sum(lanes.values()) + len(lanes), thread_name_prefix="job"))
        self._starting = set(lanes)
        sender = Sender() if Lane.DELIVER in lanes else None
        if sender is not None:
            threading.Thread(target=sender.run, name="sender", daemon=True).start()
        work = asyncio.gather(*[self._work(lane, jobs, grace) for lane, jobs in lanes.items()])

        def stop() -> None:
            deadline = threading.Timer(grace + HARD_STOP_AFTER, os._exit, args=(1,))
            deadline.daemon = True
            deadline.start()
            if sender is not None:
                sender.stop()
            work.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        try:
            await work
        except asyncio.CancelledError:
            if sender is not None:
                await asyncio.to_thread(sender.wait, grace)
            self._say("worker: stopped")

    async def _work(self, lane: Lane, jobs: int, grace: float) -> None:
        """Run a lane's jobs forever, restarting procrastinate's worker when it loses the database."""
        while True:
            connector = PsycopgConnector(
                kwargs=connector_params(), timeout=CONNECTION_WAIT, min_size=1, max_size=QUEUE_CONNECTIONS
            )
            lane_app = app.with_connector(connector)
            try:
                async with lane_app.open_async():
                    self._ready(lane)
                    await lane_app.run_worker_async(
                        queues=[lane],
                        name=lane,
                        concurrency=jobs,
                        shutdown_graceful_timeout=grace,
                        install_signal_handlers=False,
                        delete_jobs="successful",  # some run every few seconds
                    )
            except (psycopg.Error, ConnectorException) as error:
                logger.warning("the worker lost the database", exc_info=error, extra={"lane": lane})
            await asyncio.sleep(AGAIN_AFTER)

    def _ready(self, lane: Lane) -> None:
        if lane in self._starting:
            self._starting.remove(lane)
            if not self._starting:
                self._say("worker: ready")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _lanes(text: str) -> dict[Lane, int]:
    """The lanes of a comma-separated list with their concurrency."""
    wanted = {word.strip() for word in text.split(",") if word.strip()}
    unknown = sorted(wanted - set(Lane))
    if unknown or not wanted:
        raise CommandError(f"There is no lane {', '.join(unknown) or '(none given)'}; there are {', '.join(Lane)}.")
    concurrency = env.Worker.from_env().concurrency
    return {lane: concurrency[lane] for lane in Lane if lane in wanted}
