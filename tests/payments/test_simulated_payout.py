"""Deciding what becomes of a test payout: what is refused. ``tests/faults/test_payouts.py`` shows that it works."""

from __future__ import annotations

import pytest

from payments.models import Payout
from payments_site import env
from tests.factories.payouts import wanted
from tests.problems import assert_problem, rows


def outcome_of(api, body):
    made = api.post("/v1/payouts", wanted()).json()
    return api.post(f"/v1/test/payouts/{made['id']}/outcome", body, key=None)


@pytest.mark.usefixtures("committed_db", "script")
@pytest.mark.parametrize(("url", "told"), [("", "SANDBOX_URL"), ("http://127.0.0.1:9", "no responde")])
def test_without_a_simulator_that_answers_it_says_so(api, settings, url, told):
    settings.SANDBOX = env.Sandbox(url)

    answer = outcome_of(api, {"outcome": "settle"})

    assert told in assert_problem(answer, 503, "provider_unavailable")["detail"]
    assert Payout.objects.get().status == "pending"


@pytest.mark.django_db
def test_a_live_key_decides_no_payout(merchant, make_api, stp):
    answer = make_api(merchant, livemode=True).post(
        "/v1/test/payouts/po_00000000000000000000000000/outcome", {"outcome": "settle"}
    )

    assert_problem(answer, 403, "key_scope_insufficient")


@pytest.mark.usefixtures("committed_db", "script")
@pytest.mark.parametrize(
    ("sent", "code", "field"),
    [
        ({}, "invalid_request", "outcome"),
        ({"outcome": "vanish"}, "invalid_request", "outcome"),
        ({"outcome": None}, "invalid_request", "outcome"),
        ({"outcome": ["settle"]}, "invalid_request", "outcome"),
        ({"outcome": "settle", "final": "none"}, "unknown_field", "final"),
    ],
)
def test_a_wrong_outcome_is_refused_by_field(api, sent, code, field):
    made = api.post("/v1/payouts", wanted()).json()
    before = rows()

    answer = api.post(f"/v1/test/payouts/{made['id']}/outcome", sent, key=None)

    assert_problem(answer, 400, code, field)
    assert rows() == before
