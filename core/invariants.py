"""Registry of invariants; each app registers its own in ``ready()``.

The ledger runs the checks in tests, in ``manage.py audit_ledger`` and periodically; a broken invariant closes the gate
for the outgoing money that it concerns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One violation of an invariant, and whose outgoing money it stops.

    ``livemode``: the only mode affected; None for both. ``merchant_id``: database id of the merchant, if only one is
    affected. ``provider_account``: public id of the only account at a provider affected, "" for all. A merchant's money
    and an account belong to one mode: ``ValueError`` for either without ``livemode``.
    """

    message: str
    merchant_id: int | None = None
    livemode: bool | None = None
    provider_account: str = ""

    def __post_init__(self) -> None:
        if self.livemode is None and (self.merchant_id is not None or self.provider_account):
            raise ValueError("a fault of a merchant or a provider account names its mode")


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
