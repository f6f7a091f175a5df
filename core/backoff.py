"""How long to wait before the next try."""

from __future__ import annotations

import random
from datetime import timedelta

_MOST_DOUBLINGS = 20
"""Keeps the product within what a timedelta holds, however many tries there were."""


def backoff(tries: int, *, first: timedelta, most: timedelta, jitter: float = 0.0) -> timedelta:
    """``first`` after no try, twice as long after each further one, at most ``most``.

    ``jitter``: the share by which the delay is randomly longer or shorter, so that a backlog does not come at once.
    """
    delay = min(first * 2 ** min(tries, _MOST_DOUBLINGS), most)
    if not jitter:
        return delay
    return delay * random.uniform(1 - jitter, 1 + jitter)  # noqa: S311 - spreads load, keeps no secret
