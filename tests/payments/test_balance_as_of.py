"""``GET /v1/balance?as_of=``: a merchant's money at any past moment, by the time at which it moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
import time_machine

from core import clock
from core.clock import to_rfc3339
from ledger.models import Hold
from ledger.services import balance, hold
from ledger.services.journal import PostingTime
from ledger.services.postings import pay_in
from tests.problems import assert_problem

pytestmark = pytest.mark.django_db

PAID = datetime(2026, 11, 10, 12, tzinfo=UTC)
FIGURES = ("available", "pending", "reserved", "blocked", "debt")


@pytest.fixture
def history(merchant):
    """1,000 pesos on 10 November, 505.80 held a day later, 1 peso of 10 November that was booked six days late."""
    for moment, effective_at, source in ((PAID, PAID, "dep_1"), (PAID + timedelta(days=6), PAID, "dep_2")):
        with time_machine.travel(moment, tick=False):
            figures = {"amount": 100_000, "fee": 1_000, "fee_tax": 160} if source == "dep_1" else {"amount": 100}
            figures = {"fee": 0, "fee_tax": 0} | figures
            when = PostingTime(effective_at, effective_at.date())
            pay_in.spei_deposit(merchant, livemode=False, source=source, when=when, **figures)
        if source == "dep_1":
            later = PAID + timedelta(days=1)
            with time_machine.travel(later, tick=False):
                when = PostingTime(later, later.date())
                hold.place(
                    merchant, livemode=False, source="po_1", amount=50_580, purpose=Hold.Purpose.PAYOUT, when=when
                )
    return merchant


def read(api, moment: str):
    return api.get(f"/v1/balance?as_of={quote(moment)}")


@pytest.mark.parametrize(
    ("as_of", "available", "reserved"),
    [
        ("2026-11-10T11:59:59.999999Z", 0, 0),
        ("2026-11-10T12:00:00Z", 98_940, 0),
        ("2026-11-10T06:00:00-06:00", 98_940, 0),
        ("2026-11-11T11:59:59Z", 98_940, 0),
        ("2026-11-11t12:00:00.000000z", 48_360, 50_580),
        ("2026-11-20T00:00:00Z", 48_360, 50_580),
        ("2001-01-01T00:00:00Z", 0, 0),
        ("0001-01-01T00:00:00Z", 0, 0),
    ],
)
def test_the_balance_is_what_had_moved_by_then(api, history, as_of, available, reserved):
    answer = read(api, as_of)

    assert answer.status_code == 200
    body = answer.json()
    assert {name: body[name] for name in FIGURES} == dict.fromkeys(FIGURES, 0) | {
        "available": available,
        "reserved": reserved,
    }
    assert datetime.fromisoformat(body["as_of"]) == datetime.fromisoformat(as_of.upper())
    assert body["as_of"].endswith("Z")


def test_a_moment_just_past_is_now(api, history):
    past = read(api, to_rfc3339(clock.now())).json()
    now = api.get("/v1/balance").json()

    assert {name: past[name] for name in FIGURES} == {name: now[name] for name in FIGURES}


@pytest.mark.parametrize(
    "as_of",
    [
        "",
        "now",
        "2026-11-10",
        "2026-11-10T12:00:00",
        "2026-11-10 12:00",
        "2026-02-30T12:00:00Z",
        "2026-11-10T25:00:00Z",
        "1762776000",
        "2026-11-10T12:00:00Z\0",
        "٢٠٢٦-11-10T12:00:00Z",
    ],
)
def test_what_is_no_moment_is_refused(api, history, as_of):
    assert_problem(read(api, as_of), 400, "invalid_request", "as_of")


@pytest.mark.parametrize("ahead", [timedelta(minutes=1), timedelta(days=365), timedelta(days=2_000_000)])
def test_a_moment_that_is_still_to_come_is_refused(api, history, ahead):
    assert_problem(read(api, to_rfc3339(clock.now() + ahead)), 422, "invalid_request", "as_of")


@pytest.mark.parametrize("as_of", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-06:00"])
def test_a_moment_outside_of_what_can_be_computed_is_refused(api, history, as_of):
    assert_problem(read(api, as_of), 422, "invalid_request", "as_of")


def test_it_shows_no_other_merchants_nor_modes_money(history, merchant, other_merchant, make_api):
    answers = [
        read(make_api(other_merchant), "2026-11-20T00:00:00Z"),
        read(make_api(merchant, livemode=True), "2026-11-20T00:00:00Z"),
    ]

    assert [{answer.json()[name] for name in FIGURES} for answer in answers] == [{0}, {0}]


def test_it_is_read_in_one_statement(history, django_assert_num_queries):
    with django_assert_num_queries(1):
        balance.of_merchant(history, livemode=False, as_of=PAID)


def test_the_schema_names_it(client):
    parameters = client.get("/v1/openapi.json").json()["paths"]["/v1/balance"]["get"]["parameters"]

    assert [(p["name"], p["in"], p["schema"]["format"]) for p in parameters if p.get("name") == "as_of"] == [
        ("as_of", "query", "date-time")
    ]
