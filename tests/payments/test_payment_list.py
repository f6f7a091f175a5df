"""``GET /v1/payments``: pages by keyset, newest first, of one merchant in one mode."""

from __future__ import annotations

import base64

import pytest

from core import statements
from payments.models import Payment
from tests.problems import assert_problem, rows

pytestmark = pytest.mark.django_db

SPEI = {"method": "spei", "amount": 100_000, "currency": "MXN"}


def create(api, count):
    """Ids of new payments, oldest first."""
    start = Payment.objects.count()
    return [api.post("/v1/payments", SPEI, key=f"list-{start + i}").json()["id"] for i in range(count)]


def ids(answer):
    assert answer.status_code == 200, answer.content
    return [payment["id"] for payment in answer.json()["data"]]


def cursor_of(api, query="limit=1"):
    """A cursor that the list gave for these filters."""
    cursor = api.get(f"/v1/payments?{query}").json()["next_cursor"]
    assert cursor
    return cursor


def test_an_empty_list_is_an_empty_page(api):
    assert api.get("/v1/payments").json() == {"data": [], "has_more": False, "next_cursor": None}


def test_the_newest_twenty_come_first_with_a_cursor_to_the_rest(api, stp):
    made = create(api, 23)[::-1]

    first = api.get("/v1/payments")
    second = api.get(f"/v1/payments?cursor={first.json()['next_cursor']}")

    assert ids(first) == made[:20]
    assert first.json()["has_more"] is True
    assert ids(second) == made[20:]
    assert (second.json()["has_more"], second.json()["next_cursor"]) == (False, None)


def test_a_listed_payment_is_the_payment_as_it_is_read(api, stp):
    (only,) = create(api, 1)

    assert api.get("/v1/payments").json()["data"] == [api.get(f"/v1/payments/{only}").json()]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 100])
def test_pages_of_any_size_show_everything_once(api, stp, limit):
    made, seen, cursor = create(api, 7)[::-1], [], ""

    while True:
        answer = api.get(f"/v1/payments?limit={limit}{cursor}")
        assert len(ids(answer)) <= limit
        seen += ids(answer)
        if not answer.json()["has_more"]:
            break
        cursor = f"&cursor={answer.json()['next_cursor']}"

    assert seen == made


def test_payments_created_during_pagination_shift_nothing(api, stp):
    made = create(api, 4)[::-1]
    first = api.get("/v1/payments?limit=2")
    create(api, 3)

    second = api.get(f"/v1/payments?limit=2&cursor={first.json()['next_cursor']}")

    assert ids(first) + ids(second) == made


def test_a_page_by_status_goes_on_although_its_last_payment_left_the_filter(api, stp):
    made = create(api, 4)[::-1]
    first = api.get("/v1/payments?limit=2&status=pending")
    last = Payment.objects.get(public_id=made[1])
    assert stp.post(stp.deposit(last.clabe, last.amount)).status_code == 200

    second = api.get(f"/v1/payments?limit=2&status=pending&cursor={first.json()['next_cursor']}")

    assert ids(second) == made[2:]


def test_every_page_is_one_statement(api, stp, monkeypatch):
    create(api, 30)
    cursor = ""
    asked = []
    send = statements.send
    monkeypatch.setattr(statements, "send", lambda *a, **b: asked.append(a[0]) or send(*a, **b))

    for depth in range(1, 4):
        answer = api.get(f"/v1/payments?limit=10{cursor}")
        cursor = f"&cursor={answer.json()['next_cursor']}"
        assert len([text for text in asked if b"payments_payment" in text]) == depth


def test_filters_by_status_and_method(api, stp):
    pending, paid = create(api, 2)
    payment = Payment.objects.get(public_id=paid)
    stp.post(stp.deposit(payment.clabe, payment.amount))

    assert ids(api.get("/v1/payments?status=completed")) == [paid]
    assert ids(api.get("/v1/payments?status=pending")) == [pending]
    assert ids(api.get("/v1/payments?status=expired")) == []
    assert ids(api.get("/v1/payments?method=spei")) == [paid, pending]
    assert ids(api.get("/v1/payments?method=oxxo")) == []
    assert ids(api.get("/v1/payments?method=spei&status=completed")) == [paid]


@pytest.mark.parametrize(
    ("name", "value"), [("status", "paid"), ("status", ""), ("method", "card"), ("method", "SPEI")]
)
def test_an_unknown_filter_value_is_refused(api, name, value):
    assert_problem(api.get(f"/v1/payments?{name}={value}"), 400, "invalid_request", name)


@pytest.mark.parametrize(
    "name", ["Status", "state", "statuses", "after_sequence", "livemode", "merchant", "page", "a%00"]
)
def test_an_unknown_filter_is_refused(api, stp, name):
    create(api, 1)

    problem = assert_problem(api.get(f"/v1/payments?{name}=x&limit=1"), 400, "unknown_field", name.replace("%00", "\0"))

    assert [error["code"] for error in problem["errors"]] == ["unknown_field"]


def test_every_unknown_filter_is_named_beside_those_that_exist(api):
    answer = api.get("/v1/payments?status=pending&method=spei&limit=1&from=2026-01-01&to=2026-02-01")

    assert_problem(answer, 400, "unknown_field", "from", "to")


@pytest.mark.parametrize(
    "limit", ["0", "101", "-1", "abc", "", "1.0", "1e1", "99999999999999999999", "%D9%A3", "%00", " 5"]
)
def test_a_limit_outside_1_to_100_is_refused(api, limit):
    assert_problem(api.get(f"/v1/payments?limit={limit}"), 400, "invalid_request", "limit")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "%00",
        "AA",
        "====",
        "8",
        "MQ",
        "%C3%A9",
        "%F0%9F%8C%AE",
        "cGF5Xw",
        "a" * 31,
        "a" * 5000,
        "1'%20OR%201=1--",
    ],
)
def test_a_cursor_that_we_did_not_give_is_refused(api, stp, cursor):
    create(api, 2)

    assert_problem(api.get(f"/v1/payments?cursor={cursor}"), 400, "invalid_cursor", "cursor")


@pytest.mark.parametrize("cursor", ["a" * 32, "a" * 41, "a" * 43, "_" * 200])
def test_a_made_up_cursor_of_the_right_form_is_refused(api, stp, cursor):
    assert_problem(api.get(f"/v1/payments?cursor={cursor}"), 422, "invalid_request", "cursor")


def test_a_cursor_of_another_list_merchant_or_mode_is_refused(api, stp, merchant, other_merchant, make_api):
    create(api, 2)
    mine = cursor_of(api)

    for caller in (make_api(other_merchant), make_api(merchant, livemode=True)):
        assert_problem(caller.get(f"/v1/payments?cursor={mine}"), 422, "invalid_request", "cursor")
    assert_problem(api.get(f"/v1/events?cursor={mine}"), 422, "invalid_request", "cursor")
    assert api.get(f"/v1/payments?cursor={mine}").status_code == 200


def test_a_cursor_belongs_to_its_filters(api, stp):
    create(api, 3)
    cursor = cursor_of(api, "limit=1&status=pending&q=646")

    for filters in ("", "&status=pending", "&status=completed&q=646", "&status=pending&q=6461", "&method=spei"):
        assert_problem(api.get(f"/v1/payments?limit=1&cursor={cursor}{filters}"), 422, "invalid_request", "cursor")
    assert len(ids(api.get(f"/v1/payments?limit=2&q=646&status=pending&cursor={cursor}"))) == 2


def test_no_bit_of_a_cursor_can_be_changed(api, stp):
    create(api, 2)
    sealed = base64.urlsafe_b64decode(cursor_of(api) + "=")

    for bit in range(8 * len(sealed)):
        forged = bytearray(sealed)
        forged[bit // 8] ^= 1 << bit % 8
        text = base64.urlsafe_b64encode(forged).rstrip(b"=").decode()
        assert api.get(f"/v1/payments?cursor={text}").json()["errors"][0]["code"] == "invalid_cursor"


def test_a_cursor_shows_neither_ids_nor_moments(api, stp):
    create(api, 3)
    payment = Payment.objects.order_by("-id")[0]

    sealed = base64.urlsafe_b64decode(cursor_of(api) + "=")

    assert payment.pk.to_bytes(8, "big") not in sealed
    assert int(payment.created_at.timestamp()).to_bytes(4, "big") not in sealed
    assert cursor_of(api) == cursor_of(api)


def test_a_new_secret_key_ends_cursors_unless_the_old_one_still_counts(api, stp, settings):
    create(api, 2)
    cursor, old = cursor_of(api), settings.SECRET_KEY

    settings.SECRET_KEY = "another-" + "x" * 50
    assert_problem(api.get(f"/v1/payments?cursor={cursor}"), 422, "invalid_request", "cursor")
    settings.SECRET_KEY_FALLBACKS = [old]

    assert len(ids(api.get(f"/v1/payments?cursor={cursor}"))) == 1


@pytest.mark.parametrize("query", ["status=pending&status=completed", "limit=1&limit=2", "q=a&q=b"])
def test_a_parameter_that_is_given_twice_is_refused(api, query):
    assert_problem(api.get(f"/v1/payments?{query}"), 400, "invalid_request", query.partition("=")[0])


def test_lists_hold_only_what_is_ones_own_in_this_mode(api, stp, merchant, other_merchant, make_api):
    (mine,) = create(api, 1)
    others = make_api(other_merchant)
    theirs = others.post("/v1/payments", SPEI).json()["id"]

    assert ids(api.get("/v1/payments")) == [mine]
    assert ids(others.get("/v1/payments")) == [theirs]
    assert ids(make_api(merchant, livemode=True).get("/v1/payments")) == []


def test_reading_writes_nothing(api, stp):
    create(api, 2)
    before = rows()

    api.get("/v1/payments?limit=1")

    assert rows() == before
