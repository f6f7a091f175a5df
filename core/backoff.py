"""Exponential backoff with jitter."""

from __future__ import annotations

import random
from datetime import timedelta

_MOST_DOUBLINGS = 20
"""Keeps the delay within the range of timedelta."""


def backoff(tries: int, *, first: timedelta, most: timedelta, jitter: float = 0.0) -> timedelta:
    """The delay after ``tries`` failed attempts: ``first`` for 0, doubled with each further one, at most ``most``.

    ``jitter``: fraction by which the delay varies at random, so that a backlog is not retried all at once.
    """
    delay = min(first * 2 ** min(tries, _MOST_DOUBLINGS), most)
    if not jitter:
        return delay
    return delay * random.uniform(1 - jitter, 1 + jitter)  # noqa: S311 - spreads load, keeps no secret
