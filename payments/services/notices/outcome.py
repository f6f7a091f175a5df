"""What applying a notice led to."""

from __future__ import annotations

from dataclasses import dataclass

CONFLICT = "conflict"
"""Begins the reason of an outcome that a person must look at: the notice contradicts what is booked."""

UNMATCHED = "unmatched"
"""Begins the reason of an outcome that may be another one later: what the notice is about is not here."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a notice led to. ``applied`` is False if nothing had to change; ``reason`` says why in one word.

    ``wait``: what it is about may appear in a moment, the answer to our own request being on its way. Try again.
    """

    applied: bool
    reason: str
    object_id: str = ""
    wait: bool = False


class Overtaken(Exception):
    """Another transaction has just stored the same money, or the same notice: roll back, and look again."""
