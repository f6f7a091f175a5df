"""ledger.services.journal: postings are complete, balanced, funded and unique, or refused with a specific error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction

from core.errors import InsufficientFunds
from core.money import MAX_AMOUNT
from ledger.models import Account, Entry, Transaction
from ledger.services import balance, chart, journal
from ledger.services.chart import FLOORED, MERCHANT_PURPOSES, PLATFORM_PURPOSES, AccountName, open_accounts
from ledger.services.errors import (
    AlreadyPosted,
    EffectiveTooOld,
    InvalidAmount,
    InvalidDescription,
    SameAccountTwice,
    Unbalanced,
    UnknownAccount,
    UnsupportedCurrency,
)
from tests.concurrency.threads import at_once
from tests.ledger.books import DAY, fund, held, legs, nothing_written, platform, when, written

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
CASH, SUSPENSE, FEES = (AccountName(purpose) for purpose in ("stp_cash", "suspense", "fee_revenue"))


def post(*legs: journal.Leg, kind="test", source="src_1", livemode=False, **changes) -> Transaction:
    given = {"when": when(), "description": "Test"} | changes
    return journal.post(kind, source, legs or [(CASH, 700), (SUSPENSE, -700)], livemode=livemode, **given)


@pytest.mark.django_db
def test_a_posting_is_stored_as_given():
    with time_machine.travel(NOW, tick=False):
        posted = post((CASH, 700), (SUSPENSE, -300), (FEES, -400), when=when(NOW - timedelta(hours=1)))

    stored = Transaction.objects.get()
    assert (stored.pk, stored.public_id) == (posted.pk, posted.public_id)
    assert (stored.kind, stored.source, stored.livemode, stored.description) == ("test", "src_1", False, "Test")
    assert (stored.effective_at, stored.recorded_at) == (NOW - timedelta(hours=1), NOW)
    assert (stored.operating_date, stored.reverses) == (DAY, None)
    assert legs(stored) == {"stp_cash": 700, "suspense": -300, "fee_revenue": -400}
    assert set(stored.entries.values_list("currency", "position", "effective_at")) == {
        ("MXN", stored.position, stored.effective_at)
    }


@pytest.mark.django_db
def test_a_credit_takes_two_statements_and_a_debit_five(django_assert_num_queries):
    post()

    with django_assert_num_queries(2):  # the accounts; the transaction with its entries
        post(source="src_2")
    with django_assert_num_queries(5):  # plus the accounts again, their lock and their balances
        post((SUSPENSE, 700), (CASH, -700), source="src_3")


def test_open_accounts_are_cached(committed_db, django_assert_num_queries):
    with transaction.atomic():
        post()

    with transaction.atomic(), django_assert_num_queries(1):
        post(source="src_2")


def test_accounts_of_a_rolled_back_posting_are_opened_again(committed_db):
    with transaction.atomic():
        post()
        transaction.set_rollback(True)

    with transaction.atomic():
        post()

    assert Entry.objects.count() == 2


def test_a_stale_account_cache_posts_nothing_and_is_cleared(committed_db):
    database = connection.settings_dict["NAME"]
    chart._open.update({(database, name.code, True) for name in (CASH, SUSPENSE)})

    with pytest.raises(IntegrityError), transaction.atomic():
        post(livemode=True)

    assert Entry.objects.count() == Transaction.objects.count() == 0
    with transaction.atomic():
        post(livemode=True)
    assert Entry.objects.count() == 2


BAD_AMOUNTS = [0, 1.0, 700.0, float("nan"), True, Decimal(700), "700", None, MAX_AMOUNT + 1, -MAX_AMOUNT - 1, 2**63]


@pytest.mark.django_db
@pytest.mark.parametrize("amount", BAD_AMOUNTS, ids=repr)
@pytest.mark.parametrize("side", [0, 1])
def test_amounts_other_than_whole_centavos_are_refused(amount, side):
    wrong: list[journal.Leg] = [(CASH, 700), (SUSPENSE, -700)]
    wrong[side] = (wrong[side][0], amount)

    with nothing_written(), pytest.raises(InvalidAmount):
        post(*wrong)

    assert Account.objects.count() == 0


@pytest.mark.parametrize("amount", [*BAD_AMOUNTS, -1, -MAX_AMOUNT], ids=repr)
def test_an_invalid_amount_has_its_own_error(amount):
    with pytest.raises(InvalidAmount):
        journal.valid_amount(amount)


@pytest.mark.parametrize("amount", [1, 700, MAX_AMOUNT])
def test_a_valid_amount_is_returned(amount):
    assert journal.valid_amount(amount) is amount


@pytest.mark.django_db
@pytest.mark.parametrize("amount", [1, MAX_AMOUNT])
def test_the_smallest_and_the_largest_amount_are_posted(amount):
    assert legs(post((CASH, amount), (SUSPENSE, -amount))) == {"stp_cash": amount, "suspense": -amount}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong",
    [
        [(CASH, 100)],
        [(CASH, 100), (SUSPENSE, -99)],
        [(CASH, 100), (SUSPENSE, 100)],
        [(CASH, 100), (SUSPENSE, -100), (FEES, 1)],
    ],
)
def test_legs_that_do_not_balance_are_refused(wrong):
    with nothing_written(), pytest.raises(Unbalanced):
        post(*wrong)

    assert Account.objects.count() == 0


@pytest.mark.django_db
def test_a_posting_without_legs_is_refused():
    with nothing_written(), pytest.raises(Unbalanced):
        journal.post("test", "src_1", [], livemode=False, when=when(), description="Test")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong",
    [
        [(CASH, 100), (CASH, -100)],
        [(CASH, 100), (AccountName("stp_cash"), 100), (SUSPENSE, -200)],
        [(CASH, 100), (SUSPENSE, -50), (SUSPENSE, -50)],
    ],
)
def test_an_account_in_two_legs_is_refused(wrong):
    with nothing_written(), pytest.raises(SameAccountTwice):
        post(*wrong)


@pytest.mark.django_db
@pytest.mark.parametrize("currency", ["USD", "mxn", "", "MXN "])
def test_another_currency_is_refused(currency):
    with nothing_written(), pytest.raises(UnsupportedCurrency):
        post(currency=currency)


@pytest.mark.parametrize("purpose", ["petty_cash", "available", "debt", "", "STP_CASH"])
def test_an_unknown_platform_account_is_refused(purpose):
    with pytest.raises(UnknownAccount):
        AccountName(purpose)


@pytest.mark.django_db
@pytest.mark.parametrize("purpose", ["stp_cash", "suspense", "losses", "", "Available"])
def test_an_unknown_merchant_account_is_refused(merchant, purpose):
    with pytest.raises(UnknownAccount):
        AccountName(purpose, merchant)


@pytest.mark.django_db
@pytest.mark.parametrize(("length", "accepted"), [(0, False), (1, True), (200, True), (201, False)])
def test_a_description_has_1_to_200_characters(length, accepted):
    if accepted:
        assert post(description="ñ" * length).description == "ñ" * length
    else:
        with nothing_written(), pytest.raises(InvalidDescription):
            post(description="ñ" * length)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        (timedelta(hours=3), NOW - timedelta(hours=3)),
        (timedelta(), NOW),
        (timedelta(microseconds=-1), NOW),
        (timedelta(days=-400), NOW),
        (timedelta(days=7), NOW - timedelta(days=7)),
    ],
)
def test_the_effective_time_is_never_in_the_future(ago, expected):
    with time_machine.travel(NOW, tick=False):
        posted = post(when=when(NOW - ago))

    posted.refresh_from_db()
    assert (posted.effective_at, posted.recorded_at, posted.operating_date) == (expected, NOW, DAY)


@pytest.mark.django_db
@pytest.mark.parametrize("moment", [NOW - timedelta(days=7, microseconds=1), datetime(2001, 1, 1, tzinfo=UTC)])
def test_only_adjustments_are_backdated_more_than_seven_days(moment):
    with time_machine.travel(NOW, tick=False):
        with nothing_written(), pytest.raises(EffectiveTooOld):
            post(when=when(moment))

        with transaction.atomic():  # rolled back, as it is not approved
            assert post(kind="adjustment", when=when(moment)).effective_at == moment
            transaction.set_rollback(True)


@pytest.mark.django_db
def test_a_moment_without_a_time_zone_is_refused():
    with nothing_written(), pytest.raises(TypeError):
        post(when=when(datetime(2026, 11, 23)))  # noqa: DTZ001


@pytest.mark.django_db
@pytest.mark.parametrize("livemode", [False, True])
def test_a_duplicate_source_is_refused_and_the_transaction_stays_usable(livemode):
    post()

    with nothing_written(), pytest.raises(AlreadyPosted, match="test src_1 is posted already"):
        post((CASH, 5), (SUSPENSE, -5), livemode=livemode)

    post(source="src_2")
    post(kind="other")
    assert written() == (3, 6, [])
    assert platform() == {"stp_cash": 2_100, "suspense": 2_100}


def test_a_posting_needs_its_callers_transaction(committed_db):
    with nothing_written(), pytest.raises(RuntimeError, match=r"post must run inside transaction\.atomic"):
        post()
    with pytest.raises(RuntimeError, match=r"lock must run inside transaction\.atomic"):
        journal.lock([CASH], livemode=False)


def test_a_posting_is_rolled_back_with_what_caused_it(committed_db):
    class Failed(Exception):
        pass

    @transaction.atomic
    def post_and_fail() -> None:
        post()
        assert written() == (1, 2, [])
        raise Failed

    with nothing_written(), pytest.raises(Failed):
        post_and_fail()


FLOORED_NAMES = sorted(FLOORED)


def test_accounts_that_hold_others_money_have_a_floor():
    assert FLOORED_NAMES == [
        "available",
        "blocked",
        "debt",
        "pending",
        "reserved",
        "suspense",
        "suspense_reserved",
    ]
    sides = MERCHANT_PURPOSES | PLATFORM_PURPOSES
    assert {purpose for purpose in FLOORED if sides[purpose] == "debit"} == {"debt"}


@pytest.mark.django_db
@pytest.mark.parametrize("purpose", FLOORED_NAMES)
def test_an_account_with_a_floor_cannot_be_overdrawn(merchant, purpose):
    name = AccountName(purpose, merchant if purpose in MERCHANT_PURPOSES else None)
    fund(purpose, 500, merchant)

    kind = "payout_settled" if purpose == "reserved" else "test"
    side = -1 if purpose == "debt" else 1
    with nothing_written(), pytest.raises(InsufficientFunds, match=r"holds \$5\.00; \$5\.01 are needed"):
        post((name, side * 501), (CASH, side * -501), kind=kind)
    post((name, side * 500), (CASH, side * -500), kind=kind)
    with nothing_written(), pytest.raises(InsufficientFunds):
        post((name, side), (CASH, -side), source="src_2", kind=kind)

    assert balance.of_name(name, livemode=False) == 0


@pytest.mark.django_db
@pytest.mark.parametrize("purpose", sorted({*MERCHANT_PURPOSES, *PLATFORM_PURPOSES} - {*FLOORED, "stp_cash"}))
def test_an_account_without_a_floor_can_be_overdrawn(merchant, purpose):
    name = AccountName(purpose, merchant if purpose in MERCHANT_PURPOSES else None)
    sign = 1 if name.normal_side == "credit" else -1

    post((name, sign * 500), (CASH, sign * -500))

    assert balance.of_name(name, livemode=False) == -500


@pytest.mark.django_db
def test_a_debit_of_two_accounts_needs_funds_in_both(merchant):
    available, blocked = AccountName("available", merchant), AccountName("blocked", merchant)
    fund("available", 500, merchant)
    fund("blocked", 100, merchant)

    with nothing_written(), pytest.raises(InsufficientFunds, match=r"Blocked holds \$1\.00; \$2\.00 are needed"):
        post((available, 500), (blocked, 200), (CASH, -700))

    assert held(merchant) == {"available": 500, "blocked": 100}


@pytest.mark.django_db
def test_modes_and_merchants_have_separate_books(merchant, other_merchant):
    available = AccountName("available", merchant)
    fund("available", 700, merchant, livemode=True)
    fund("available", 9, other_merchant)
    fund("available", 5, merchant)

    with nothing_written(), pytest.raises(InsufficientFunds, match=r"holds \$0\.05; \$0\.06 are needed"):
        post((available, 6), (CASH, -6))

    assert (held(merchant), held(merchant, livemode=True)) == ({"available": 5}, {"available": 700})
    assert (held(other_merchant), held(other_merchant, livemode=True)) == ({"available": 9}, {})
    assert (platform(), platform(livemode=True)) == ({"stp_cash": 14}, {"stp_cash": 700})
    mixed = "SELECT count(*) FROM ledger_entry e JOIN ledger_transaction t ON t.id = transaction_id"
    with connection.cursor() as cursor:
        cursor.execute(f"{mixed} JOIN ledger_account a ON a.id = account_id WHERE a.livemode <> t.livemode")
        assert cursor.fetchone() == (0,)


@pytest.mark.django_db
def test_accounts_are_opened_as_the_chart_defines(merchant):
    names = [AccountName(purpose, merchant) for purpose in MERCHANT_PURPOSES]
    names += [AccountName(purpose) for purpose in PLATFORM_PURPOSES]

    opened = open_accounts(names, livemode=True)

    assert {code: (a.normal_side, a.floor, a.livemode) for code, a in opened.items()} == {
        name.code: (name.normal_side, 0 if name.purpose in FLOORED else None, True) for name in names
    }


def test_concurrent_postings_open_each_account_once(committed_db):
    def one(number: int) -> None:
        with transaction.atomic():
            post(source=f"src_{number}")

    at_once([lambda number=number: one(number) for number in range(8)])

    assert sorted(Account.objects.values_list("code", flat=True)) == ["platform:stp_cash", "platform:suspense"]
    assert written() == (8, 16, [])
    assert platform() == {"stp_cash": 5_600, "suspense": 5_600}


def test_concurrent_postings_of_one_source_post_once(committed_db):
    def one() -> str:
        try:
            with transaction.atomic():
                post()
        except AlreadyPosted:
            return "already posted"
        return "posted"

    assert sorted(at_once([one] * 8)) == ["already posted"] * 7 + ["posted"]

    assert written() == (1, 2, [])
    assert platform() == {"stp_cash": 700, "suspense": 700}
