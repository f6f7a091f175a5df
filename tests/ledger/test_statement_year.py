"""ledger.services.statement: twelve monthly statements add up to the ledger, for any events at any hour."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import astuple
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import MEXICO_CITY, local_day_bounds
from core.errors import InsufficientFunds
from ledger.models import Account, Hold
from ledger.resources.statement import Figures, Movement, Statement
from ledger.services import balance, hold, reversal
from ledger.services.errors import NothingLeftToReverse
from ledger.services.journal import PostingTime
from ledger.services.postings import pay_in, payout
from merchants.models import Merchant
from tests.factories.statement import NOTHING, take

YEAR = 2026
BOUNDARIES = [
    midnight
    for month in range(1, 14)
    for midnight in (
        datetime(YEAR + month // 13, (month - 1) % 12 + 1, 1, tzinfo=MEXICO_CITY).astimezone(UTC),
        datetime(YEAR + month // 13, (month - 1) % 12 + 1, 1, tzinfo=UTC),
    )
]
"""The first moments of the year's months and of the next year's, on Mexico City's clocks and in UTC."""

MOMENTS = st.one_of(
    st.builds(
        lambda midnight, away: midnight + timedelta(microseconds=away),
        st.sampled_from(BOUNDARIES),
        st.sampled_from([-1_000_000, -1, 0, 1, 1_000_000, 3_600_000_000]),
    ),
    st.datetimes(datetime(YEAR - 1, 12, 20), datetime(YEAR + 1, 1, 10)).map(lambda m: m.replace(tzinfo=UTC)),  # noqa: DTZ001
)
STEPS = st.lists(
    st.tuples(
        MOMENTS,
        st.one_of(st.just(timedelta()), st.timedeltas(timedelta(), timedelta(days=7))),  # how late it is booked
        st.sampled_from(
            [
                "deposit",
                "deposit",
                "oxxo",
                "released",
                "hold",
                "refund",
                "capture",
                "release",
                "back",
                "reverse",
                "debt",
            ]
        ),
        st.integers(1, 100_000),
    ),
    min_size=1,
    max_size=14,
)


class History:
    """Random events of one merchant, and the expected effects: time, change by purpose, fee, IVA."""

    def __init__(self, merchant: Merchant) -> None:
        self.merchant = merchant
        self.holds: list[Hold] = []
        self.posted: list = []
        self.made: dict[int, int] = {}
        self.now = NOTHING
        self.said: list[tuple[datetime, Figures, int, int]] = []

    def step(self, number: int, kind: str, amount: int, when: PostingTime) -> None:
        """Post one event; skip it if the ledger refuses it."""
        common = {"livemode": False, "source": f"src_{number}", "when": when}
        fee, iva = amount // 50, amount // 300
        match kind:
            case "deposit":
                self.posted.append(pay_in.spei_deposit(self.merchant, amount=amount, fee=fee, fee_tax=iva, **common))
                self._say(when, Figures(amount - fee - iva, 0, 0, 0, 0), fee, iva)
            case "oxxo":
                pay_in.oxxo_paid(self.merchant, amount=amount, fee=fee, fee_tax=iva, **common)
                self._say(when, Figures(0, amount - fee - iva, 0, 0, 0), fee, iva)
            case "released":
                pay_in.oxxo_released(self.merchant, amount=amount, **common)
                self._say(when, Figures(amount, -amount, 0, 0, 0))
            case "hold" | "refund":
                purpose = Hold.Purpose.PAYOUT if kind == "hold" else Hold.Purpose.REFUND
                self.holds.append(hold.place(self.merchant, amount=amount, purpose=purpose, **common))
                self._recover(when)
                self._say(when, Figures(-amount, 0, amount, 0, 0))
            case "capture" if self.holds:
                self._capture(self.holds.pop(), amount, when)
            case "release" if self.holds:
                held = self.holds.pop()
                hold.release(held.pk, when=when)
                self._back(held, held.amount, when)
            case "back":
                payout.payout_returned(self.merchant, amount=amount, fee=fee, fee_tax=iva, **common)
                self._say(when, Figures(amount + fee + iva, 0, 0, 0, 0), -fee, -iva)
            case "reverse" if self.posted:
                self._reverse(amount, f"src_{number}", when)
            case "debt":
                held = hold.place_return(self.merchant, amount=amount, **common)
                self.holds.append(held)
                self._recover(when)
                covered = min(amount, self.now.available)
                self.made[held.pk] = amount - covered
                self._say(when, Figures(-covered, 0, amount, 0, amount - covered))

    def _capture(self, held: Hold, amount: int, when: PostingTime) -> None:
        spent = min(held.amount, amount)
        fee = iva = 0
        if held.purpose == Hold.Purpose.PAYOUT and spent > 10:
            fee, iva, spent = 3, 1, spent - 4
        hold.capture(held.pk, amount=spent, fee=fee, fee_tax=iva, when=when)
        self._say(when, Figures(0, 0, -spent - fee - iva, 0, 0), fee, iva)
        if rest := held.amount - spent - fee - iva:
            self._back(held, rest, when)

    def _recover(self, when: PostingTime) -> None:
        """Record the recovery of debt by a hold."""
        if owed := min(self.now.available, self.now.debt):
            self._say(when, Figures(-owed, 0, 0, 0, -owed))

    def _back(self, held: Hold, amount: int, when: PostingTime) -> None:
        """Record the return of a hold: a return's first reduces the debt that it created."""
        owed = min(amount, self.made.get(held.pk, 0), self.now.debt)
        self._say(when, Figures(amount - owed, 0, -amount, 0, -owed))

    def _reverse(self, amount: int, source: str, when: PostingTime) -> None:
        undone = reversal.reverse(self.posted[-1], amount=amount, description="Undone", source=source, when=when)
        by_purpose = {entry.account.purpose: entry.amount for entry in undone.entries.select_related("account")}
        change = Figures(-by_purpose.get("available", 0), 0, 0, 0, 0)
        self._say(when, change, -by_purpose.get("fee_revenue", 0), -by_purpose.get("iva_payable", 0))

    def _say(self, when: PostingTime, change: Figures, fee: int = 0, iva: int = 0) -> None:
        self.said.append((when.effective_at, change, fee, iva))
        self.now = self.now.plus(change)


def play(merchant: Merchant, steps) -> list[tuple[datetime, Figures, int, int]]:
    """Post ``steps`` in order of booking; return the expected effects in the statement's order."""
    history = History(merchant)
    for number, (moment, late, kind, amount) in enumerate(sorted(steps, key=lambda s: s[0] + s[1])):
        with time_machine.travel(moment + late, tick=False):
            when = PostingTime(moment, moment.date())
            try:
                with transaction.atomic():
                    history.step(number, kind, amount, when)
            except (InsufficientFunds, NothingLeftToReverse):
                continue
    return sorted(history.said, key=lambda said: said[0])


def held_before(merchant: Merchant, moment: datetime) -> Figures:
    """The ledger's balances just before ``moment``."""
    accounts = {account.purpose: account for account in Account.objects.filter(merchant=merchant, livemode=False)}
    before = moment - timedelta(microseconds=1)
    return Figures(
        *(
            balance.balance_at(accounts[purpose], before) if purpose in accounts else 0
            for purpose in ("available", "pending", "reserved", "blocked", "debt")
        )
    )


def added(figures: list[Figures]) -> Figures:
    return Figures(*(sum(column) for column in zip(*map(astuple, figures), strict=True))) if figures else NOTHING


@pytest.mark.django_db
@settings(max_examples=25)
@given(steps=STEPS)
def test_monthly_statements_add_up_to_the_ledger_and_the_year(steps):
    with transaction.atomic():
        merchant = Merchant.objects.create(name="One", legal_name="One")

        said = play(merchant, steps)
        months = [(date(YEAR, m, 1), date(YEAR, m, monthrange(YEAR, m)[1])) for m in range(1, 13)]
        statements = [take(merchant, *month) for month in months]
        year, year_movements = take(merchant, months[0][0], months[-1][1])

        for (found, movements), (first_day, last_day) in zip(statements, months, strict=True):
            start, end = local_day_bounds(first_day)[0], local_day_bounds(last_day)[1]
            assert found.opening == held_before(merchant, start)
            assert found.opening == added([change for moment, change, _, _ in said if moment < start])
            assert [(m.effective_at, m.change, m.fee, m.iva) for m in movements] == [
                happened for happened in said if start <= happened[0] < end
            ]
            assert_adds_up(found, movements)
        for (found, _), (following, _) in zip(statements, statements[1:], strict=False):
            assert found.closing == following.opening
        assert year.closing == held_before(merchant, local_day_bounds(months[-1][1])[1])
        assert [movement for _, movements in statements for movement in movements] == year_movements
        assert (year.opening, year.closing) == (statements[0][0].opening, statements[-1][0].closing)
        sums = [astuple(found.totals) for found, _ in statements]
        assert astuple(year.totals) == tuple(map(sum, zip(*sums, strict=True)))
        assert_adds_up(year, year_movements)
        transaction.set_rollback(True)


def assert_adds_up(found: Statement, movements: list[Movement]) -> None:
    totals = found.totals
    running = found.opening.total
    for movement in movements:
        running += movement.net
        assert movement.balance == running
        assert movement.net == movement.change.total == movement.gross - movement.fee - movement.iva
    assert running == found.closing.total
    assert found.opening.plus(added([movement.change for movement in movements])) == found.closing
    assert totals.gross_in == sum(m.gross for m in movements if m.gross > 0)
    assert totals.gross_out == -sum(m.gross for m in movements if m.gross < 0)
    assert (totals.fees, totals.iva) == (sum(m.fee for m in movements), sum(m.iva for m in movements))
    assert totals.net == totals.gross_in - totals.gross_out - totals.fees - totals.iva
    assert found.closing.total - found.opening.total == totals.net == sum(m.net for m in movements)
