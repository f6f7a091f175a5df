"""One database connection beside the pool: health and metrics must answer while every pooled connection is busy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections
from psycopg.errors import QueryCanceled

T = TypeVar("T")

PATIENCE = 0.5
"""Seconds after which nobody waits any longer."""


class Aside:
    """Runs one function at a time in a thread of its own, whose ``default`` connection belongs to no pool."""

    def __init__(self) -> None:
        self._free = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aside")

    def run(self, function: Callable[[], T], patience: float = PATIENCE) -> T:
        """What ``function`` returns or raises; ``TimeoutError`` if that takes longer than ``patience`` seconds.

        A connection that broke since the last time is replaced once.
        """
        end = time.monotonic() + patience
        if not self._free.acquire(timeout=patience):
            raise TimeoutError
        future = self._thread.submit(_over_own_connection, function)
        future.add_done_callback(lambda _: self._free.release())
        return future.result(max(0.0, end - time.monotonic()))

    def close(self) -> None:
        """Give the connection back; nothing can be run afterwards."""
        self._thread.submit(lambda: connections[DEFAULT_DB_ALIAS].close()).result()
        self._thread.shutdown()


aside = Aside()


def _over_own_connection(function: Callable[[], T]) -> T:
    if _belongs_to_pool() or _is_elsewhere():
        connections[DEFAULT_DB_ALIAS].close()
        connections[DEFAULT_DB_ALIAS] = _own()
    try:
        return function()
    except (OperationalError, InterfaceError) as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise
        connections[DEFAULT_DB_ALIAS].close()
        return function()


def _belongs_to_pool() -> bool:
    return bool(connections[DEFAULT_DB_ALIAS].settings_dict["OPTIONS"].get("pool"))


def _is_elsewhere() -> bool:
    """Tests point the site at another database."""
    return bool(connections.settings[DEFAULT_DB_ALIAS]["NAME"] != connections[DEFAULT_DB_ALIAS].settings_dict["NAME"])


def _own() -> Any:
    own = connections.create_connection(DEFAULT_DB_ALIAS).copy()
    own.settings_dict["OPTIONS"].pop("pool", None)
    own.settings_dict["OPTIONS"]["options"] += f" -c statement_timeout={round(PATIENCE * 1000)}"
    own.settings_dict["CONN_MAX_AGE"] = None
    return own
