"""Reusable CLABEs in the API: created, listed, closed and paid repeatedly."""

from __future__ import annotations

import pytest

from core.mx import clabe as mx_clabe
from merchants.models import Event
from payments.models import Clabe, Payment
from tests.problems import assert_problem, rows

pytestmark = pytest.mark.django_db


def test_a_clabe_answers_every_field_and_tells_of_itself(api, stp):
    sent = {
        "label": "Cliente 17",
        "customer": {"name": "Ana López", "email": "ana@example.mx", "phone": "5555555555"},
        "min_amount": 100,
        "max_amount": 500_000,
        "metadata": {"contract": "17"},
    }

    answer = api.post("/v1/clabes", sent)

    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert {name: body[name] for name in sent} == sent
    assert (body["object"], body["status"], body["livemode"], body["closed_at"]) == ("clabe", "active", False, None)
    assert mx_clabe.is_valid(body["clabe"])
    assert (body["bank_name"], body["beneficiary_name"]) == ("STP", "Café Luna")
    assert api.get(f"/v1/clabes/{body['id']}").json() == body
    event = Event.objects.get()
    assert (event.type, event.data["object"]) == ("clabe.created", body)


def test_the_same_key_hands_out_one_clabe(api, stp):
    answers = [api.post("/v1/clabes", {}, key="same") for _ in range(3)]

    assert len({a.content for a in answers}) == 1
    assert Clabe.objects.count() == 1


def test_closing_is_told_once(api, stp):
    made = api.post("/v1/clabes", {}).json()
    url = f"/v1/clabes/{made['id']}/close"

    first = api.post(url, {})
    before = rows()
    second = api.post(url, {})

    assert (first.status_code, first.json()["status"]) == (200, "closed")
    assert second.json() == first.json()
    assert rows() == before
    assert list(Event.objects.order_by("sequence").values_list("type", flat=True)) == ["clabe.created", "clabe.closed"]


@pytest.mark.parametrize(
    ("sent", "status", "code", "field"),
    [
        ({"min_amount": 0}, 400, "invalid_amount", "min_amount"),
        ({"max_amount": "5"}, 400, "invalid_amount", "max_amount"),
        ({"min_amount": 2, "max_amount": 1}, 422, "invalid_request", "min_amount"),
        ({"amount": 5}, 400, "unknown_field", "amount"),
        ({"label": "x" * 101}, 400, "invalid_request", "label"),
        ({"customer": {"email": "not-an-address"}}, 400, "invalid_request", "customer.email"),
        ({"customer": {"email": "ana@example"}}, 422, "invalid_request", "customer.email"),
        ({"metadata": {"k": 1}}, 400, "invalid_request", "metadata"),
    ],
)
def test_bad_input_hands_out_nothing(api, stp, sent, status, code, field):
    before = rows()

    assert_problem(api.post("/v1/clabes", sent), status, code, field)

    assert rows() == before


def test_each_accepted_transfer_is_a_completed_payment_that_names_its_clabe(api, stp):
    made = api.post("/v1/clabes", {"metadata": {"contract": "17"}}).json()

    for number in range(3):
        answer = stp.post(stp.deposit(made["clabe"], 10_000 + number, claveRastreo=f"T{number}"))
        assert answer.json() == {"mensaje": "confirmar"}

    listed = api.get("/v1/payments").json()["data"]
    assert [p["amount_received"] for p in listed] == [10_002, 10_001, 10_000]
    assert {p["status"] for p in listed} == {"completed"}
    assert {p["clabe_id"] for p in listed} == {made["id"]}
    assert {p["spei"]["clabe"] for p in listed} == {made["clabe"]}
    assert {p["metadata"]["contract"] for p in listed} == {"17"}
    for shown in listed:
        assert api.get(f"/v1/payments/{shown['id']}").json() == shown


def test_one_transfer_told_twice_is_one_payment(api, stp):
    made = api.post("/v1/clabes", {}).json()
    raw = stp.deposit(made["clabe"], 10_000)

    for _ in range(3):
        stp.post(raw)
    stp.post(raw.replace(b'"id": 3191365', b'"id": 4'))

    assert Payment.objects.count() == 1


def test_lists_are_newest_first_by_pages(api, stp):
    made = [api.post("/v1/clabes", {"label": str(n)}, key=f"k{n}").json() for n in range(3)]

    first = api.get("/v1/clabes?limit=2").json()
    second = api.get(f"/v1/clabes?limit=2&cursor={first['next_cursor']}").json()

    assert first["data"] + second["data"] == made[::-1]
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert_problem(api.get("/v1/clabes?status=active"), 400, "unknown_field", "status")
