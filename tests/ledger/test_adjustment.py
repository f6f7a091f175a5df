"""Guards adjustments: nothing in the books before a second person approves, then exactly what was proposed, once.

A proposal is refused by the journal's own errors and leaves nothing behind, neither rows nor a file. The database
refuses an adjustment that is called posted without an approval or without its transaction, and any edit of a proposal.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from core import clock
from core.errors import InsufficientFunds, InvalidRequest
from ledger.models import Account, Adjustment, Entry, Transaction
from ledger.services import adjustment, balance
from ledger.services.errors import (
    InvalidAmount,
    InvalidDescription,
    MoneyHeld,
    NothingLeftToReverse,
    SameAccountTwice,
    Unbalanced,
    UnknownAccount,
)
from ledger.services.journal import PostingTime
from ledger.services.postings import pay_in, payout
from merchants.models import Merchant
from staff.models import Approval, Vote
from staff.services import approval
from tests.concurrency.threads import at_once
from tests.factories.adjustment import LEGS, PDF, decide, evidence, person, propose


@pytest.fixture
def ana(request: pytest.FixtureRequest) -> User:
    request.getfixturevalue("committed_db" if "committed_db" in request.fixturenames else "db")
    return person("ana", "add_approval")


@pytest.fixture
def berta(ana: User) -> User:
    return person("berta", "decide_approval")


def deposit(merchant: Merchant, amount: int = 100_000, source: str = "dep_1") -> Transaction:
    now = clock.now()
    with transaction.atomic():
        return pay_in.spei_deposit(
            merchant, livemode=False, source=source, amount=amount, fee=0, fee_tax=0, when=PostingTime(now, now.date())
        )


def take(merchant: Merchant, amount: int) -> None:
    now = clock.now()
    with transaction.atomic():
        payout.payout_created(merchant, livemode=False, source="po_1", amount=amount, when=PostingTime(now, now.date()))


def files() -> list[Path]:
    folder = Path(settings.MEDIA_ROOT) / "ledger"
    return sorted(folder.iterdir()) if folder.exists() else []


def everything() -> tuple[Any, ...]:
    """All that a refusal must leave as it was."""
    models = (Adjustment, Approval, Vote, Transaction, Entry, Account)
    return (*(list(model.objects.order_by("pk").values()) for model in models), files())


def test_approved_it_is_posted_with_its_own_moment(ana: User, berta: User) -> None:
    proposed = propose(ana)
    assert Transaction.objects.count() == 0
    assert (proposed.status, balance.of_platform(livemode=False)) == ("proposed", {})

    decide(proposed, berta)

    proposed.refresh_from_db()
    posted = Transaction.objects.get()
    assert (posted.kind, posted.source, posted.livemode) == ("adjustment", proposed.public_id, False)
    assert (posted.effective_at, posted.operating_date) == (proposed.effective_at, date(2026, 10, 14))
    assert posted.description == "Comisión bancaria no reportada"
    assert [(e.account.code, e.amount) for e in posted.entries.all()] == LEGS
    assert balance.of_platform(livemode=False) == {"losses": 10_000, "bank_cash": -10_000}
    assert proposed.status == "posted"
    assert proposed.resolved_at is not None


def test_rejected_or_withdrawn_it_never_reaches_the_books(ana: User, berta: User) -> None:
    rejected, withdrawn = propose(ana), propose(ana)

    decide(rejected, berta, "reject")
    asked = adjustment.approval_of(withdrawn)
    assert asked is not None
    approval.cancel(asked.pk, ana)

    assert set(Adjustment.objects.values_list("status", flat=True)) == {"rejected"}
    assert Transaction.objects.count() == 0
    with pytest.raises(approval.AlreadyDecided):
        decide(rejected, berta)


def test_the_maker_does_not_approve_it(ana: User) -> None:
    ana.is_superuser = True
    ana.save()
    proposed = propose(ana)
    before = everything()

    with pytest.raises(approval.OwnApproval):
        decide(proposed, ana)

    assert everything() == before


def test_any_pair_of_the_chart_in_either_mode_opened_or_not(
    ana: User, berta: User, merchant: Merchant, other_merchant: Merchant
) -> None:
    deposit(merchant)
    legs = [
        (f"{merchant.public_id}:available", 60_000),
        (f"{other_merchant.public_id}:available", -50_000),
        ("platform:fee_revenue", -10_000),
    ]

    decide(propose(ana, legs=legs), berta)
    decide(propose(ana, livemode=True), berta)

    assert balance.of_merchant(merchant, livemode=False).available == 40_000
    assert balance.of_merchant(other_merchant, livemode=False).available == 50_000
    assert balance.of_platform(livemode=True) == {"losses": 10_000, "bank_cash": -10_000}


NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "error", "saying"),
    [
        ({"legs": []}, Unbalanced, "two or more legs"),
        ({"legs": LEGS[:1]}, Unbalanced, "two or more legs"),
        ({"legs": [LEGS[0], ("platform:bank_cash", -9_999)]}, Unbalanced, "sum to zero"),
        ({"legs": [LEGS[0], ("platform:losses", -10_000)]}, SameAccountTwice, "only once"),
        ({"legs": [("platform:losses", 0), ("platform:bank_cash", 0)]}, InvalidAmount, "whole number of centavos"),
        ({"legs": [("platform:losses", 1.5), ("platform:bank_cash", -1.5)]}, InvalidAmount, "whole number"),
        ({"legs": [("platform:losses", 2**53), ("platform:bank_cash", -(2**53))]}, InvalidAmount, "whole number"),
        ({"legs": [("platform:losses", True), ("platform:bank_cash", -1)]}, InvalidAmount, "whole number"),
        ({"legs": [("platform:petty_cash", 5), ("platform:losses", -5)]}, UnknownAccount, "petty_cash"),
        ({"legs": [("platform:available", 5), ("platform:losses", -5)]}, UnknownAccount, "available"),
        ({"legs": [("mer_nobody:available", 5), ("platform:losses", -5)]}, UnknownAccount, "mer_nobody"),
        ({"legs": [("", 5), ("platform:losses", -5)]}, UnknownAccount, "no account"),
        ({"legs": [("platform:suspense", 5), ("platform:losses", -5)]}, InsufficientFunds, "suspense"),
        ({"description": "  "}, InvalidDescription, "1 to 200"),
        ({"description": "x" * 201}, InvalidDescription, "1 to 200"),
        ({"reason": " "}, InvalidRequest, "Give a reason"),
        ({"reason": "x" * 501}, InvalidRequest, "at most 500"),
        ({"effective_at": NOW + timedelta(microseconds=1)}, InvalidRequest, "in the future"),
        ({"effective_at": datetime(1999, 12, 31, tzinfo=UTC)}, InvalidRequest, "before the year 2000"),
        ({"operating_date": date(2026, 12, 1)}, InvalidRequest, "operating date"),
        ({"operating_date": date(1999, 12, 31)}, InvalidRequest, "operating date"),
        ({"evidence": None}, InvalidRequest, "Attach the evidence"),
        ({"evidence": evidence(b"")}, InvalidRequest, "empty"),
        ({"evidence": evidence(b"<script>alert(1)</script>", "recibo.pdf")}, InvalidRequest, "not a JPEG or PNG"),
        ({"evidence": evidence(b"%PDF-" + b"0" * 10 * 1024 * 1024 + b"%%EOF")}, InvalidRequest, "10 MiB"),
    ],
)
def test_a_bad_proposal_is_refused_by_name_and_leaves_nothing(
    changes: dict[str, Any], error: type[Exception], saying: str, ana: User
) -> None:
    before = everything()

    with time_machine.travel(NOW, tick=False), pytest.raises(error, match=saying):
        propose(ana, **changes)

    assert everything() == before


@pytest.mark.parametrize("amount", [500, -500])
def test_what_is_reserved_is_not_adjusted(amount: int, ana: User, merchant: Merchant) -> None:
    deposit(merchant)
    before = everything()

    with pytest.raises(MoneyHeld, match="only by its hold"):
        propose(ana, legs=[(f"{merchant.public_id}:reserved", amount), ("platform:losses", -amount)])

    assert everything() == before


def test_proposing_needs_the_permission(ana: User, berta: User) -> None:
    before = everything()

    with pytest.raises(approval.DecisionNotAllowed):
        propose(berta)

    assert everything() == before


def test_what_a_merchant_does_not_have_is_not_taken(
    ana: User, berta: User, merchant: Merchant, other_merchant: Merchant
) -> None:
    deposit(merchant, 10_000)
    legs = [(f"{merchant.public_id}:available", 10_000), (f"{other_merchant.public_id}:available", -10_000)]
    proposed = propose(ana, legs=legs)
    take(merchant, 1)
    before = everything()

    with pytest.raises(InsufficientFunds) as refusal:
        decide(proposed, berta)

    assert f"{merchant.public_id}:available" in str(refusal.value)
    assert "$99.99" in str(refusal.value)
    assert "$100.00" in str(refusal.value)
    assert everything() == before
    deposit(merchant, 1, source="dep_2")
    decide(proposed, berta)
    assert balance.of_merchant(other_merchant, livemode=False).available == 10_000


def test_two_checkers_at_once_post_once(committed_db: None, ana: User) -> None:
    proposed = propose(ana)
    checkers = [person(f"persona{number}", "decide_approval") for number in range(4)]

    def vote(user: User) -> str:
        try:
            decide(proposed, user)
        except approval.AlreadyDecided:
            return "decided already"
        return "posted"

    results = at_once([lambda user=user: vote(user) for user in checkers])  # type: ignore[misc]

    assert sorted(results) == ["decided already"] * 3 + ["posted"]
    assert (Transaction.objects.count(), Vote.objects.count()) == (1, 1)
    assert balance.of_platform(livemode=False) == {"losses": 10_000, "bank_cash": -10_000}


def test_two_adjustments_do_not_both_take_the_last_money(
    committed_db: None, ana: User, berta: User, merchant: Merchant
) -> None:
    deposit(merchant, 10_000)
    legs = [(f"{merchant.public_id}:available", 10_000), ("platform:owner_funds", -10_000)]
    proposed = [propose(ana, legs=legs) for _ in range(4)]

    def vote(one: Adjustment) -> str:
        try:
            decide(one, User.objects.get(pk=berta.pk))
        except InsufficientFunds:
            return "missing"
        return "posted"

    results = at_once([lambda one=one: vote(one) for one in proposed])  # type: ignore[misc]

    assert sorted(results) == ["missing"] * 3 + ["posted"]
    assert balance.of_merchant(merchant, livemode=False).available == 0


def test_another_file_in_place_of_the_evidence_is_noticed(ana: User, berta: User) -> None:
    proposed = propose(ana)
    Path(proposed.evidence.path).write_bytes(PDF + b" ")
    before = everything()

    with pytest.raises(approval.ContentChanged):
        decide(proposed, berta)
    Path(proposed.evidence.path).unlink()
    with pytest.raises(approval.ContentChanged):
        decide(proposed, berta)

    assert everything()[:-1] == before[:-1]


def test_too_late_it_is_not_posted(ana: User, berta: User) -> None:
    with time_machine.travel(clock.now() - timedelta(days=8)):
        proposed = propose(ana, operating_date=date(2026, 10, 14))

    with pytest.raises(approval.ApprovalExpired):
        decide(proposed, berta)
    approval.close_expired()

    proposed.refresh_from_db()
    assert (proposed.status, Transaction.objects.count()) == ("rejected", 0)


# Reversals


def test_a_transaction_is_reversed_whole(ana: User, berta: User, merchant: Merchant) -> None:
    original = deposit(merchant)
    proposed = adjustment.propose_reversal(original, reason="Se abonó dos veces.", evidence=evidence(), maker=ana)
    assert proposed.legs == [
        {"account": f"{merchant.public_id}:available", "amount": 100_000},
        {"account": "platform:stp_cash", "amount": -100_000},
    ]
    assert Transaction.objects.count() == 1

    decide(proposed, berta)

    posted = Transaction.objects.latest("id")
    assert (posted.kind, posted.source, posted.reverses) == ("reversal", proposed.public_id, original)
    assert balance.of_merchant(merchant, livemode=False).available == 0


def test_a_transaction_is_reversed_in_part_never_beyond_the_whole(ana: User, berta: User, merchant: Merchant) -> None:
    original = deposit(merchant)

    def reverse(amount: int | None = None) -> Adjustment:
        return adjustment.propose_reversal(original, amount=amount, reason="Sobró.", evidence=evidence(), maker=ana)

    first, second = reverse(60_000), reverse(60_000)
    decide(first, berta)
    before = everything()
    with pytest.raises(NothingLeftToReverse):
        decide(second, berta)
    with pytest.raises(NothingLeftToReverse):
        reverse(40_001)
    with pytest.raises(InvalidAmount):
        reverse(0)
    assert everything() == before

    decide(reverse(), berta)
    assert balance.of_merchant(merchant, livemode=False).available == 0


def test_a_reversal_that_would_take_what_is_spent_is_refused(ana: User, berta: User, merchant: Merchant) -> None:
    original = deposit(merchant)
    proposed = adjustment.propose_reversal(original, reason="Error.", evidence=evidence(), maker=ana)
    take(merchant, 1)
    before = everything()

    with pytest.raises(InsufficientFunds, match=r"\$999\.99"):
        decide(proposed, berta)
    with pytest.raises(InsufficientFunds):
        adjustment.propose_reversal(original, reason="Error.", evidence=evidence(), maker=ana)

    assert everything() == before
