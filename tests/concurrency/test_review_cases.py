"""Eight people decide about one case at the same moment: the money moves once."""

from __future__ import annotations

import pytest
from django.db import transaction

from core.errors import IllegalTransition
from core.state import Origin, TransitionRow
from ledger.models import Transaction
from ledger.services import balance
from payments.models import ReviewCase
from payments.services import review_case
from tests.concurrency.threads import at_once

pytestmark = pytest.mark.usefixtures("committed_db")


def test_a_case_is_decided_once_whoever_decides_how(api, stp, merchant, other_merchant):
    made = api.post("/v1/payments", {"method": "spei", "amount": 100_000, "currency": "MXN"}).json()
    for number in range(5):
        stp.post(stp.deposit(made["spei"]["clabe"], 1_000 + number, claveRastreo=f"C{number}"))

    for case in ReviewCase.objects.all():

        def decide(number: int, pk: int = case.pk) -> str:
            origin = Origin(TransitionRow.Cause.STAFF, f"staff{number}")
            try:
                with transaction.atomic():
                    if number % 2:
                        review_case.credit(pk, origin=origin, reason="seen")
                    else:
                        review_case.assign(pk, other_merchant.public_id, origin=origin, reason="seen")
            except IllegalTransition:
                return "refused"
            return "done"

        said = at_once([lambda number=number: decide(number) for number in range(8)])

        assert sorted(said) == ["done", *["refused"] * 7]
        assert case.transitions.count() == 2

    assert Transaction.objects.filter(kind="suspense_assigned").count() == 5
    assert "suspense" not in {k: v for k, v in balance.of_platform(livemode=False).items() if v}
