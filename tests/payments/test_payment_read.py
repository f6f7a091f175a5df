"""``GET /v1/payments/{id}``: the current state of a payment."""

from __future__ import annotations

import pytest

from payments.models import Payment
from tests.problems import assert_problem

pytestmark = pytest.mark.django_db

SPEI = {"method": "spei", "amount": 100_000, "currency": "MXN", "customer": {"name": "Ana"}}


def test_a_payment_is_read_as_it_was_answered(api, stp):
    created = api.post("/v1/payments", SPEI).json()

    answer = api.get(f"/v1/payments/{created['id']}")

    assert answer.status_code == 200
    assert answer.json() == created


def test_a_paid_payment_shows_who_paid_what_was_kept_and_when(api, stp):
    created = api.post("/v1/payments", SPEI).json()
    stp.post(stp.deposit(created["spei"]["clabe"], 100_000))

    paid = api.get(f"/v1/payments/{created['id']}").json()

    payment = Payment.objects.get()
    assert payment.completed_at is not None
    changed = {name: value for name, value in paid.items() if value != created[name]}
    completed_at = changed.pop("completed_at")
    assert completed_at.endswith("Z")
    assert completed_at >= paid["created_at"]
    assert changed == {
        "status": "completed",
        "amount_received": 100_000,
        "amount_refundable": 100_000,
        "fee": 1_000,
        "fee_tax": 160,
        "net": 98_840,
        "spei": {
            **created["spei"],
            "tracking_key": "MBAN01002611200012345678",
            "operating_date": "2026-11-20",
            "payer": {"name": "JUAN PEREZ", "account_masked": "012180********5996", "bank_name": "BBVA Mexico"},
        },
    }


def test_no_answer_shows_the_payers_whole_account(api, stp):
    created = api.post("/v1/payments", SPEI).json()
    stp.post(stp.deposit(created["spei"]["clabe"], 100_000))

    for path in (f"/v1/payments/{created['id']}", "/v1/payments"):
        assert b"012180015025335996" not in api.get(path).content


@pytest.mark.parametrize(
    "public_id",
    [
        "1",
        "0",
        "pay_",
        "pay_1",
        "PAY_01",
        "%00",
        "pay_%00",
        "..",
        "%2e%2e",
        "%27",
        "a" * 3000,
        "pay_01m83rh96ewhc9e919jy8sbsdb",
        "%FF%FE",
    ],
)
def test_an_unknown_id_is_404(api, stp, public_id):
    api.post("/v1/payments", SPEI)

    assert_problem(api.get(f"/v1/payments/{public_id}"), 404, "not_found")


def test_the_ids_of_the_database_lead_nowhere(api, stp):
    created = api.post("/v1/payments", SPEI).json()
    payment = Payment.objects.get()

    assert_problem(api.get(f"/v1/payments/{payment.pk}"), 404, "not_found")
    assert_problem(api.get(f"/v1/payments/{created['id'].upper()}"), 404, "not_found")


def test_the_other_mode_does_not_see_it(api, stp, merchant, make_api):
    created = api.post("/v1/payments", SPEI).json()

    assert_problem(make_api(merchant, livemode=True).get(f"/v1/payments/{created['id']}"), 404, "not_found")
