"""Registration of funding CLABEs with the provider, in the name of the merchant.

The worker asks until the provider accepts or refuses; every request may be repeated. A registration that the provider
still reviews is asked for again: a CLABE that the provider has is accepted at once.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction

from core import clock, jobs
from core.backoff import backoff
from core.db import transaction_forbidden, transaction_required
from core.errors import FieldError, IllegalTransition, InvalidRequest
from merchants.models import Merchant
from payments.models import Clabe
from payments.providers.calls import Outcome
from payments.providers.payout import ClabeHolder, RegistrationResult
from payments.services import provider_client

logger = logging.getLogger(__name__)

_RETRY = timedelta(minutes=1)
_RETRY_MAX = timedelta(hours=6)
_REVIEW = timedelta(hours=1)
"""Delay before the provider is asked again about a CLABE that it reviews."""
_LEASE = timedelta(minutes=2)
"""Longer than a request can take."""
BATCH = 100


def holder(merchant: Merchant) -> ClabeHolder:
    """In whose name the merchant's CLABE is registered.

    Raises ``InvalidRequest`` naming what staff must complete. Only companies (an RFC of twelve characters) are
    registered: a person's names are not stored separately.
    """
    missing = [
        FieldError(name, "required", message)
        for name, message in (
            ("legal_name", "The merchant's legal name is missing."),
            ("tax_id", "The merchant's RFC is missing."),
            ("incorporated_on", "The merchant's date of incorporation is missing."),
        )
        if not getattr(merchant, name)
    ]
    if missing:
        raise InvalidRequest(missing[0].message, errors=missing)
    if merchant.incorporated_on is None or len(merchant.tax_id) != 12:
        message = "A CLABE is registered for a company only: its RFC has twelve characters."
        raise InvalidRequest(message, errors=[FieldError("tax_id", "invalid", message)])
    return ClabeHolder(tax_id=merchant.tax_id, name=merchant.legal_name, born_or_founded_on=merchant.incorporated_on)


def defer(clabe: Clabe) -> None:
    """Let the worker register it."""
    jobs.defer("payments.register_clabe", queueing_lock=f"clabe:{clabe.public_id}", clabe_id=clabe.pk)


@transaction_forbidden
def register(clabe_id: int) -> None:
    """Ask the provider to register the CLABE. Does nothing if that is not due."""
    clabe = _begin(clabe_id)
    if clabe is not None:
        _finish(clabe, _ask(clabe))


@transaction_forbidden
def register_due() -> int:
    """Register the CLABEs whose request is due; returns how many were tried."""
    due = Clabe.objects.filter(registration_due_at__lte=clock.now()).order_by("registration_due_at")
    found = list(due.values_list("pk", flat=True)[:BATCH])
    for clabe_id in found:
        register(clabe_id)
    return len(found)


@transaction_required
def again(clabe_id: int) -> Clabe:
    """Ask once more for a refused CLABE, e.g. after the merchant's data were corrected.

    Raises ``IllegalTransition`` if it is not refused, ``InvalidRequest`` as ``holder``.
    """
    clabe = Clabe.objects.select_for_update(of=("self",)).select_related("merchant").get(pk=clabe_id)
    if clabe.registration != Clabe.Registration.REFUSED:
        raise IllegalTransition("Only a refused registration is asked for again.")
    holder(clabe.merchant)
    clabe.registration, clabe.registration_tries = Clabe.Registration.PENDING, 0
    clabe.registration_due_at = clock.now()
    clabe.save(update_fields=["registration", "registration_tries", "registration_due_at"])
    defer(clabe)
    return clabe


@transaction.atomic
def _begin(clabe_id: int) -> Clabe | None:
    """The CLABE, leased for one request; None if no request is due."""
    clabe = (
        Clabe.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("merchant", "provider_account")
        .filter(pk=clabe_id, registration=Clabe.Registration.PENDING, registration_due_at__lte=clock.now())
        .first()
    )
    if clabe is not None:
        clabe.registration_due_at = clock.now() + _LEASE
        clabe.registration_tries = min(clabe.registration_tries + 1, 32_000)
        clabe.save(update_fields=["registration_due_at", "registration_tries"])
    return clabe


def _ask(clabe: Clabe) -> RegistrationResult:
    account = clabe.provider_account
    try:
        if not provider_client.can_connect(account):
            return RegistrationResult(Outcome.NOT_SENT, detail="The provider account cannot be called.")
        client = provider_client.connect_for_payouts(account, about=clabe.public_id)
    except (OSError, ValueError) as error:  # a key or an address of ours is wrong
        return RegistrationResult(Outcome.NOT_SENT, detail=str(error))
    try:
        return client.register_clabe(clabe.clabe, holder(clabe.merchant))
    except InvalidRequest as error:
        return RegistrationResult(Outcome.REFUSED, detail=error.message)
    except ValueError as error:
        return RegistrationResult(Outcome.REFUSED, detail=str(error))


def _finish(clabe: Clabe, result: RegistrationResult) -> None:
    """Store the result, unless another process has finished meanwhile."""
    states, now = Clabe.Registration, clock.now()
    state, due = states.PENDING, None
    if result.outcome == Outcome.REFUSED:
        state = states.REFUSED
        logger.error("funding CLABE refused", extra={"clabe": clabe.public_id, "why": result.code or result.detail})
    elif result.outcome == Outcome.ACCEPTED and not result.in_review:
        state = states.ACTIVE
    elif result.outcome == Outcome.ACCEPTED:
        due = now + _REVIEW
    else:
        due = now + backoff(clabe.registration_tries - 1, first=_RETRY, most=_RETRY_MAX, jitter=0.2)
    Clabe.objects.filter(pk=clabe.pk, registration=states.PENDING).update(
        registration=state, registration_detail=result.detail[:300], registration_due_at=due
    )
