"""What two people may decide about a payout, and what no one may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.db import connection, transaction
from django.db.utils import IntegrityError

from core import clock
from core.errors import IllegalTransition, InvalidRequest
from merchants.models import Event
from payments.models import Payout, PayoutResolution
from payments.services import payout_resolution
from staff.services import approval
from tests.factories.payouts import as_sent, balances, wanted

pytestmark = pytest.mark.django_db

PDF = b"%PDF-1.7\n%%EOF"


def person(name: str) -> User:
    user = User.objects.create_user(name, is_staff=True)
    names = ["add_approval", "decide_approval", "resolve_payout"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return User.objects.get(pk=user.pk)


@pytest.fixture
def ana(db: None) -> User:
    return person("ana")


@pytest.fixture
def berta(db: None) -> User:
    return person("berta")


@pytest.fixture
def pending(api: Any, script: Any) -> Payout:
    answer = api.post("/v1/payouts", wanted())
    assert answer.status_code == 202, answer.content
    return Payout.objects.get()


def propose(payout: Payout, maker: User, decision: str, **fields: Any) -> PayoutResolution:
    return payout_resolution.propose(
        payout.pk, decision=decision, reason="Correo de STP, folio 17", maker=maker, **fields
    )


def approve(resolution: PayoutResolution, voter: User) -> None:
    asked = payout_resolution.approval_of(resolution)
    assert asked is not None
    approval.vote(asked.pk, voter, "approve", "")


def decide(payout: Payout, maker: User, voter: User, decision: str, **fields: Any) -> Payout:
    approve(propose(payout, maker, decision, **fields), voter)
    payout.refresh_from_db()
    return payout


def money(merchant: Any) -> tuple[int, int, int]:
    found = balances(merchant)
    return found["available"], found["reserved"], found["debt"]


def test_two_people_fail_a_payout_of_which_every_call_reached_nothing(pending, ana, berta, merchant) -> None:
    """money-out.md 5."""
    payout = as_sent(pending, "not_sent", "not_sent", "not_sent", delayed=True)

    resolution = propose(payout, ana, "never_left", file=ContentFile(PDF, "correo.pdf"))
    unchanged = Payout.objects.get().status, money(merchant)
    approve(resolution, berta)

    payout.refresh_from_db()
    resolution.refresh_from_db()
    assert unchanged == ("processing", (50_000, 50_000, 0))
    assert (payout.status, payout.failure_code, payout.delayed) == ("failed", "not_executed", False)
    assert money(merchant) == (100_000, 0, 0)
    last = payout.transitions.last()
    assert (last.actor, last.cause, last.reference) == ("berta", "staff", resolution.public_id)
    assert (resolution.status, resolution.evidence_name) == ("applied", "correo.pdf")
    assert Event.objects.filter(object_id=payout.public_id).order_by("object_sequence").last().type == "payout.failed"


@pytest.mark.parametrize(
    ("outcome", "calls", "fields"),
    [
        ("not_sent", ("not_sent", "unknown"), {}),
        ("not_sent", ("not_sent", ""), {}),
        ("not_sent", ("not_sent", "accepted"), {}),
        ("sending", ("not_sent",), {}),
        ("accepted", ("accepted",), {}),
        ("unknown", ("unknown",), {}),
        ("unknown", ("unknown",), {"needs_staff": "order_differs"}),
        ("unknown", ("unknown",), {"not_found_at": clock.now()}),
    ],
)
def test_no_one_fails_a_payout_that_may_have_left(outcome, calls, fields, pending, ana) -> None:
    payout = as_sent(pending, outcome, *calls, **fields)

    with pytest.raises(IllegalTransition):
        propose(payout, ana, "never_left")

    assert PayoutResolution.objects.count() == 0
    assert "never_left" not in payout_resolution.possible(payout)


def test_a_key_that_another_order_has_fails_only_after_the_window_and_the_day(pending, ana, berta, merchant) -> None:
    payout = as_sent(pending, "unknown", needs_staff="order_differs")
    fails_from = payout_resolution.evidence(payout).fails_from
    assert fails_from is not None and fails_from >= clock.now() + timedelta(hours=23)

    with time_machine.travel(fails_from - timedelta(seconds=2)), pytest.raises(IllegalTransition):
        propose(payout, ana, "never_left")
    with time_machine.travel(fails_from + timedelta(seconds=1)):
        resolution = propose(payout, ana, "never_left")

    with pytest.raises(IntegrityError, match="may have left"), transaction.atomic():  # the database's own clock
        with time_machine.travel(fails_from + timedelta(seconds=2)):
            approve(resolution, berta)
    assert Payout.objects.get().status == "processing"
    assert money(merchant) == (50_000, 50_000, 0)


def test_what_was_possible_is_checked_again_when_it_is_approved(pending, ana, berta) -> None:
    payout = as_sent(pending, "not_sent", "not_sent")
    resolution = propose(payout, ana, "never_left")
    Payout.objects.filter(pk=payout.pk).update(send_outcome="unknown")

    with pytest.raises(IllegalTransition):
        approve(resolution, berta)

    resolution.refresh_from_db()
    assert (resolution.status, Payout.objects.get().status) == ("proposed", "processing")


def test_a_settlement_that_people_prove_is_booked_also_after_a_failure(pending, ana, berta, merchant) -> None:
    payout = as_sent(pending, "not_sent", "not_sent")
    decide(payout, ana, berta, "never_left")
    assert money(merchant) == (100_000, 0, 0)

    at = clock.now()
    decide(payout, ana, berta, "settled", happened_at=at)

    assert (payout.status, payout.liquidated_at, payout.needs_staff) == ("completed", at, "")
    assert money(merchant) == (50_000, 0, 0)
    with pytest.raises(IllegalTransition):
        propose(payout, ana, "settled")


def test_an_unknown_payout_is_settled_and_later_comes_back(pending, ana, berta, merchant) -> None:
    payout = as_sent(pending, "unknown")

    decide(payout, ana, berta, "settled")
    settled = payout.status, money(merchant)
    decide(payout, ana, berta, "returned")

    assert settled == ("completed", (50_000, 0, 0))
    assert (payout.status, money(merchant)) == ("returned", (100_000, 0, 0))


def test_a_return_before_the_settlement_is_a_failure(pending, ana, berta, merchant) -> None:
    payout = decide(as_sent(pending, "unknown"), ana, berta, "returned")

    assert (payout.status, payout.failure_code) == ("failed", "returned_before_settlement")
    assert money(merchant) == (100_000, 0, 0)


def test_seen_clears_the_mark_and_moves_nothing(pending, ana, berta, merchant) -> None:
    payout = as_sent(pending, "accepted", needs_staff="unknown_state")

    decide(payout, ana, berta, "seen")

    assert (payout.status, payout.needs_staff, money(merchant)) == ("processing", "", (50_000, 50_000, 0))
    with pytest.raises(IllegalTransition):
        propose(payout, ana, "seen")


def test_the_maker_does_not_decide_and_a_rejection_changes_nothing(pending, ana, berta) -> None:
    resolution = propose(as_sent(pending, "unknown"), ana, "settled")
    with pytest.raises(approval.OwnApproval):
        approve(resolution, ana)
    with pytest.raises(IllegalTransition, match=r"."):
        propose(resolution.payout, berta, "returned")

    asked = payout_resolution.approval_of(resolution)
    assert asked is not None
    approval.vote(asked.pk, berta, "reject", "No lo creo")

    resolution.refresh_from_db()
    assert (resolution.status, Payout.objects.get().status) == ("rejected", "processing")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"decision": "lost"}, "decision"),
        ({"happened_at": clock.now() + timedelta(days=2)}, "happened_at"),
        ({"happened_at": clock.now() - timedelta(days=2)}, "happened_at"),
        ({"file": ContentFile(b"MZ", "a.exe")}, "evidence"),
    ],
)
def test_bad_input_of_a_resolution_is_refused_at_its_field(fields, field, pending, ana) -> None:
    payout = as_sent(pending, "unknown")

    with pytest.raises(InvalidRequest) as refused:
        payout_resolution.propose(payout.pk, **{"decision": "settled", "reason": "Folio 17", "maker": ana, **fields})

    assert [error.field for error in refused.value.errors] == [field]
    assert PayoutResolution.objects.count() == 0


def test_the_database_applies_nothing_without_a_second_person(pending, ana) -> None:
    resolution = propose(as_sent(pending, "not_sent", "not_sent"), ana, "never_left")

    with pytest.raises(IntegrityError, match="was not approved"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payments_payoutresolution SET status = 'applied', resolved_at = now() WHERE id = %s",
            [resolution.pk],
        )
    with pytest.raises(IntegrityError, match="cannot change"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE payments_payoutresolution SET decision = 'settled' WHERE id = %s", [resolution.pk])

    assert PayoutResolution.objects.get().status == "proposed"
