"""``GET /v1/balance``: a merchant's money in one mode."""

from __future__ import annotations

from datetime import datetime

import pytest

from core import clock
from tests.problems import assert_problem

pytestmark = pytest.mark.django_db

SPEI = {"method": "spei", "amount": 100_000, "currency": "MXN"}
FIGURES = ("available", "pending", "reserved", "blocked", "debt")


def test_a_new_merchant_has_nothing_in_any_figure(api):
    before = clock.now()

    answer = api.get("/v1/balance")

    assert answer.status_code == 200
    body = answer.json()
    as_of = body.pop("as_of")
    assert as_of.endswith("Z")
    assert before <= datetime.fromisoformat(as_of) <= clock.now()
    assert body == {"object": "balance", "livemode": False, "currency": "MXN"} | dict.fromkeys(FIGURES, 0)


def test_a_paid_payment_is_available_less_fee_and_iva(api, stp):
    created = api.post("/v1/payments", SPEI).json()
    stp.post(stp.deposit(created["spei"]["clabe"], 100_000))

    body = api.get("/v1/balance").json()

    assert {name: body[name] for name in FIGURES} == dict.fromkeys(FIGURES, 0) | {"available": 98_840}
    assert body["available"] == api.get(f"/v1/payments/{created['id']}").json()["net"]


def test_money_in_suspense_is_in_no_balance(api, stp):
    created = api.post("/v1/payments", SPEI).json()
    stp.post(stp.deposit(created["spei"]["clabe"], 99_999))

    assert {api.get("/v1/balance").json()[name] for name in FIGURES} == {0}


def test_test_money_never_shows_in_live_mode_nor_at_another_merchant(api, stp, merchant, other_merchant, make_api):
    created = api.post("/v1/payments", SPEI).json()
    stp.post(stp.deposit(created["spei"]["clabe"], 100_000))

    live = make_api(merchant, livemode=True).get("/v1/balance").json()
    other = make_api(other_merchant).get("/v1/balance").json()

    assert (live["livemode"], live["available"]) == (True, 0)
    assert (other["livemode"], other["available"]) == (False, 0)


def test_a_key_without_the_scope_does_not_read_it(merchant, make_api):
    writer = make_api(merchant, scopes=["payments:write"])

    assert_problem(writer.get("/v1/balance"), 403, "key_scope_insufficient")
