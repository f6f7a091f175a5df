"""Creation and closing of reusable CLABEs. ``payments.services.notice`` books their deposits.

``payments.services.clabe_registration`` registers funding CLABEs with the provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core import clock
from core.db import transaction_required
from core.errors import IllegalTransition
from core.state import Origin
from core.unit_of_work import joined
from merchants.models import Merchant
from payments.models import Clabe, ProviderAccount
from payments.providers import registry
from payments.providers.stp import clabes
from payments.services import clabe_number, clabe_registration
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
        clabe=_next_number(account),
        label=wanted.label,
        customer_name=wanted.customer_name,
        customer_email=wanted.customer_email,
        customer_phone=wanted.customer_phone,
        min_amount=wanted.min_amount,
        max_amount=wanted.max_amount,
        metadata=dict(wanted.metadata),
    )
    _insert(clabe, origin)
    return clabe


@transaction_required
def create_funding(merchant: Merchant, *, livemode: bool, origin: Origin) -> Clabe:
    """The merchant's funding CLABE in this mode; without one, create it and let the worker register it.

    Raises the errors of ``create``, and ``InvalidRequest`` if the merchant lacks what a registration needs.
    """
    merchant = Merchant.objects.select_for_update(no_key=True).get(pk=merchant.pk)
    known = Clabe.objects.filter(merchant=merchant, livemode=livemode, purpose=Clabe.Purpose.FUNDING).first()
    if known is not None:
        return known
    clabe_registration.holder(merchant)
    account = account_for(merchant, registry.CLABE_METHOD.name, livemode=livemode)
    clabe = Clabe(
        merchant=merchant,
        livemode=livemode,
        provider_account=account,
        clabe=_next_number(account),
        purpose=Clabe.Purpose.FUNDING,
        registration=Clabe.Registration.PENDING,
        registration_due_at=clock.now(),
    )
    _insert(clabe, origin)
    clabe_registration.defer(clabe)
    return clabe


def _next_number(account: ProviderAccount) -> str:
    return clabes.build(account.clabe_prefix or "", clabe_number.take(account))


def _insert(clabe: Clabe, origin: Origin) -> None:
    with joined() as writes:
        writes.insert(clabe)
        record_clabe(clabe, from_status="", origin=origin, event_type="clabe.created")


@transaction_required
def close(clabe_id: int, *, origin: Origin) -> Clabe:
    """Close a CLABE; closing it again changes nothing. Transfers sent before are still accepted.

    Raises ``IllegalTransition`` for a funding CLABE.
    """
    clabe = Clabe.objects.select_for_update(of=("self",)).select_related("merchant").get(pk=clabe_id)
    if clabe.status == Clabe.Status.CLOSED:
        return clabe
    if clabe.purpose == Clabe.Purpose.FUNDING:
        raise IllegalTransition("A funding CLABE stays open: it is how you add money to your balance.")
    before = clabe.status
    clabe.close(at=clock.now())
    clabe.save(update_fields=["status", "closed_at"])
    record_clabe(clabe, from_status=before, origin=origin, event_type="clabe.closed")
    return clabe
