"""Top-ups: what a merchant transfers to its funding CLABE is in its balance, whole, without a payment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from core import clock
from core.errors import IllegalTransition, InvalidRequest
from core.state import Origin, TransitionRow
from ledger.models import Transaction
from merchants.models import Event, Merchant
from payments.models import Clabe, Deposit, Payment, ReviewCase
from payments.services import clabe as clabe_service
from payments.services import payout_return, review_case
from tests.factories import topups
from tests.factories.payouts import balances, fund, list_returns
from tests.payments.report_orders import table, written
from tests.problems import assert_problem

pytestmark = pytest.mark.usefixtures("committed_db")
STAFF = Origin(TransitionRow.Cause.STAFF, "ana")


@pytest.fixture
def funding(merchant, stp):
    return topups.funding_clabe(merchant)


def pay_in(stp, clabe, amount=50_000, **changes):
    answer = stp.post(stp.deposit(clabe, amount, **changes))
    assert answer.status_code == 200, answer.content
    return Deposit.objects.latest("id")


def case_of(deposit):
    return ReviewCase.objects.get(deposit=deposit).pk


def kinds(source):
    return list(Transaction.objects.filter(source=source).order_by("id").values_list("kind", flat=True))


def test_a_transfer_to_the_funding_clabe_is_available_without_payment_and_fee(api, merchant, stp, funding):

    deposit = pay_in(stp, funding.clabe, claveRastreo="MITOPUP1")

    assert balances(merchant)["available"] == 50_000
    assert (deposit.purpose, deposit.status, deposit.payment, deposit.fee) == ("funding", "credited", None, 0)
    assert not Payment.objects.exists()
    assert kinds(deposit.public_id) == ["merchant_top_up"]
    shown = api.get(f"/v1/topups/{deposit.public_id}").json()
    assert shown == {
        "id": deposit.public_id,
        "object": "topup",
        "livemode": False,
        "created_at": shown["created_at"],
        "amount": 50_000,
        "currency": "MXN",
        "clabe": funding.clabe,
        "payer": {"name": "JUAN PEREZ", "account_masked": shown["payer"]["account_masked"], "bank_name": "BBVA Mexico"},
        "tracking_key": "MITOPUP1",
        "operating_date": deposit.operating_date.isoformat(),
    }
    event = Event.objects.get(type="topup.completed")
    assert (event.merchant_id, event.object_id, event.data["object"]) == (merchant.pk, deposit.public_id, shown)
    assert api.get("/v1/balance/transactions").json()["data"][0]["kind"] == "merchant_top_up"


def test_the_same_notice_again_and_at_once_books_one_topup(merchant, stp, funding):
    raw = stp.deposit(funding.clabe, 50_000, claveRastreo="ONCE")

    def send(_):
        try:
            return stp.post(raw).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        answers = set(pool.map(send, range(6)))

    assert answers == {200}
    assert balances(merchant)["available"] == 50_000
    assert Event.objects.filter(type="topup.completed").count() == 1


def test_different_transfers_at_once_are_all_booked(merchant, stp, funding):
    notices = [stp.deposit(funding.clabe, 1_000 + n, claveRastreo=f"MANY{n}") for n in range(12)]

    def send(raw):
        try:
            return stp.post(raw).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(send, notices)) == {200}

    assert balances(merchant)["available"] == sum(1_000 + n for n in range(12))
    assert Deposit.objects.filter(purpose="funding").count() == 12


def test_topups_are_listed_newest_first_with_pages_and_days(api, stp, funding, other_merchant, make_api):
    made = [pay_in(stp, funding.clabe, 100 + n, claveRastreo=f"L{n}").public_id for n in range(3)][::-1]
    today = clock.mexico_city_date(clock.now())

    first = api.get("/v1/topups?limit=2").json()
    second = api.get(f"/v1/topups?limit=2&cursor={first['next_cursor']}").json()

    assert [row["id"] for row in first["data"] + second["data"]] == made
    assert len(api.get(f"/v1/topups?created_at[gte]={today}").json()["data"]) == 3
    assert api.get(f"/v1/topups?created_at[lt]={today}").json()["data"] == []
    assert_problem(api.get("/v1/topups?status=completed"), 400, "unknown_field", "status")
    stranger = make_api(other_merchant)
    assert stranger.get("/v1/topups").json()["data"] == []
    assert_problem(stranger.get(f"/v1/topups/{made[0]}"), 404, "not_found")


def test_a_collection_clabes_deposit_is_no_topup(api, merchant, stp, funding):
    collection = api.post("/v1/clabes", {}, key="c").json()
    deposit = pay_in(stp, collection["clabe"])

    assert (collection["purpose"], collection["registration"]) == ("collection", None)
    assert (deposit.purpose, deposit.payment is not None) == ("payment", True)
    assert api.get("/v1/topups").json()["data"] == []
    assert_problem(api.get(f"/v1/topups/{deposit.public_id}"), 404, "not_found")


def test_a_returned_transfer_on_a_funding_clabe_waits_and_is_credited_without_fee(api, merchant, stp, funding):
    deposit = pay_in(stp, funding.clabe, claveRastreo="BACK", tipoPago=0)
    case = ReviewCase.objects.get()

    assert (deposit.purpose, deposit.status, case.merchant_id) == ("funding", "suspended", merchant.pk)
    assert balances(merchant)["available"] == 0
    assert api.get("/v1/topups").json()["data"] == []

    list_returns(stp.account)
    payout_return.deny(case.pk, origin=STAFF, reason="no payout is missing")
    with transaction.atomic():
        review_case.credit(case.pk, origin=STAFF, reason="a top-up after all")

    deposit.refresh_from_db()
    assert (deposit.status, deposit.payment, deposit.fee) == ("credited", None, 0)
    assert kinds(deposit.public_id) == ["deposit_suspended", "suspense_assigned"]
    assert balances(merchant)["available"] == 50_000
    assert Event.objects.get(type="topup.completed").object_id == deposit.public_id
    assert [row["id"] for row in api.get("/v1/topups").json()["data"]] == [deposit.public_id]


def test_money_in_suspense_can_be_assigned_as_a_topup_and_away_from_it(api, merchant, stp, funding):
    unknown = pay_in(stp, "646180157099999994", claveRastreo="STRAY")
    topup = pay_in(stp, funding.clabe, claveRastreo="BACK", tipoPago=0)

    list_returns(stp.account)
    payout_return.deny(case_of(topup), origin=STAFF, reason="no payout is missing")
    with transaction.atomic():
        review_case.assign(case_of(unknown), funding.public_id, origin=STAFF, reason="wrong CLABE")
        review_case.assign(case_of(topup), merchant.public_id, origin=STAFF, reason="of a customer")

    unknown.refresh_from_db()
    topup.refresh_from_db()
    assert (unknown.purpose, unknown.payment, unknown.fee) == ("funding", None, 0)
    assert (topup.purpose, topup.reusable_clabe, topup.fee) == ("payment", None, 500)
    assert topup.payment.made_by == "staff"
    assert balances(merchant)["available"] == 100_000 - 500 - 80


def test_a_topup_is_a_line_of_the_statement(merchant, make_api, stp, funding):
    pay_in(stp, funding.clabe)

    rows = table(written(make_api(merchant, scopes=["reports:read"]), "statement"))

    assert [row[3] for row in rows[1:]] == ["Saldo inicial", "Fondeo del comercio", "Saldo final"]


def test_a_merchant_sees_its_funding_clabe_and_cannot_close_it(api, funding):
    shown = api.get(f"/v1/clabes/{funding.public_id}").json()

    assert (shown["purpose"], shown["registration"], shown["status"]) == ("funding", "pending", "active")
    answer = api.post(f"/v1/clabes/{funding.public_id}/close", {}, key=None)
    assert_problem(answer, 409, "illegal_transition")
    assert api.get(f"/v1/clabes/{funding.public_id}").json() == shown
    assert_problem(api.post("/v1/clabes", {"purpose": "funding"}, key="f"), 400, "unknown_field", "purpose")


def test_a_merchant_has_one_funding_clabe_per_mode(merchant, other_merchant, stp, funding):
    assert topups.funding_clabe(merchant) == funding
    assert topups.funding_clabe(other_merchant) != funding

    def make(_):
        try:
            return topups.funding_clabe(merchant).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(make, range(4))) == {funding.pk}
    assert Clabe.objects.filter(purpose="funding").count() == 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tax_id": ""}, "tax_id"),
        ({"incorporated_on": None}, "incorporated_on"),
        ({"tax_id": "PEPJ800101AB1"}, "tax_id"),
    ],
)
def test_a_funding_clabe_needs_the_holders_data(merchant, stp, changes, field):
    topups.complete(merchant)
    Merchant.objects.filter(pk=merchant.pk).update(**changes)

    with pytest.raises(InvalidRequest) as refused, transaction.atomic():
        clabe_service.create_funding(merchant, livemode=False, origin=STAFF)

    assert [error.field for error in refused.value.errors] == [field]
    assert not Clabe.objects.exists()


def test_funding_and_payouts_use_one_balance(api, merchant, stp, funding):
    fund(merchant, 10_000)
    pay_in(stp, funding.clabe, 40_000)

    assert api.get("/v1/balance").json()["available"] == 50_000


def test_staff_cannot_close_it_by_the_service_either(funding):
    with pytest.raises(IllegalTransition), transaction.atomic():
        clabe_service.close(funding.pk, origin=STAFF)
