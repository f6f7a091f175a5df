"""Registering a funding CLABE with the provider: until it is accepted or refused, never twice at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.db import transaction

from core import clock
from core.errors import IllegalTransition
from merchants.models import Merchant
from payments.models import Clabe, ProviderCall
from payments.providers.calls import Outcome
from payments.providers.payout import RegistrationResult
from payments.services import clabe_registration
from tests.factories import topups

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def funding(merchant, script):
    return topups.funding_clabe(merchant)


def after(funding, script, *results):
    """Register once for each result, each time when it is due; the CLABE afterwards."""
    script.registrations = list(results)
    for _ in results:
        due = Clabe.objects.get(pk=funding.pk).registration_due_at
        with time_machine.travel(max(due, clock.now()) + timedelta(seconds=1), tick=False):
            clabe_registration.register_due()
    funding.refresh_from_db()
    return funding


ACCEPTED = RegistrationResult(Outcome.ACCEPTED)
IN_REVIEW = RegistrationResult(Outcome.ACCEPTED, in_review=True, detail="Cuenta en revisión.")
REFUSED = RegistrationResult(Outcome.REFUSED, code="1", detail="rfc/curp invalido")
NOT_SENT = RegistrationResult(Outcome.NOT_SENT, detail="no connection")
UNKNOWN = RegistrationResult(Outcome.UNKNOWN, detail="STP answered HTTP 502.")


@pytest.mark.parametrize(
    ("results", "state"),
    [
        ([ACCEPTED], "active"),
        ([IN_REVIEW], "pending"),
        ([IN_REVIEW, ACCEPTED], "active"),
        ([REFUSED], "refused"),
        ([NOT_SENT], "pending"),
        ([UNKNOWN], "pending"),
        ([NOT_SENT, UNKNOWN, IN_REVIEW, ACCEPTED], "active"),
        ([UNKNOWN, REFUSED], "refused"),
    ],
)
def test_a_registration_ends_as_the_provider_says(funding, script, results, state):
    clabe = after(funding, script, *results)

    assert (clabe.registration, clabe.registration_detail) == (state, results[-1].detail)
    assert (clabe.registration_due_at is not None) == (state == "pending")
    assert [known for known, _ in script.registered] == [clabe.clabe] * len(results)
    assert ProviderCall.objects.filter(object_id=clabe.public_id).count() == len(results)


def test_the_holder_is_the_merchant(funding, script, merchant):
    after(funding, script, ACCEPTED)

    ((_, holder),) = script.registered
    assert (holder.name, holder.tax_id, str(holder.born_or_founded_on)) == (
        merchant.legal_name,
        topups.TAX_ID,
        "2015-01-01",
    )


def test_failed_requests_are_further_and_further_apart(funding, script):
    waits = []
    for _ in range(4):
        clabe = after(funding, script, NOT_SENT)
        with time_machine.travel(clabe.registration_due_at, tick=False):
            waits.append(clabe.registration_due_at)

    gaps = [second - first for first, second in zip(waits, waits[1:], strict=False)]
    assert gaps == sorted(gaps)
    assert gaps[0] > timedelta(seconds=90)


def test_what_is_not_due_or_settled_is_not_asked(funding, script):
    after(funding, script, IN_REVIEW)
    clabe_registration.register(funding.pk)
    assert len(script.registered) == 1

    after(funding, script, ACCEPTED)
    clabe_registration.register(funding.pk)
    clabe_registration.register_due()

    assert len(script.registered) == 2


def test_a_refused_one_is_asked_again_with_corrected_data(funding, script, merchant):
    after(funding, script, REFUSED)
    Merchant.objects.filter(pk=merchant.pk).update(tax_id="CLU160202XY9")

    with transaction.atomic():
        clabe_registration.again(funding.pk)
    clabe = after(funding, script, ACCEPTED)

    assert clabe.registration == "active"
    assert script.registered[-1][1].tax_id == "CLU160202XY9"
    with pytest.raises(IllegalTransition), transaction.atomic():
        clabe_registration.again(funding.pk)


def test_data_that_were_removed_meanwhile_refuse_it_visibly(funding, script, merchant):
    Merchant.objects.filter(pk=merchant.pk).update(tax_id="")

    clabe_registration.register_due()

    funding.refresh_from_db()
    assert (funding.registration, funding.registration_detail) == ("refused", "The merchant's RFC is missing.")
    assert script.registered == []
