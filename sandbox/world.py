"""The simulators' clock and random numbers, both under a test's control.

A test shifts the clock to simulate another day, and sets a seed to get the same ids, names and references again.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

MEXICO_CITY = ZoneInfo("America/Mexico_City")
MAX_SHIFT = 10 * 365 * 86_400.0
"""Largest shift of the clock, in seconds."""

T = TypeVar("T")


class World:
    """A clock that can be shifted and a random generator that can be seeded. Thread-safe."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311 - play money; seeded by the system without a seed
        self._lock = threading.Lock()
        self.shift = 0.0
        """Seconds by which this clock is ahead of the system clock."""

    def now(self) -> float:
        """The current time in Unix seconds."""
        return time.time() + self.shift

    def moment(self) -> datetime:
        """The current time in Mexico City."""
        return datetime.fromtimestamp(self.now(), MEXICO_CITY)

    def below(self, limit: int) -> int:
        """A random integer from 0 to ``limit`` - 1."""
        with self._lock:
            return self._random.randrange(limit)

    def choice(self, choices: Sequence[T]) -> T:
        """A random element of ``choices``."""
        return choices[self.below(len(choices))]

    def hex(self, count: int) -> str:
        """``count`` random bytes as hexadecimal digits."""
        return f"{self.below(256**count):0{2 * count}x}"
