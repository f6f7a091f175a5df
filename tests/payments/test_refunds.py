"""Refunds: what is reserved, where the money goes, what each outcome means for payment, balance and books."""

from __future__ import annotations

from functools import partial

import pytest
from django.db import DatabaseError, connection, transaction

from core import clock
from core.state import Origin, TransitionRow
from merchants.models import ApiKey, Event, Merchant
from payments.models import Deposit, Refund
from payments.services import payout_sending
from staff.models import Approval
from tests.concurrency.threads import at_once
from tests.factories import payouts, topups
from tests.factories.oxxo import attach, make_payment
from tests.factories.payouts import CLABE, as_sent, balances, fund, notify, order_state
from tests.factories.refunds import (
    OTHER_CLABE,
    amounts,
    approve,
    available,
    create,
    events,
    kinds,
    last,
    paid,
    pay,
    settled,
    status,
    wanted,
)
from tests.payments.report_orders import table, written
from tests.problems import assert_problem

STAFF = Origin(TransitionRow.Cause.STAFF, "ana")
ELSEWHERE = {"clabe": OTHER_CLABE, "name": "Luisa Peña"}


rolled_back = pytest.mark.usefixtures("guarded")


def run_now(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(statement)


@rolled_back
def test_a_refund_answers_every_field_and_reserves_its_money(api, script, stp, merchant):
    payment = paid(api, stp)

    body = wanted(payment, amount=40_000, external_id="dev-1", metadata={"caja": "4"})
    answer = api.post("/v1/refunds", body, key="once")

    shown = answer.json()
    deposit = Deposit.objects.get()
    assert answer.status_code == 202
    assert shown | {"id": "", "created_at": "", "payout": ""} == {
        "id": "",
        "object": "refund",
        "livemode": False,
        "created_at": "",
        "status": "pending",
        "origin": "merchant",
        "payment": payment.public_id,
        "topup": None,
        "deposit": deposit.public_id,
        "amount": 40_000,
        "currency": "MXN",
        "reason": "Producto agotado",
        "destination": {
            "clabe_masked": "012180********5996",
            "bank": {"code": "40012", "name": "BBVA Mexico"},
            "name": "JUAN PEREZ",
        },
        "payout": "",
        "delayed": False,
        "failure": None,
        "return": None,
        "external_id": "dev-1",
        "metadata": {"caja": "4"},
    }
    assert api.get(f"/v1/refunds/{shown['id']}").json() == shown
    assert Event.objects.get(type="refund.created").data["object"] == shown
    assert amounts(payment) == (0, 40_000, 0)
    assert api.get(f"/v1/payments/{payment.public_id}").json()["amount_refundable"] == 60_000
    assert api.get("/v1/payments").json()["data"][0]["amount_refundable"] == 60_000
    assert balances(merchant) == {"available": 198_840 - 40_000, "reserved": 40_000, "debt": 0}
    sent = api.get(f"/v1/payouts/{shown['payout']}").json()
    assert (sent["kind"], sent["status"], sent["fee"], sent["concept"]) == (
        "refund",
        "pending",
        0,
        "Reembolso Cafe Luna",
    )
    assert [one["id"] for one in api.get("/v1/payouts?kind=refund").json()["data"]] == [shown["payout"]]
    assert api.get("/v1/payouts").json()["data"] == []

    again = api.post("/v1/refunds", body, key="once")
    assert (again.content, again["Idempotent-Replayed"]) == (answer.content, "true")
    assert_problem(
        api.post("/v1/refunds", wanted(payment, amount=1, external_id="dev-1"), key="x"), 422, "duplicate_external_id"
    )
    assert Refund.objects.count() == 1


@rolled_back
def test_the_list_narrows(api, script, stp):
    first, second = (create(api, paid(api, stp), amount=n, external_id=f"r-{n}") for n in (1_000, 2_000))
    settled(last(first))
    listed = lambda query="": [r["id"] for r in api.get(f"/v1/refunds?{query}").json()["data"]]  # noqa: E731

    assert listed() == [second.public_id, first.public_id]
    assert listed(f"payment={first.payment.public_id}") == [first.public_id]
    assert listed("status=pending") == listed("external_id=r-2000") == [second.public_id]
    assert listed(f"created_at[gte]={clock.to_rfc3339(second.created_at).replace('+', '%2B')}") == [second.public_id]
    assert listed("limit=1") == [second.public_id]
    assert_problem(api.get("/v1/refunds?q=x"), 400, "unknown_field", "q")
    assert_problem(api.get("/v1/refunds?status=paid"), 400, "invalid_request", "status")


@rolled_back
def test_what_cannot_be_refunded_is_refused_and_reserves_nothing(
    api, script, stp, merchant, other_merchant, make_api, conekta
):
    payment = paid(api, stp, 10_000)
    card = paid(api, stp, 10_000, cuentaOrdenante="4152313412341234", tipoCuentaOrdenante=3)
    ours = paid(api, stp, 10_000, cuentaOrdenante="646180157012345676")
    pending = api.post("/v1/payments", {"method": "spei", "amount": 5, "currency": "MXN"}, key="p").json()["id"]
    foreign = make_api(other_merchant)
    other_mode = make_api(merchant, livemode=True)
    before = balances(merchant)
    cases = [
        (api, {"amount": 10_001}, 422, "amount_exceeds_refundable", []),
        (api, {"amount": 0}, 400, "invalid_amount", ["amount"]),
        (api, {"amount": 1.5}, 400, "invalid_amount", ["amount"]),
        (api, {"reason": ""}, 400, "invalid_request", ["reason"]),
        (api, {"reason": "x" * 251}, 400, "invalid_request", ["reason"]),
        (api, {"fee": 1}, 400, "unknown_field", ["fee"]),
        (api, {"payment": None}, 422, "invalid_request", ["payment"]),
        (api, {"payment": pending}, 422, "invalid_request", ["payment"]),
        (api, {"payment": "pay_00000000000000000000000000"}, 404, "not_found", ["payment"]),
        (api, {"payment": "re_1"}, 404, "not_found", ["payment"]),
        (api, {"payment": None, "deposit": Deposit.objects.earliest("id").public_id}, 404, "not_found", ["deposit"]),
        (api, {"deposit": Deposit.objects.latest("id").public_id}, 422, "invalid_request", ["deposit"]),
        (api, {"payment": card.public_id}, 422, "invalid_request", ["destination"]),
        (api, {"payment": ours.public_id}, 422, "destination_not_allowed", ["destination.clabe"]),
        (
            api,
            {"destination": {"clabe": "012180015025335997", "name": "A"}},
            422,
            "invalid_request",
            ["destination.clabe"],
        ),
        (api, {"destination": {"clabe": CLABE}}, 400, "invalid_request", ["destination.name"]),
        (api, {"destination": {"clabe": CLABE, "name": "A|B"}}, 400, "invalid_request", ["destination.name"]),
        (
            api,
            {"destination": {"clabe": "999180015025335996", "name": "A"}},
            422,
            "bank_not_available",
            ["destination.clabe"],
        ),
        (foreign, {}, 404, "not_found", ["payment"]),
        (other_mode, {}, 403, "kyc_required", []),
        (make_api(merchant, scopes=[ApiKey.Scope.PAYMENTS_READ]), {}, 403, "key_scope_insufficient", []),
    ]

    for number, (caller, changes, code, word, fields) in enumerate(cases):
        assert_problem(caller.post("/v1/refunds", wanted(payment, **changes), key=f"bad-{number}"), code, word, *fields)

    assert Refund.objects.count() == 0
    assert balances(merchant) == before


@rolled_back
def test_a_refund_takes_no_more_than_is_available(api, stp, script, merchant):
    payment = paid(api, stp)
    payouts.create(api, amount=198_840 - 50_000)

    refused = api.post("/v1/refunds", wanted(payment, amount=50_001), key="poor")
    create(api, payment, amount=50_000)

    assert_problem(refused, 422, "insufficient_funds")
    assert amounts(payment) == (0, 50_000, 0)


@rolled_back
def test_cash_is_refunded_to_a_given_clabe_and_never_from_pending(issued, script, stp, conekta, merchant, berta):
    api = issued
    payment = attach(make_payment(merchant, amount=150_000))
    assert conekta.post(conekta.event(payment)).status_code == 200

    assert_problem(api.post("/v1/refunds", wanted(payment), key="1"), 422, "invalid_request", "destination")
    assert_problem(api.post("/v1/refunds", wanted(payment, destination=ELSEWHERE), key="2"), 422, "insufficient_funds")
    made = create(api, payment, amount=100_000, destination=ELSEWHERE)
    payout = last(made)
    assert (payout.status, made.to_payer, available(merchant)) == ("pending_approval", False, 0)
    approve(payout, berta)
    settled(last(made))

    assert (status(made), amounts(payment)) == ("completed", (100_000, 0, 0))


@rolled_back
@pytest.mark.parametrize("end", ["approve", "reject"])
def test_another_account_than_the_payers_needs_a_second_person(issued, script, stp, merchant, berta, end):
    payment = paid(issued, stp)
    made = create(issued, payment, destination=ELSEWHERE)
    payout = last(made)
    first = (made.status, payout.status, payout.waiting_for)

    approve(payout, berta, end)

    payout.refresh_from_db()
    assert first == ("pending", "pending_approval", "approval")
    if end == "approve":
        assert (payout.status, status(made), amounts(payment)) == ("pending", "pending", (0, 100_000, 0))
    else:
        shown = issued.get(f"/v1/refunds/{made.public_id}").json()
        assert (shown["status"], shown["failure"]["code"]) == ("failed", "approval_rejected")
        assert (amounts(payment), available(merchant)) == ((0, 0, 0), 198_840)
        assert events(made) == ["created", "failed"]


@rolled_back
def test_the_payers_own_clabe_needs_one_only_above_the_merchants_threshold(issued, script, stp, merchant):
    Merchant.objects.filter(pk=merchant.pk).update(payout_approval_above=20_000)
    payment = paid(issued, stp)

    found = [
        last(create(issued, payment, amount=amount, destination=given)).status
        for amount, given in ((20_000, None), (20_001, None), (100, {"clabe": CLABE, "name": "Juan Perez"}))
    ]

    assert found == ["pending", "pending_approval", "pending"]


@rolled_back
def test_a_payment_of_several_deposits_is_refunded_by_deposit(api, script, stp, merchant):
    Merchant.objects.filter(pk=merchant.pk).update(deposit_policy="accept_any")
    payment = paid(api, stp, 60_000)
    pay(stp, payment.clabe, 40_000)
    small = Deposit.objects.get(amount=40_000)

    problem = assert_problem(api.post("/v1/refunds", wanted(payment), key="1"), 422, "invalid_request", "deposit")
    too_much = api.post("/v1/refunds", wanted(payment, deposit=small.public_id, amount=40_001), key="2")
    made = create(api, payment, deposit=small.public_id)
    settled(last(made))

    assert all(deposit.public_id in problem["errors"][0]["message"] for deposit in payment.deposits.all())
    assert_problem(too_much, 422, "amount_exceeds_refundable")
    payment.refresh_from_db()
    assert (made.amount, payment.amount_refunded, payment.amount_refundable) == (40_000, 40_000, 60_000)


@rolled_back
def test_a_top_up_goes_back_to_the_account_it_came_from(api, script, stp, merchant):
    pay(stp, topups.funding_clabe(merchant).clabe, 30_000)
    deposit = Deposit.objects.get()

    answer = api.post("/v1/refunds", {"deposit": deposit.public_id, "reason": "De más"}, key="t")
    settled(last(Refund.objects.get()))

    assert answer.status_code == 202, answer.content
    shown = api.get("/v1/refunds").json()["data"][0]
    assert (shown["payment"], shown["topup"], shown["status"]) == (None, deposit.public_id, "completed")
    assert available(merchant) == 100_000


@rolled_back
def test_a_cancelled_refund_is_refundable_again(issued, script, stp, merchant):
    payment = paid(issued, stp)
    plain, asked = create(issued, payment, amount=10), create(issued, payment, amount=20, destination=ELSEWHERE)
    sent = create(issued, payment, amount=30)
    as_sent(last(sent), "accepted")

    answers = [issued.post(f"/v1/refunds/{made.public_id}/cancel", {}, key=None) for made in (plain, asked, plain)]

    assert [answer.json()["status"] for answer in answers] == ["cancelled"] * 3
    assert_problem(issued.post(f"/v1/refunds/{sent.public_id}/cancel", {}, key=None), 409, "illegal_transition")
    assert_problem(issued.post(f"/v1/payouts/{last(sent).public_id}/cancel", {}, key=None), 409, "illegal_transition")
    assert Approval.objects.get().status == "cancelled"
    assert (amounts(payment), available(merchant)) == ((0, 30, 0), 198_840 - 30)
    assert events(plain) == ["created", "cancelled"]


@pytest.mark.usefixtures("committed_db")
def test_a_refund_is_sent_and_completes_by_its_notice(api, script, stp, merchant):
    payment = paid(api, stp, nombreOrdenante="JOSÉ|🎉 ÑANDÚ")
    made = create(api, payment, amount=60_000)
    payout_sending.advance(last(made).pk)
    sending = status(made)
    notify(stp, order_state(last(made), "LIQUIDACION"))

    (order,) = script.received
    assert (order.beneficiary_clabe, order.beneficiary_name, order.amount) == (CLABE, "JOSE NANDU", 60_000)
    assert (sending, status(made), amounts(payment)) == ("processing", "completed", (60_000, 0, 0))
    assert kinds(last(made)) == ["refund_created", "refund_settled"]
    assert balances(merchant) == {"available": 138_840, "reserved": 0, "debt": 0}
    assert events(made) == ["created", "processing", "completed"]
    update = Event.objects.filter(object_id=payment.public_id).order_by("object_sequence").last()
    assert (update.type, update.data["previous"]) == (
        "payment.updated",
        {"amount_refunded": 0, "amount_refundable": 40_000},
    )
    assert payment.status == "completed"

    lines = [line["kind"] for line in api.get("/v1/balance/transactions").json()["data"]]
    assert lines[:2] == ["refund_settled", "refund_created"]
    paid_row, sent_row = table(written(api))[1], table(written(api, "payouts"))[1]
    assert (paid_row[8], sent_row[3], sent_row[4]) == ("600.00", "Reembolso", "Liquidado")


@pytest.mark.usefixtures("committed_db")
def test_a_lost_answer_delays_the_refund_and_says_so(api, script, stp):
    made = create(api, paid(api, stp))
    script.answers[:] = ["lost"]
    payout_sending.advance(last(made).pk)

    assert events(made) == ["created", "processing", "delayed"]
    assert api.get(f"/v1/refunds/{made.public_id}").json()["delayed"] is True


@pytest.mark.usefixtures("committed_db")
@pytest.mark.promise("P8", "two refunds of 60 % of one payment at the same moment", unit="races")
def test_of_two_concurrent_refunds_of_60_percent_one_wins(api, script, stp, merchant, trials):
    fund(merchant, 10_000_000)
    for number in trials.each(quick=3, full=200, unit="races"):
        payment = paid(api, stp)

        body, keys = wanted(payment, amount=60_000), (f"{number}-a", f"{number}-b")
        answers = at_once([partial(api.post, "/v1/refunds", body, key=key) for key in keys])

        assert sorted(answer.status_code for answer in answers) == [202, 422]
        assert next(a for a in answers if a.status_code == 422).json()["code"] == "amount_exceeds_refundable"
        assert amounts(payment) == (0, 60_000, 0)


@rolled_back
def test_staff_cannot_be_bypassed_in_sql(api, script, stp, ana):
    """Only steps of the refund and its attempts change amounts and states; raw SQL of either role is refused."""
    payment = paid(api, stp)
    made = create(api, payment, amount=60_000)
    attacks = [
        (f"UPDATE payments_deposit SET refund_reserved = 100001 WHERE payment_id = {payment.pk}", "within_amount"),
        (f"UPDATE payments_payment SET refund_reserved = 100001 WHERE id = {payment.pk}", "within_received"),
        (
            "UPDATE payments_deposit SET refund_reserved = 120000, amount_over_refunded = 20000 "
            f"WHERE payment_id = {payment.pk}",
            "rises only with",
        ),
        (f"UPDATE payments_deposit SET refund_reserved = 0 WHERE payment_id = {payment.pk}", "no refund for"),
        (f"UPDATE payments_payment SET amount_refunded = 5 WHERE id = {payment.pk}", "no refund for"),
        (f"UPDATE payments_payment SET status = 'reversed' WHERE id = {payment.pk}", "no refund for"),
        (f"UPDATE payments_refund SET status = 'completed' WHERE id = {made.pk}", "its attempts make it pending"),
        (f"UPDATE payments_refund SET amount = 1 WHERE id = {made.pk}", "cannot change"),
        (f"UPDATE payments_payout SET refund_id = NULL WHERE refund_id = {made.pk}", "cannot change"),
        (f"DELETE FROM payments_refund WHERE id = {made.pk}", "refused|permission denied"),
    ]

    for statement, saying in attacks:
        with pytest.raises(DatabaseError, match=saying):
            run_now(statement)
