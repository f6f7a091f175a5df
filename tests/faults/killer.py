"""Kills at moments that chance chooses, and remembers them: a seed repeats the whole storm."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable


class Killer:
    """Each ``strike`` waits up to ``within`` seconds and then does one of ``ways``: (name, how often, what to do).

    ``history`` says what was done when; pytest shows it with a failure.
    """

    def __init__(
        self, chance: random.Random, *ways: tuple[str, int, Callable[[], object]], within: float = 0.3
    ) -> None:
        self._ways = {name: work for name, _, work in ways}
        self._pack = [name for name, times, _ in ways for _ in range(times)]
        self._chance, self._within = chance, within
        self._next: list[str] = []
        self.history: list[str] = []
        self._began = time.monotonic()

    def strike(self) -> str:
        """The name of the way that was done; whoever calls brings to life again what is dead."""
        if not self._next:
            self._next = list(self._pack)
            self._chance.shuffle(self._next)
        way = self._next.pop()
        time.sleep(self._chance.uniform(0, self._within))
        self._ways[way]()
        self.history.append(way)
        print(f"{time.monotonic() - self._began:7.3f} s  {way}")  # noqa: T201 - pytest keeps it for a failure
        return way

    def counts(self) -> Counter[str]:
        """How often each way was done."""
        return Counter(self.history)
