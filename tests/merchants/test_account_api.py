"""``GET /v1/merchant`` and ``GET /v1/banks``."""

from __future__ import annotations

import pytest

from core.clock import to_rfc3339
from tests.problems import assert_problem

pytestmark = pytest.mark.django_db


NO_LIMITS = {
    "per_payout": None,
    "per_day": None,
    "remaining_today": None,
    "per_destination_and_day": None,
    "cool_down_hours": 0,
}


def test_a_merchant_reads_itself_in_the_mode_of_its_key(api, merchant, make_api):
    wanted = {
        "id": merchant.public_id,
        "object": "merchant",
        "livemode": False,
        "created_at": to_rfc3339(merchant.created_at),
        "name": "Café Luna",
        "legal_name": "Café Luna SA de CV",
        "status": "active",
        "payout_limits": NO_LIMITS,
    }

    assert api.get("/v1/merchant").json() == wanted
    assert make_api(merchant, livemode=True, scopes=[]).get("/v1/merchant").json() == {**wanted, "livemode": True}


def test_banks_are_listed_once_each_by_name(api):
    answer = api.get("/v1/banks").json()

    banks = answer["data"]
    assert (answer["has_more"], answer["next_cursor"]) == (False, None)
    assert {"object": "bank", "code": "90646", "clabe_prefix": "646", "name": "STP"} in banks
    assert len({bank["code"] for bank in banks}) == len(banks) > 80
    assert [bank["name"] for bank in banks] == sorted(bank["name"] for bank in banks)
    assert all(len(bank["clabe_prefix"]) == 3 and bank["name"] for bank in banks)


@pytest.mark.parametrize("query", ["?q=BBVA", "?merchant=mer_x"])
def test_banks_know_no_filter(api, query):
    assert_problem(api.get(f"/v1/banks{query}"), 400, "unknown_field", query[1:].split("=")[0])
