"""Cancelling payments: by the merchant, at Conekta, and concurrently with arriving money."""

from __future__ import annotations

import json
import secrets
import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import connection, transaction

from core.errors import ProviderRefused
from core.state import Origin, TransitionRow
from merchants.models import Event
from payments.jobs.payment import withdraw_order
from payments.models import Deposit, Payment
from payments.providers.conekta.client import ConektaClient
from payments.providers.conekta.messages import MAX_KEY_LENGTH, CashOrder
from payments.services import order as order_service
from payments.services import payment as payment_service
from tests.concurrency.threads import at_once
from tests.history import rewrite
from tests.problems import assert_problem, rows

pytest_plugins = ["tests.sandbox_process"]
pytestmark = pytest.mark.usefixtures("committed_db")

ORIGIN = Origin(TransitionRow.Cause.API, "key_test")
SPEI = {"method": "spei", "amount": 100_000, "currency": "MXN"}
OXXO = {"method": "oxxo", "amount": 25_000, "currency": "MXN"}


def waiting_jobs():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT args FROM procrastinate_jobs WHERE task_name = 'payments.withdraw_order' AND status = 'todo'"
        )
        return [json.loads(args) for (args,) in cursor.fetchall()]


def test_a_pending_payment_is_cancelled_once_and_again_changes_nothing(api, stp):
    made = api.post("/v1/payments", SPEI).json()
    url = f"/v1/payments/{made['id']}/cancel"

    first = api.post(url, {})
    before = rows()
    second = api.post(url, {})

    assert (first.status_code, first.json()["status"]) == (200, "cancelled")
    assert (second.status_code, second.json()) == (200, first.json())
    assert rows() == before
    assert list(Event.objects.order_by("sequence").values_list("type", flat=True)) == [
        "payment.created",
        "payment.cancelled",
    ]
    assert Payment.objects.get().cancelled_at is not None


def test_a_paid_payment_cannot_be_cancelled_and_nothing_is_written(api, stp):
    made = api.post("/v1/payments", SPEI).json()
    stp.post(stp.deposit(made["spei"]["clabe"], 100_000))
    before = rows()

    assert_problem(api.post(f"/v1/payments/{made['id']}/cancel", {}), 409, "illegal_transition")

    assert rows() == before


def test_the_worker_cancels_the_voucher_at_conekta(api, at_conekta):
    made = api.post("/v1/payments", OXXO).json()
    reference = made["oxxo"]["reference"]

    api.post(f"/v1/payments/{made['id']}/cancel", {})
    (job,) = waiting_jobs()
    withdraw_order(**job)
    withdraw_order(**job)

    (order,) = at_conekta.orders(made["id"])
    assert order["payment_status"] == "canceled"
    refused = at_conekta.simulator.client.post("/_sim/conekta/pay", json={"reference": reference})
    assert refused.status_code == 409


def test_a_voucher_paid_during_cancellation_is_booked_without_a_notice(api, at_conekta, merchant):
    made = api.post("/v1/payments", OXXO).json()
    paid = {"reference": made["oxxo"]["reference"]}
    assert at_conekta.simulator.client.post("/_sim/conekta/pay", json=paid).status_code == 202

    api.post(f"/v1/payments/{made['id']}/cancel", {})
    (job,) = waiting_jobs()
    withdraw_order(**job)
    withdraw_order(**job)

    payment = Payment.objects.get()
    deposit = Deposit.objects.get()
    assert (payment.status, payment.amount_received) == ("completed", 25_000)
    assert (deposit.status, deposit.provider_event) == ("credited", payment.order_id)


def test_conekta_away_is_asked_again_later(api, at_conekta):
    made = api.post("/v1/payments", OXXO).json()
    api.post(f"/v1/payments/{made['id']}/cancel", {})
    (job,) = waiting_jobs()
    at_conekta.move("http://127.0.0.1:9/conekta")

    withdraw_order(**job)

    assert [found["attempt"] for found in waiting_jobs()] == [0, 1]
    at_conekta.move_back()
    withdraw_order(**waiting_jobs()[-1])
    assert at_conekta.orders(made["id"])[0]["payment_status"] == "canceled"


def forget_orders(at_conekta):
    """From now on Conekta knows none of the account's orders: every question about one is 404."""
    at_conekta.account.credentials = {"api_key": f"key_{secrets.token_hex(12)}"}
    at_conekta.account.save(update_fields=["credentials"])


def overdue(payment_id: str) -> None:
    over = payment_service.clock.now() - order_service.EXPIRES_AFTER
    rewrite(Payment.objects.filter(public_id=payment_id), expires_at=over, voucher_asked_until=None)


def test_an_order_that_conekta_does_not_know_is_withdrawn_once_and_never_again(api, at_conekta):
    made = api.post("/v1/payments", OXXO).json()
    api.post(f"/v1/payments/{made['id']}/cancel", {})
    (job,) = waiting_jobs()
    forget_orders(at_conekta)

    withdraw_order(**job)

    assert waiting_jobs() == [job]


def test_a_payment_whose_order_conekta_does_not_know_expires(api, at_conekta):
    made = api.post("/v1/payments", OXXO).json()
    overdue(made["id"])
    forget_orders(at_conekta)

    assert order_service.expire_unpaid() == 1

    assert Payment.objects.get().status == "expired"


def test_an_order_unknown_to_conekta_is_searched_by_its_payment(api, at_conekta):
    made = api.post("/v1/payments", OXXO).json()
    paid = {"reference": made["oxxo"]["reference"]}
    assert at_conekta.simulator.client.post("/_sim/conekta/pay", json=paid).status_code == 202
    overdue(made["id"])
    rewrite(Payment.objects.all(), order_id="ord_gone")

    assert order_service.expire_unpaid() == 1

    assert Payment.objects.get().amount_received == 25_000


def test_an_address_where_nothing_is_found_expires_and_forgets_nothing(api, at_conekta):
    unpaid, cancelled = (api.post("/v1/payments", OXXO, key=f"k{n}").json() for n in range(2))
    api.post(f"/v1/payments/{cancelled['id']}/cancel", {}, key="c")
    (job,) = waiting_jobs()
    overdue(unpaid["id"])
    at_conekta.move(f"{at_conekta.simulator.url}/elsewhere")

    assert order_service.expire_unpaid() == 0
    withdraw_order(**job)

    assert Payment.objects.get(public_id=unpaid["id"]).status == "pending"
    assert [found["attempt"] for found in waiting_jobs()] == [0, 1]


def test_a_payable_order_that_conekta_refuses_to_cancel_is_retried(api, at_conekta, monkeypatch):
    made = api.post("/v1/payments", OXXO).json()
    api.post(f"/v1/payments/{made['id']}/cancel", {})
    (job,) = waiting_jobs()

    def refuse(self, order_id):
        raise ProviderRefused("Not now.")

    with monkeypatch.context() as patched:
        patched.setattr(ConektaClient, "cancel_order", refuse)
        withdraw_order(**job)
    withdraw_order(**waiting_jobs()[-1])

    assert [found["attempt"] for found in waiting_jobs()] == [0, 1]
    assert at_conekta.orders(made["id"])[0]["payment_status"] == "canceled"


def test_payments_about_which_conekta_never_answers_keep_no_other_from_its_end(api, at_conekta):
    made = [api.post("/v1/payments", OXXO, key=f"k{n}").json()["id"] for n in range(7)]
    for payment_id in made:
        overdue(payment_id)
    for unanswerable in Payment.objects.exclude(public_id=made[-1]):
        earlier = unanswerable.expires_at - timedelta(hours=1)
        row = Payment.objects.filter(pk=unanswerable.pk)
        rewrite(row, order_id=f"no id: {unanswerable.public_id}", expires_at=earlier)

    for run in range(3):
        with time_machine.travel(payment_service.clock.now() + run * timedelta(minutes=11)):
            order_service.expire_unpaid()

    assert Payment.objects.get(public_id=made[-1]).status == "expired"


def test_a_voucher_that_comes_after_the_cancellation_is_withdrawn_too(api, at_conekta):
    at_conekta.move("http://127.0.0.1:9/conekta")
    made = api.post("/v1/payments", OXXO).json()
    assert made["oxxo"] is None
    at_conekta.move_back()
    payment = Payment.objects.get()
    create = ConektaClient.create_cash_order
    called = threading.Event()

    def cancelled_meanwhile(self, **options):
        order = create(self, **options)
        api.post(f"/v1/payments/{payment.public_id}/cancel", {})
        called.set()
        return order

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ConektaClient, "create_cash_order", cancelled_meanwhile)
        Payment.objects.update(voucher_asked_until=None)
        payment_service.request_voucher(payment.pk, attempt=1)

    assert called.is_set()
    withdraw_order(**waiting_jobs()[-1])
    payment.refresh_from_db()
    assert (payment.status, payment.order_id is not None) == ("cancelled", True)
    assert [order["payment_status"] for order in at_conekta.orders(made["id"])] == ["canceled"]


def test_money_and_a_cancellation_at_once_end_as_paid_or_both(api, stp, merchant):
    """Whichever is first, the money is credited once: it was paid before the payment was cancelled."""
    for number in range(8):
        made = api.post("/v1/payments", SPEI, key=f"k{number}").json()
        payment = Payment.objects.get(public_id=made["id"])
        raw = stp.deposit(payment.clabe, 100_000, claveRastreo=f"RACE{number}")

        def cancel(pk=payment.pk):
            try:
                with transaction.atomic():
                    return payment_service.cancel(pk, origin=ORIGIN).status
            except payment_service.IllegalTransition:
                return "refused"

        said, answer = at_once([cancel, lambda raw=raw: stp.post(raw).status_code])

        payment.refresh_from_db()
        states = list(payment.transitions.values_list("to_status", flat=True))
        assert answer == 200
        assert payment.status == "completed"
        assert states == (["pending", "cancelled", "completed"] if said == "cancelled" else ["pending", "completed"])
        assert payment.deposits.count() == 1


def test_overdue_orders_paid_at_conekta_are_booked_and_others_expire(api, at_conekta):
    paid, unpaid, fresh = (api.post("/v1/payments", OXXO, key=f"k{n}").json() for n in range(3))
    answer = at_conekta.simulator.client.post("/_sim/conekta/pay", json={"reference": paid["oxxo"]["reference"]})
    assert answer.status_code == 202
    over = payment_service.clock.now() - order_service.EXPIRES_AFTER
    rewrite(Payment.objects.filter(public_id__in=[paid["id"], unpaid["id"]]), expires_at=over, voucher_asked_until=None)

    assert order_service.expire_unpaid() == 2
    assert order_service.expire_unpaid() == 0

    states = dict(Payment.objects.values_list("public_id", "status"))
    assert states == {paid["id"]: "completed", unpaid["id"]: "expired", fresh["id"]: "pending"}


def test_the_worker_keeps_no_connection_while_conekta_is_asked(api, at_conekta, monkeypatch):
    cancelled, unpaid = (api.post("/v1/payments", OXXO, key=f"k{n}").json() for n in range(2))
    api.post(f"/v1/payments/{cancelled['id']}/cancel", {}, key="c")
    over = payment_service.clock.now() - order_service.EXPIRES_AFTER
    rewrite(Payment.objects.filter(public_id=unpaid["id"]), expires_at=over, voucher_asked_until=None)
    pk = Payment.objects.get(public_id=cancelled["id"]).pk
    held, exchange = [], ConektaClient._exchange
    monkeypatch.setattr(
        ConektaClient, "_exchange", lambda *a: held.append(connection.connection is not None) or exchange(*a)
    )

    order_service.withdraw(pk, attempt=0)
    assert order_service.expire_unpaid() == 1

    assert held == [False] * 2


def test_an_order_with_the_longest_id_is_booked_and_its_deposit_names_it(api, at_conekta):
    api.post("/v1/payments", OXXO)
    longest = "o" * MAX_KEY_LENGTH
    rewrite(Payment.objects.all(), order_id=longest)
    payment = Payment.objects.select_related("provider_account").get()
    found = CashOrder(
        order_id=longest,
        charge_id="c" * MAX_KEY_LENGTH,
        status="paid",
        amount=payment.amount,
        currency="MXN",
        reference="",
        barcode_url="",
        store_name="",
        expires_at=None,
        paid_at=None,
        payment_id=payment.public_id,
        livemode=False,
        has_money=True,
    )

    assert order_service._book_if_paid(payment, found)

    (deposit,) = payment.deposits.all()
    assert (deposit.status, deposit.provider_event) == ("credited", longest)


def test_a_payment_without_a_response_does_not_block_the_expiry_of_others(api, at_conekta):
    bad, good = (api.post("/v1/payments", OXXO, key=f"k{n}").json() for n in range(2))
    over = payment_service.clock.now() - order_service.EXPIRES_AFTER
    rewrite(Payment.objects.all(), expires_at=over, voucher_asked_until=None)
    rewrite(Payment.objects.filter(public_id=bad["id"]), order_id="no id of ours", expires_at=over - timedelta(hours=1))

    assert order_service.expire_unpaid() == 1

    states = dict(Payment.objects.values_list("public_id", "status"))
    assert states == {bad["id"]: "pending", good["id"]: "expired"}


def test_an_unknown_word_of_conekta_expires_nothing(api, at_conekta):
    api.post("/v1/payments", OXXO)
    over = payment_service.clock.now() - order_service.EXPIRES_AFTER
    rewrite(Payment.objects.all(), expires_at=over, voucher_asked_until=None)
    at_conekta.move("http://127.0.0.1:9/conekta")
    before = Event.objects.count()

    assert order_service.expire_unpaid() == 0

    assert Payment.objects.get().status == "pending"
    assert Event.objects.count() == before
