"""``GET /v1/balance/transactions``: the lines that explain the balance, each with the balance after it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction

from ledger.models import Hold
from ledger.services import balance, hold
from ledger.services.balance_transaction import WINDOW
from ledger.services.journal import PostingTime
from ledger.services.postings import pay_in
from payments.models import Payment
from tests.problems import assert_problem, rows

pytestmark = pytest.mark.usefixtures("committed_db")

FIGURES = ("available", "pending", "reserved", "blocked", "debt")
START = datetime(2026, 11, 10, 12, tzinfo=UTC)


def lines(api, query="", *, wait_for=None):
    """One page; waits while a transaction elsewhere holds lines back."""
    end = time.monotonic() + 300
    while True:
        answer = api.get(f"/v1/balance/transactions{query}")
        assert answer.status_code == 200, answer.content
        body = answer.json()
        if wait_for is None or len(body["data"]) >= wait_for or time.monotonic() > end:
            return body
        time.sleep(0.05)


def walk(api, query=""):
    """Every line of the list, by its pages."""
    found, cursor = [], ""
    while cursor is not None:
        body = lines(api, f"?{query}{cursor and f'&cursor={cursor}'}")
        found += body["data"]
        cursor = body["next_cursor"]
        assert body["has_more"] is (cursor is not None)
    return found


@pytest.fixture
def book(merchant):
    """Postings of the merchant, a minute apart."""
    count = iter(range(100_000))

    def post(kind="deposit", amount=100_000, *, whose=None):
        number = next(count)
        moment = START + timedelta(minutes=number)
        with time_machine.travel(moment, tick=False), transaction.atomic():
            when = PostingTime(moment, moment.date())
            options = {"livemode": False, "source": f"src_{number}", "amount": amount, "when": when}
            if kind == "deposit":
                pay_in.spei_deposit(whose or merchant, fee=1_000, fee_tax=160, **options)
            elif kind == "oxxo":
                pay_in.oxxo_paid(whose or merchant, fee=0, fee_tax=0, **options)
            else:
                hold.place(whose or merchant, purpose=Hold.Purpose.PAYOUT, **options)

    return post


def test_a_paid_payment_is_a_line_with_its_source_and_net_amount(api, stp):
    created = api.post("/v1/payments", {"method": "spei", "amount": 100_000, "currency": "MXN"}).json()
    assert stp.post(stp.deposit(created["spei"]["clabe"], 100_000)).status_code == 200

    (line,) = lines(api, wait_for=1)["data"]

    deposit = Payment.objects.get().deposits.get()
    assert line.pop("id").startswith("txn_")
    assert all(line.pop(name).endswith("Z") for name in ("created_at", "effective_at"))
    assert line == {
        "object": "balance_transaction",
        "livemode": False,
        "operating_date": deposit.operating_date.isoformat(),
        "kind": "spei_deposit",
        "source": deposit.public_id,
        "description": "Depósito SPEI abonado",
        "currency": "MXN",
        "amount": 100_000,
        "fee": 1_000,
        "fee_tax": 160,
        "net": 98_840,
        "change": dict.fromkeys(FIGURES, 0) | {"available": 98_840},
        "balance": dict.fromkeys(FIGURES, 0) | {"available": 98_840},
    }


def test_each_line_adds_to_the_previous_balance_up_to_the_current_one(api, book, merchant):
    for kind, amount in [("deposit", 100_000), ("hold", 50_000), ("oxxo", 7_000), ("deposit", 5_000), ("hold", 1)]:
        book(kind, amount)
    lines(api, wait_for=5)

    for limit in (1, 2, 3, 100):
        found = walk(api, f"limit={limit}")

        assert [line["kind"] for line in found] == [
            "payout_created", "spei_deposit", "oxxo_paid", "payout_created", "spei_deposit"
        ]  # fmt: skip
        now = balance.of_merchant(merchant, livemode=False)
        assert found[0]["balance"] == {name: getattr(now, name) for name in FIGURES}
        running = dict.fromkeys(FIGURES, 0)
        for line in reversed(found):
            running = {name: running[name] + line["change"][name] for name in FIGURES}
            assert line["balance"] == running
            assert line["net"] == line["amount"] - line["fee"] - line["fee_tax"]
            change = line["change"]
            assert line["net"] == sum(change.values()) - 2 * change["debt"]


def test_lines_booked_during_pagination_shift_nothing(api, book):
    for _ in range(4):
        book()
    lines(api, wait_for=4)
    first = lines(api, "?limit=2")
    book()

    second = lines(api, f"?limit=2&cursor={first['next_cursor']}")

    assert [line["balance"]["available"] for line in first["data"] + second["data"]] == [
        4 * 98_840, 3 * 98_840, 2 * 98_840, 98_840
    ]  # fmt: skip


def test_by_kind_the_balance_still_counts_what_is_not_shown(api, book):
    for kind in ("deposit", "hold", "deposit", "hold", "deposit"):
        book(kind, 100_000 if kind == "deposit" else 10)
    lines(api, wait_for=5)

    found = walk(api, "kind=payout_created&limit=1")

    assert [(line["balance"]["available"], line["balance"]["reserved"]) for line in found] == [
        (2 * 98_840 - 20, 20),
        (98_840 - 10, 10),
    ]


def test_by_moment_of_booking_with_days_of_mexico_city(api, book):
    for _ in range(10):
        book()
    lines(api, wait_for=10)
    third, seventh = "2026-11-10T12:03:00Z", "2026-11-10T12:07:00Z"

    found = walk(api, f"created_at[gte]={third}&created_at[lt]={seventh}&limit=3")

    assert [line["source"] for line in found] == ["src_6", "src_5", "src_4", "src_3"]
    assert [line["balance"]["available"] // 98_840 for line in found] == [7, 6, 5, 4]
    assert len(walk(api, "created_at[gte]=2026-11-10&created_at[lte]=2026-11-10")) == 10
    assert walk(api, "created_at[gt]=2026-11-10") == walk(api, "created_at[lt]=2026-11-10") == []


def test_a_page_of_a_rare_kind_ends_early_and_reports_more(api, book, monkeypatch):
    monkeypatch.setattr("ledger.services.balance_transaction.WINDOW", 3)
    book("oxxo")
    for _ in range(7):
        book()
    lines(api, wait_for=8)

    first = lines(api, "?kind=oxxo_paid&limit=1")
    second = lines(api, f"?kind=oxxo_paid&limit=1&cursor={first['next_cursor']}")

    assert WINDOW > 100
    assert (first["data"], first["has_more"]) == ([], True)
    assert (second["data"], second["has_more"]) == ([], True)
    (line,) = walk(api, "kind=oxxo_paid&limit=1")
    assert line["balance"] == dict.fromkeys(FIGURES, 0) | {"pending": 100_000}


def test_many_transactions_of_one_moment_are_each_shown_once(api, book):
    with transaction.atomic():  # one position for all of them
        for _ in range(7):
            book()
    lines(api, wait_for=7)

    found = walk(api, "limit=2")

    assert [line["source"] for line in found] == [f"src_{n}" for n in range(6, -1, -1)]
    assert [line["balance"]["available"] // 98_840 for line in found] == [7, 6, 5, 4, 3, 2, 1]


def test_they_are_ones_own_in_this_mode_and_a_cursor_too(api, book, merchant, other_merchant, make_api):
    book(), book(), book(whose=other_merchant)
    lines(api, wait_for=2)
    others, live = make_api(other_merchant), make_api(merchant, livemode=True)
    cursor = lines(api, "?limit=1")["next_cursor"]

    assert len(walk(api)) == 2
    assert len(walk(others)) == 1
    assert walk(live) == []
    for caller, query in ((others, ""), (live, ""), (api, "&kind=reversal")):
        answer = caller.get(f"/v1/balance/transactions?limit=1&cursor={cursor}{query}")
        assert_problem(answer, 422, "invalid_request", "cursor")


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("limit=0", "invalid_request", "limit"),
        ("limit=101", "invalid_request", "limit"),
        ("kind=x", "invalid_request", "kind"),
        ("kind=sweep_sent", "invalid_request", "kind"),
        ("created_at[gte]=x", "invalid_request", "created_at[gte]"),
        ("source=dep_1", "unknown_field", "source"),
        ("cursor=x", "invalid_cursor", "cursor"),
    ],
)
def test_bad_filters_are_named(api, query, code, field):
    assert_problem(api.get(f"/v1/balance/transactions?{query}"), 400, code, field)


def test_a_key_without_the_scope_does_not_read_them_and_reading_writes_nothing(api, merchant, make_api, book):
    book()
    writer = make_api(merchant, scopes=["payments:write"])
    before = rows()

    assert_problem(writer.get("/v1/balance/transactions"), 403, "key_scope_insufficient")
    lines(api)

    assert rows() == before
