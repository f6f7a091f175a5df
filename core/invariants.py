"""Registry of invariants; each app registers its own in ``ready()``.

The ledger runs the checks in tests, in ``manage.py audit_ledger`` and periodically; a broken invariant closes the gate
for outgoing money.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One violation of an invariant. ``merchant_id``: database id of the merchant, if only one is affected."""

    message: str
    merchant_id: int | None = None


@dataclass(frozen=True, slots=True)
class Invariant:
    """A named rule about the books. ``find`` yields its violations; none means that it holds."""

    name: str
    meaning: str
    find: Callable[[], Iterable[Fault]]


_registered: dict[str, Invariant] = {}


def register(name: str, meaning: str, find: Callable[[], Iterable[Fault]]) -> None:
    """Register an invariant. Raises ``ValueError`` if the name is taken."""
    known = _registered.get(name)
    if known is not None and known.find is not find:
        raise ValueError(f"the invariant {name} is registered already")
    _registered[name] = Invariant(name, meaning, find)


def all_invariants() -> list[Invariant]:
    """Every registered invariant, sorted by name."""
    return [_registered[name] for name in sorted(_registered)]
