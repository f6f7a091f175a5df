"""Real threads for tests of concurrency: all start at the same moment, each with a database connection of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def at_once(work: Sequence[Callable[[], T]]) -> list[T]:
    """Results of all of ``work`` in its order, each called in a thread; the first error is raised when all ended."""
    start = threading.Barrier(len(work))

    def run(call: Callable[[], T]) -> T:
        start.wait(timeout=300)
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(work)) as pool:
        return [future.result() for future in [pool.submit(run, call) for call in work]]


@contextmanager
def beside(work: Callable[[], object], *, ends: threading.Event) -> Iterator[None]:
    """``work`` in a thread beside the block, which tells it its end by ``ends``; its error is raised then."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(run)
        try:
            yield
        finally:
            ends.set()
        working.result()


def soon(condition: Callable[[], bool], *, seconds: float = 180) -> bool:
    """True as soon as ``condition`` holds, False if it does not within ``seconds`` (a busy machine's patience)."""
    until = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < until:
        time.sleep(0.01)
    return held
