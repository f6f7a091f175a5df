"""Undoing a wrong match: two people find that a returned transfer was not the return of the payout (money-out.md 3)."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.db.utils import IntegrityError

from core.errors import IllegalTransition
from core.state import Origin, TransitionRow
from ledger.models import Transaction
from ledger.services import audit, balance
from payments.models import Deposit, ReviewCase
from payments.providers.payout import OrderStatus
from payments.services import payout_inquiry, payout_resolution, payout_return
from staff.services import approval
from tests.factories.payouts import balances, create, events, list_returns, notify, order_state, send_back, sent
from tests.factories.refunds import person

pytestmark = pytest.mark.usefixtures("committed_db")
STAFF = Origin(TransitionRow.Cause.STAFF, "ana")


@pytest.fixture
def people(committed_db):
    rights = ("resolve_payout", "add_approval", "decide_approval", "view_payout")
    return [person(name, *rights) for name in ("eva", "luz")]


@pytest.fixture
def matched(api, script, stp):
    """A settled payout to which a person matched a transfer, and another payout of the same amount."""
    payouts = [sent(api, key=f"k-{n}", amount=30_000) for n in range(2)]
    for payout in payouts:
        script.set(payout, OrderStatus.SETTLED)
        notify(stp, order_state(payout, "LIQUIDACION"))
    send_back(stp, payouts[0], claveRastreoDevolucion="UNREADABLE")
    list_returns(stp.account)
    payout_return.match(ReviewCase.objects.get().pk, payouts[0].public_id, origin=STAFF, reason="the bank's letter")
    return payouts


def state(*payouts):
    for payout in payouts:
        payout.refresh_from_db()
    return *(payout.status for payout in payouts), Deposit.objects.get().status, ReviewCase.objects.get().status


@transaction.atomic
def execute(statements):
    with connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(sql)


def propose(payout, maker):
    return payout_resolution.propose(payout.pk, decision="not_returned", reason="STP, folio 17", maker=maker)


def decide(resolution, voter, decision="approve"):
    asked = payout_resolution.approval_of(resolution)
    approval.vote(asked.pk, voter, decision, "no")


def test_two_people_undo_a_match_and_the_money_is_matched_anew(matched, people, merchant, script, stp):
    wrong, right = matched
    before = state(*matched), balances(merchant)["available"]

    decide(propose(wrong, people[0]), people[1], "reject")
    rejected = state(*matched)
    decide(propose(wrong, people[0]), people[1])
    undone = state(*matched), balances(merchant)["available"], balance.of_platform(livemode=False)["suspense"]
    case = ReviewCase.objects.get()
    list_returns(stp.account)
    payout_inquiry.ask_due()
    waits = state(*matched)
    payout_return.match(case.pk, right.public_id, origin=STAFF, reason="STP, folio 17")

    assert before == (("returned", "completed", "matched", "matched"), 70_000)
    assert rejected == before[0]
    assert undone == (("completed", "completed", "suspended", "open"), 40_000, 30_000)
    assert waits == undone[0]
    assert (wrong.returned_at, wrong.return_tracking_key, case.payout, case.resolved_at) == (None, "", None, None)
    assert state(*matched) == ("completed", "returned", "matched", "matched")
    assert balances(merchant)["available"] == 70_000
    assert events(wrong) == ["created", "processing", "completed", "returned", "completed"]
    assert case.transitions.order_by("-pk").values_list("to_status", "actor", "reason")[1] == (
        "open",
        "luz",
        "STP, folio 17",
    )
    faults = []
    audit.run(on_fault=faults.append, on_warning=print, on_progress=print)
    assert faults == []


def test_a_match_is_made_and_undone_again_with_postings_of_its_own(matched, people, merchant):
    wrong, _right = matched
    for _number in range(2):
        decide(propose(wrong, people[0]), people[1])
        case = ReviewCase.objects.get()
        payout_return.match(case.pk, wrong.public_id, origin=STAFF, reason="it was right after all")

    assert state(wrong) == ("returned", "matched", "matched")
    assert balances(merchant)["available"] == 70_000
    assert Transaction.objects.filter(kind="payout_returned").count() == 3
    assert Transaction.objects.filter(kind="reversal").count() == 2


def test_the_provider_can_still_report_the_real_return_of_that_payout(matched, people, merchant, script):
    wrong, _right = matched
    script.set(wrong, OrderStatus.RETURNED, cause=1)
    decide(propose(wrong, people[0]), people[1])

    payout_inquiry.ask_due()

    assert state(wrong) == ("returned", "suspended", "open")
    assert wrong.return_cause == 1
    assert balances(merchant)["available"] == 70_000


def test_only_a_match_that_returned_a_payout_can_be_undone(matched, people):
    wrong, right = matched

    assert "not_returned" in payout_resolution.possible(wrong.__class__.objects.get(pk=wrong.pk))
    with pytest.raises(IllegalTransition):
        propose(right, people[0])
    with pytest.raises(approval.ApprovalRefused):
        decide(propose(wrong, people[0]), people[0])
    assert state(wrong) == ("returned", "matched", "matched")


def test_a_match_is_not_undone_while_the_merchant_has_spent_the_money(matched, people, api, merchant):
    wrong, _right = matched
    create(api, "spends", amount=60_000)

    with pytest.raises(IllegalTransition, match="has spent this money"):
        decide(propose(wrong, people[0]), people[1])

    assert state(wrong) == ("returned", "matched", "matched")
    assert balances(merchant) == {"available": 10_000, "reserved": 60_000, "debt": 0}


def test_the_database_refuses_to_undo_a_match_without_two_people_and_the_reversal(matched):
    wrong, _right = matched
    payout = (
        "UPDATE payments_payout SET status = 'completed', returned_at = NULL, return_tracking_key = '' "
        f"WHERE id = {wrong.pk}"
    )
    case = "UPDATE payments_reviewcase SET status = 'open', payout_id = NULL, resolved_at = NULL"
    deposit = "UPDATE payments_deposit SET status = 'suspended'"

    def recorded(table, column):
        row, after = {"payout": (wrong.pk, "completed"), "reviewcase": (ReviewCase.objects.get().pk, "open")}[table]
        columns = f"{column}, from_status, to_status, cause, actor, reference, reason, created_at"
        values = f"{row}, 'x', '{after}', 'staff', 'ana', '', '', now()"
        return f"INSERT INTO payments_{table}transition ({columns}) VALUES ({values})"  # noqa: S608

    of_payout, of_case = recorded("payout", "payout_id"), recorded("reviewcase", "review_case_id")
    for statements in (
        [deposit],
        [payout, of_payout],
        [case, of_case],
        [case, of_case, deposit],
        [payout, of_payout, case, of_case, deposit],
    ):
        with pytest.raises(IntegrityError):
            execute(statements)

    assert state(wrong) == ("returned", "matched", "matched")
