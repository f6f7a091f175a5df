"""The gate in front of outgoing money: closed while an invariant is broken, for one merchant or for all."""

from __future__ import annotations

from django.db.models import Q

from core.errors import ServiceUnavailable
from ledger.models import Breach
from merchants.models import Merchant


class GateClosed(ServiceUnavailable):
    """Outgoing money is stopped while the books are being checked."""

    code = "provider_unavailable"
    retry_after = 300

    def __init__(self, breach: Breach) -> None:
        super().__init__()
        self.breach = breach


def require_open(merchant: Merchant) -> None:
    """Raise ``GateClosed`` if a broken invariant stops this merchant's outgoing money, or everybody's."""
    breach = Breach.objects.filter(Q(merchant=merchant) | Q(merchant=None), cleared_at=None).first()
    if breach is not None:
        raise GateClosed(breach)


def broken() -> list[str]:
    """Names of the invariants that are known to be broken now."""
    return sorted(set(Breach.objects.filter(cleared_at=None).values_list("invariant", flat=True)))
