"""The gate for outgoing money: closed while an invariant is broken, for money in the scope of the fault."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from core.errors import ServiceUnavailable
from core.writes import fetch
from ledger.models import Breach
from merchants.models import Merchant


class GateClosed(ServiceUnavailable):
    """Outgoing money is stopped while the books are being checked."""

    code = "provider_unavailable"
    retry_after = 300

    def __init__(self, breach: Breach) -> None:
        super().__init__()
        self.breach = breach


@dataclass(frozen=True, slots=True, order=True)
class Broken:
    """A broken invariant and the modes in which it is broken."""

    name: str
    live: bool
    test: bool

    def __str__(self) -> str:
        modes = [mode for mode in ("live", "test") if getattr(self, mode)]
        return f"{self.name} ({' and '.join(modes)})"


def require_open(merchant: Merchant | None, *, livemode: bool, provider_account: str) -> None:
    """Raise ``GateClosed`` if a broken invariant stops this money from leaving through this account.

    ``provider_account`` is the account's public id; ``merchant`` is None for money without a merchant (suspense, penny
    tests). Call it immediately before an order is sent, not when it is created: a closed gate makes orders wait.
    """
    if not fetch("SELECT 1 FROM ledger_breach WHERE cleared_at IS NULL LIMIT 1", []):  # nearly always
        return
    breach = (
        Breach.objects.filter(cleared_at=None, provider_account__in=["", provider_account])
        .filter(Q(livemode=livemode) | Q(livemode=None))
        .filter(Q(merchant=merchant) | Q(merchant=None))
        .first()
    )
    if breach is not None:
        raise GateClosed(breach)


def broken() -> list[Broken]:
    """The invariants that are broken now, sorted by name."""
    open_breaches = Breach.objects.filter(cleared_at=None).values_list("invariant", "livemode")
    modes: dict[str, set[bool]] = {}
    for name, livemode in open_breaches.distinct().order_by():
        modes.setdefault(name, set()).update([True, False] if livemode is None else [livemode])
    return sorted(Broken(name, True in found, False in found) for name, found in modes.items())
