"""Creation and closing of reusable CLABEs. ``payments.services.notice`` books their deposits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core import clock
from core.db import transaction_required
from core.state import Origin
from core.unit_of_work import joined
from merchants.models import Merchant
from payments.models import Clabe
from payments.providers import registry
from payments.providers.stp import clabes
from payments.services import clabe_number
from payments.services.payment import account_for
from payments.services.transition import record_clabe


@dataclass(frozen=True, slots=True)
class NewClabe:
    """A valid request for a reusable CLABE. Amounts in centavos; None: no limit."""

    label: str = ""
    customer_name: str = ""
    customer_email: str = ""
    customer_phone: str = ""
    min_amount: int | None = None
    max_amount: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@transaction_required
def create(merchant: Merchant, *, livemode: bool, wanted: NewClabe, origin: Origin) -> Clabe:
    """Create a reusable CLABE.

    Raises ``KycRequired`` and ``ProviderUnavailable`` like the creation of a SPEI payment.
    """
    account = account_for(merchant, registry.CLABE_METHOD.name, livemode=livemode)
    clabe = Clabe(
        merchant=merchant,
        livemode=livemode,
        provider_account=account,
        clabe=clabes.build(account.clabe_prefix or "", clabe_number.take(account)),
        label=wanted.label,
        customer_name=wanted.customer_name,
        customer_email=wanted.customer_email,
        customer_phone=wanted.customer_phone,
        min_amount=wanted.min_amount,
        max_amount=wanted.max_amount,
        metadata=dict(wanted.metadata),
    )
    with joined() as writes:
        writes.insert(clabe)
        record_clabe(clabe, from_status="", origin=origin, event_type="clabe.created")
    return clabe


@transaction_required
def close(clabe_id: int, *, origin: Origin) -> Clabe:
    """Close a CLABE; closing it again changes nothing. Transfers sent before are still accepted."""
    clabe = Clabe.objects.select_for_update(of=("self",)).select_related("merchant").get(pk=clabe_id)
    if clabe.status == Clabe.Status.CLOSED:
        return clabe
    before = clabe.status
    clabe.close(at=clock.now())
    clabe.save(update_fields=["status", "closed_at"])
    record_clabe(clabe, from_status=before, origin=origin, event_type="clabe.closed")
    return clabe
