"""Invariants: the suspense accounts equal the deposits in that status, in each mode."""

from __future__ import annotations

import pytest

from core import invariants
from ledger.services import invariant
from ledger.services.postings import pay_in
from tests.ledger.books import fund, when

pytestmark = pytest.mark.django_db


def faults(name: str) -> list[str]:
    (found,) = [one for one in invariants.all_invariants() if one.name == name]
    return [fault.message for fault in invariant.faults_of(found)]


def test_suspense_is_the_sum_of_suspended_deposits_in_each_mode(stp):
    raw = stp.deposit("646180157099999990", 70_000, claveRastreo="STRAY", id=1)
    assert stp.post(raw).status_code == 200
    assert faults("suspense_is_deposits") == []

    fund("suspense", 1)
    fund("suspense", 2, livemode=True)

    assert sorted(faults("suspense_is_deposits")) == [
        "live: suspense holds 2 centavos, suspended deposits say 0",
        "test: suspense holds 70001 centavos, suspended deposits say 70000",
    ]


def test_suspense_being_returned_is_the_sum_of_returning_deposits(stp):
    raw = stp.deposit("646180157099999990", 70_000, claveRastreo="STRAY", id=1)
    assert stp.post(raw).status_code == 200
    assert faults("suspense_reserved_is_deposits") == []

    pay_in.suspense_return_created(livemode=False, source="po_1", amount=70_000, when=when())

    assert faults("suspense_reserved_is_deposits") == [
        "test: suspense_reserved holds 70000 centavos, returning deposits say 0"
    ]
    assert faults("suspense_is_deposits") == ["test: suspense holds 0 centavos, suspended deposits say 70000"]
    pay_in.suspense_return_failed(livemode=False, source="po_1", amount=70_000, when=when())
    assert (faults("suspense_reserved_is_deposits"), faults("suspense_is_deposits")) == ([], [])
