"""Outcomes of applying a notice."""

from __future__ import annotations

from dataclasses import dataclass

CONFLICT = "conflict"
"""Prefix of the reason of an outcome that staff must review: the notice contradicts what is booked."""

UNMATCHED = "unmatched"
"""Prefix of the reason of an outcome that may change later: the target does not exist."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a notice. ``applied`` is False if nothing had to change; ``reason`` says why, usually in one word.

    ``wait``: retry later, because the target may be about to appear: our own request is still in flight.
    """

    applied: bool
    reason: str
    object_id: str = ""
    wait: bool = False


class Overtaken(Exception):
    """A concurrent transaction stored the same deposit or notice: roll back and start over."""
