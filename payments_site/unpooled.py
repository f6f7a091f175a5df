"""One database connection outside the pool: health checks and metrics must answer while every pooled one is busy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections
from psycopg.errors import QueryCanceled

T = TypeVar("T")

TIMEOUT = 0.5
"""Seconds; also the connection's statement_timeout."""


class UnpooledConnection:
    """Runs one function at a time in its own thread, whose ``default`` connection belongs to no pool."""

    def __init__(self) -> None:
        self._free = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="unpooled")

    def run(self, function: Callable[[], T], timeout: float = TIMEOUT) -> T:
        """Return or raise what ``function`` does; ``TimeoutError`` after ``timeout`` seconds.

        A broken connection is replaced once.
        """
        end = time.monotonic() + timeout
        if not self._free.acquire(timeout=timeout):
            raise TimeoutError
        future = self._thread.submit(_run_unpooled, function)
        future.add_done_callback(lambda _: self._free.release())
        return future.result(max(0.0, end - time.monotonic()))

    def close(self) -> None:
        """Close the connection; nothing can be run afterwards."""
        self._thread.submit(lambda: connections[DEFAULT_DB_ALIAS].close()).result()
        self._thread.shutdown()


unpooled = UnpooledConnection()


def _run_unpooled(function: Callable[[], T]) -> T:
    if _belongs_to_pool() or _database_changed():
        connections[DEFAULT_DB_ALIAS].close()
        connections[DEFAULT_DB_ALIAS] = _unpooled_connection()
    try:
        return function()
    except (OperationalError, InterfaceError) as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise
        connections[DEFAULT_DB_ALIAS].close()
        return function()


def _belongs_to_pool() -> bool:
    return bool(connections[DEFAULT_DB_ALIAS].settings_dict["OPTIONS"].get("pool"))


def _database_changed() -> bool:
    """Tests point the site at another database."""
    return bool(connections.settings[DEFAULT_DB_ALIAS]["NAME"] != connections[DEFAULT_DB_ALIAS].settings_dict["NAME"])


def _unpooled_connection() -> Any:
    connection = connections.create_connection(DEFAULT_DB_ALIAS).copy()
    connection.settings_dict["OPTIONS"].pop("pool", None)
    connection.settings_dict["OPTIONS"]["options"] += f" -c statement_timeout={round(TIMEOUT * 1000)}"
    connection.settings_dict["CONN_MAX_AGE"] = None
    return connection
