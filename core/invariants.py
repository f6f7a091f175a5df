"""What must hold, always: a registry that every app adds to from its ``ready()``.

The ledger runs the registered checks in tests, in ``manage.py audit_ledger`` and periodically; a broken one closes the
gate for outgoing money.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which an invariant does not hold. ``merchant_id``: the database id of the only merchant concerned."""

    message: str
    merchant_id: int | None = None


@dataclass(frozen=True, slots=True)
class Invariant:
    """A named statement about the books. ``find`` yields its faults; none means that it holds."""

    name: str
    meaning: str
    find: Callable[[], Iterable[Fault]]


_registered: dict[str, Invariant] = {}


def register(name: str, meaning: str, find: Callable[[], Iterable[Fault]]) -> None:
    """Add an invariant; ``ValueError`` if another one has its name."""
    known = _registered.get(name)
    if known is not None and known.find is not find:
        raise ValueError(f"the invariant {name} is registered already")
    _registered[name] = Invariant(name, meaning, find)


def all_invariants() -> list[Invariant]:
    """Every registered invariant, by name."""
    return [_registered[name] for name in sorted(_registered)]
