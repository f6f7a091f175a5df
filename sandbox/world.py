"""What the simulators take from outside themselves: the time, and chance. Both can be set from outside.

A test moves the clock to see what happens tomorrow, and gives a seed to see the same ids, names and references again.
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
FURTHEST = 10 * 365 * 86_400.0
"""Seconds that the clock can be moved by."""

T = TypeVar("T")


class World:
    """A clock that can be moved and a source of chance that can be seeded. Safe for threads."""

    def __init__(self, seed: int | None = None) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - toy money; without a seed it begins elsewhere each time
        self._lock = threading.Lock()
        self.shift = 0.0
        """Seconds by which this clock is ahead of the machine's."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time() + self.shift

    def moment(self) -> datetime:
        """The time in Mexico City."""
        return datetime.fromtimestamp(self.now(), MEXICO_CITY)

    def below(self, limit: int) -> int:
        """A whole number from 0 to ``limit`` - 1."""
        with self._lock:
            return self._chance.randrange(limit)

    def choice(self, choices: Sequence[T]) -> T:
        """One of ``choices``."""
        return choices[self.below(len(choices))]

    def hex(self, count: int) -> str:
        """``count`` bytes as hexadecimal digits."""
        return f"{self.below(256**count):0{2 * count}x}"
