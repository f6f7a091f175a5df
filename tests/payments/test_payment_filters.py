"""Filters of ``GET /v1/payments``: times, amounts, external ids; invalid values are refused."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote

import pytest
import time_machine
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.clock import MEXICO_CITY
from payments.models import Payment
from tests.problems import assert_problem, rows

pytestmark = pytest.mark.django_db

IN_ONE_TRANSACTION = settings(max_examples=60)


@pytest.fixture
def create(api, stp):
    def make(**changes):
        moment = changes.pop("created_at", None)
        body = {"method": "spei", "amount": 100_000, "currency": "MXN", **changes}
        with time_machine.travel(moment, tick=False) if moment else nullcontext():
            answer = api.post("/v1/payments", body, key=f"f-{Payment.objects.count()}")
        assert answer.status_code == 201, answer.content
        return answer.json()["id"]

    return make


def found(api, **filters):
    query = "&".join(f"{quote(name)}={quote(str(value))}" for name, value in filters.items())
    answer = api.get(f"/v1/payments?limit=100&{query}")
    assert answer.status_code == 200, answer.content
    return [payment["id"] for payment in answer.json()["data"]]


def test_a_day_is_that_day_in_mexico_city(api, create):
    # Mexico City is UTC-6 the whole year.
    last_of_9 = create(created_at=datetime(2026, 3, 10, 5, 59, 59, 999_999, UTC))
    first_of_10 = create(created_at=datetime(2026, 3, 10, 6, 0, 0, 0, UTC))
    last_of_10 = create(created_at=datetime(2026, 3, 11, 5, 59, 59, 999_999, UTC))

    assert found(api, **{"created_at[gte]": "2026-03-10"}) == [last_of_10, first_of_10]
    assert found(api, **{"created_at[gt]": "2026-03-09"}) == [last_of_10, first_of_10]
    assert found(api, **{"created_at[gt]": "2026-03-10"}) == []
    assert found(api, **{"created_at[lt]": "2026-03-10"}) == [last_of_9]
    assert found(api, **{"created_at[lte]": "2026-03-09"}) == [last_of_9]
    assert found(api, **{"created_at[lte]": "2026-03-10"}) == [last_of_10, first_of_10, last_of_9]
    assert found(api, **{"created_at[gte]": "2026-03-10", "created_at[lte]": "2026-03-10"}) == [last_of_10, first_of_10]


def test_moments_bound_to_the_microsecond(api, create):
    moment = datetime(2026, 3, 10, 12, 0, 0, 5, UTC)
    before, at, after = (create(created_at=moment + timedelta(microseconds=n)) for n in (-1, 0, 1))
    text = "2026-03-10T06:00:00.000005-06:00"

    assert found(api, **{"created_at[gte]": text}) == [after, at]
    assert found(api, **{"created_at[gt]": text}) == [after]
    assert found(api, **{"created_at[lte]": text}) == [at, before]
    assert found(api, **{"created_at[lt]": text}) == [before]
    assert found(api, **{"created_at[gte]": text, "created_at[lte]": text}) == [at]


@IN_ONE_TRANSACTION
@given(
    day=st.dates(date(2011, 1, 1), date(2030, 12, 31)),
    off=st.sampled_from([0, 1, 86_399_999_999]) | st.integers(-5_000_000, 5_000_000),
    sign=st.sampled_from(["gte", "gt", "lte", "lt"]),
)
@example(day=date(2022, 4, 3), off=0, sign="gte")  # the last summer time of Mexico City began on this day
@example(day=date(2022, 10, 30), off=-1, sign="lt")  # … and ended on this one
def test_a_day_compares_as_its_calendar_does(day, off, sign, api, create):
    moment = datetime(day.year, day.month, day.day, tzinfo=MEXICO_CITY).astimezone(UTC) + timedelta(microseconds=off)
    payment = create(created_at=moment)

    is_found = payment in found(api, **{f"created_at[{sign}]": day.isoformat()})

    local = moment.astimezone(MEXICO_CITY).date()
    assert is_found == {"gte": local >= day, "gt": local > day, "lte": local <= day, "lt": local < day}[sign]


@pytest.mark.parametrize("sign", ["gte", "gt", "lte", "lt"])
@pytest.mark.parametrize(
    "value",
    ["", "now", "2026-02-30", "2026-3-1", "20260301", "2026-03-10T12:00:00", "2026-03-10 12:00Z",
     "٢٠٢٦-11-10", "2026-03-10\0", "1762776000"],
)  # fmt: skip
def test_what_is_no_moment_and_no_day_is_refused(api, sign, value):
    name = f"created_at[{sign}]"

    assert_problem(api.get(f"/v1/payments?{quote(name)}={quote(value)}"), 400, "invalid_request", name)


@pytest.mark.parametrize("value", ["0001-01-01", "9999-12-31", "9999-12-31T23:59:59-06:00"])
def test_a_time_outside_of_what_can_be_computed_is_refused(api, value):
    assert_problem(api.get(f"/v1/payments?created_at[gte]={quote(value)}"), 422, "invalid_request", "created_at[gte]")


def test_amounts_in_centavos_both_ends_included(api, create):
    small, middle, large = create(amount=100), create(amount=101), create(amount=5_000_000)

    assert found(api, **{"amount[gte]": 101}) == [large, middle]
    assert found(api, **{"amount[lte]": 101}) == [middle, small]
    assert found(api, **{"amount[gte]": 101, "amount[lte]": 101}) == [middle]
    assert found(api, **{"amount[gte]": 102, "amount[lte]": 101}) == []
    assert found(api, **{"amount[gte]": 9_007_199_254_740_991}) == []


@pytest.mark.parametrize("value", ["", "-1", "1.0", "1e3", "x", "9" * 30, "٣", "9007199254740992", " 1"])
def test_what_is_no_amount_is_refused(api, value):
    assert_problem(api.get(f"/v1/payments?amount[gte]={quote(value)}"), 400, "invalid_request", "amount[gte]")


def test_external_ids_are_found_whole_or_by_how_they_begin(api, create):
    plain, longer, marked = create(external_id="ord-1"), create(external_id="ord-12"), create(external_id="ord_%1\\x")
    create()

    assert found(api, external_id="ord-1") == [plain]
    assert found(api, external_id="ORD-1") == []
    assert found(api, **{"external_id[prefix]": "ord-1"}) == [longer, plain]
    assert found(api, **{"external_id[prefix]": "ord_"}) == [marked]
    assert found(api, **{"external_id[prefix]": "ord_%1\\"}) == [marked]
    assert found(api, **{"external_id[prefix]": "%"}) == []
    assert found(api, **{"external_id[prefix]": "rd-1"}) == []


@pytest.mark.parametrize("written", ["ord 1", " ord 1", "ord 1  ", "\u3000ord 1\u00a0", "\tord 1\n"])
def test_a_payment_is_found_by_its_external_id_as_it_was_sent(api, create, written):
    made = create(external_id=written)

    assert found(api, external_id=written) == found(api, external_id="ord 1") == [made]
    assert found(api, **{"external_id[prefix]": " ord "}) == [made]
    assert found(api, **{"external_id[prefix]": "ord 1 "}) == []


@pytest.mark.parametrize("name", ["external_id", "external_id[prefix]", "q"])
@pytest.mark.parametrize("value", ["", "a" * 101, "a\0b", "a\nb", "\x7f"])
def test_a_text_that_cannot_be_one_is_refused(api, name, value):
    assert_problem(api.get(f"/v1/payments?{quote(name)}={quote(value)}"), 400, "invalid_request", name)


def test_all_filters_narrow_together_and_go_on_over_pages(api, create):
    wanted = [create(amount=500, external_id=f"b-{n}", customer={"name": "Ñandú"}) for n in range(3)][::-1]
    create(amount=500, external_id="c-1", customer={"name": "Ñandú"})
    create(amount=499, external_id="b-9", customer={"name": "Ñandú"})
    create(amount=500, external_id="b-10")
    filters = "&external_id[prefix]=b-&amount[gte]=500&q=NANDU&status=pending&method=spei&created_at[gte]=2020-01-01"

    first = api.get(f"/v1/payments?limit=2{filters}").json()
    second = api.get(f"/v1/payments?limit=2{filters}&cursor={first['next_cursor']}").json()

    assert [p["id"] for p in first["data"] + second["data"]] == wanted
    assert (first["has_more"], second["has_more"]) == (True, False)


def test_a_page_begins_where_the_last_ended_though_moments_are_equal(api, create):
    moment = datetime(2026, 3, 10, 12, tzinfo=UTC)
    made = [create(created_at=moment) for _ in range(5)][::-1]
    seen, cursor = [], ""

    while cursor is not None:
        body = api.get(f"/v1/payments?limit=2{cursor and f'&cursor={cursor}'}").json()
        seen += [p["id"] for p in body["data"]]
        cursor = body["next_cursor"]

    assert seen == made


def test_no_filter_writes(api, create):
    create()
    before = rows()

    found(api, q="x", **{"created_at[gte]": "2026-01-01", "amount[gte]": 1})

    assert rows() == before
