"""OXXO payments and their vouchers, without ever creating a second order."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client

from core import clock
from merchants.api import idempotency
from merchants.models import Event
from payments.jobs.payment import request_voucher as voucher_task
from payments.models import Payment
from payments.providers.conekta.client import ConektaClient
from payments.services import payment as payment_service
from tests.concurrency.threads import at_once
from tests.factories.voucher import CLOSED, OXXO, event_types, jobs
from tests.problems import rows

pytest_plugins = ["tests.sandbox_process"]
pytestmark = pytest.mark.usefixtures("committed_db")


def test_an_oxxo_payment_is_answered_with_its_voucher(api, at_conekta):
    answer = api.post("/v1/payments", {**OXXO, "description": "Mensualidad"})

    assert answer.status_code == 201, answer.content
    body = answer.json()
    (order,) = at_conekta.orders(body["id"])
    method = order["charges"]["data"][0]["payment_method"]
    assert body["status"] == "pending"
    assert body["provider"] == "conekta"
    assert body["provider_reference"] == order["id"]
    assert body["oxxo"] == {
        "reference": method["reference"],
        "barcode_url": method["barcode_url"],
        "voucher_url": body["payment_page_url"],
        "store_name": "OXXO",
    }
    assert "spei" not in body
    assert (order["amount"], order["metadata"]) == (25_000, {"payment_id": body["id"]})
    assert order["customer_info"]["email"] == "ana@example.mx"
    assert method["expires_at"] == int(Payment.objects.get().expires_at.timestamp())
    assert api.get(f"/v1/payments/{body['id']}").json() == body


def test_the_feed_tells_of_the_payment_and_then_of_its_voucher(api, at_conekta):
    body = api.post("/v1/payments", OXXO).json()

    created, updated = Event.objects.order_by("sequence")

    assert (created.type, created.data["object"]["oxxo"]) == ("payment.created", None)
    assert (updated.type, updated.object_sequence) == ("payment.updated", 2)
    assert updated.data == {"object": body, "previous": {"oxxo": None}}


def test_a_rescue_is_planned_before_conekta_is_asked_and_finds_nothing_to_do(api, at_conekta):
    api.post("/v1/payments", OXXO)
    payment = Payment.objects.get()
    ((task, arguments, wait),) = jobs()
    before = rows()

    voucher_task(**arguments)

    assert (task, arguments) == ("payments.request_voucher", {"payment_id": payment.pk, "attempt": 1})
    assert 50 < wait <= 60
    assert rows() == before
    assert len(at_conekta.orders()) == 1


def assert_job_brings_the_voucher(api, at_conekta, answer):
    """The worker's job, run as it waits, attaches exactly one order's voucher."""
    payment = Payment.objects.get()
    rescue, (task, arguments, wait) = jobs()
    assert (rescue[1], wait <= 15) == (arguments, True)
    assert (task, arguments["payment_id"]) == ("payments.request_voucher", payment.pk)
    assert arguments["attempt"] >= 1
    at_conekta.move_back()

    voucher_task(**arguments)
    voucher_task(**arguments)

    (order,) = at_conekta.orders()
    read = api.get(f"/v1/payments/{payment.public_id}").json()
    assert (read["provider_reference"], read["status"]) == (order["id"], "pending")
    assert read["oxxo"]["reference"] == order["charges"]["data"][0]["payment_method"]["reference"]
    assert event_types() == ["payment.created", "payment.updated"]
    replay = api.post("/v1/payments", OXXO)
    assert (replay.content, replay["Idempotent-Replayed"]) == (answer.content, "true")


def test_conekta_down_is_201_without_voucher_and_the_worker_brings_it(api, at_conekta):
    at_conekta.move(CLOSED)
    started = time.monotonic()

    answer = api.post("/v1/payments", OXXO)

    assert time.monotonic() - started < 9.5  # it did not wait for the whole patience
    assert answer.status_code == 201
    assert (answer.json()["status"], answer.json()["oxxo"], answer.json()["provider_reference"]) == (
        "pending",
        None,
        None,
    )
    assert event_types() == ["payment.created"]
    assert_job_brings_the_voucher(api, at_conekta, answer)


def test_conekta_silent_is_201_after_ten_seconds(api, at_conekta, black_hole):
    at_conekta.move(black_hole)
    started = time.monotonic()

    answer = api.post("/v1/payments", OXXO)

    assert 9 < time.monotonic() - started < 40
    assert answer.status_code == 201
    assert (answer.json()["status"], answer.json()["oxxo"]) == ("pending", None)
    assert_job_brings_the_voucher(api, at_conekta, answer)


def test_an_order_whose_answer_was_lost_is_found_not_made_again(api, at_conekta, monkeypatch):
    create = ConektaClient.create_cash_order

    def lose_the_answer(self, **options):
        create(self, **options)
        raise payment_service.OutcomeUnknown("read timeout")

    with monkeypatch.context() as patched:
        patched.setattr(ConektaClient, "create_cash_order", lose_the_answer)
        answer = api.post("/v1/payments", OXXO)

    assert (answer.status_code, answer.json()["oxxo"]) == (201, None)
    assert len(at_conekta.orders()) == 1
    assert_job_brings_the_voucher(api, at_conekta, answer)


def test_a_process_that_dies_after_the_order_leaves_one_order(api, at_conekta, monkeypatch):
    def die(*args, **kwargs):
        raise SystemError("the process is gone")

    with monkeypatch.context() as patched:
        patched.setattr(payment_service, "attach_voucher", die)
        assert api.post("/v1/payments", OXXO).status_code == 500
    payment = Payment.objects.get()
    (_, arguments, wait), *_ = jobs()
    before = rows()
    voucher_task(**arguments)  # while the dead process may still be asking
    assert (rows(), len(jobs())) == (before, 1)

    with time_machine.travel(clock.now() + timedelta(seconds=wait)):
        voucher_task(**arguments)
        payment_service.request_voucher(payment.pk, attempt=1)

    assert 31 < wait <= 60
    (order,) = at_conekta.orders()
    payment.refresh_from_db()
    assert payment.order_id == order["id"]
    assert event_types() == ["payment.created", "payment.updated"]


def test_a_payer_of_whom_nothing_is_known_gets_a_voucher_all_the_same(api, at_conekta, settings):
    answer = api.post("/v1/payments", {"method": "oxxo", "amount": 25_000, "currency": "MXN"})

    (order,) = at_conekta.orders()
    assert answer.json()["oxxo"]["reference"]
    assert answer.json()["customer"] is None
    assert (order["customer_info"]["name"], order["customer_info"]["email"], order["customer_info"]["phone"]) == (
        "Café Luna",
        settings.CONEKTA_CUSTOMER_EMAIL,
        settings.CONEKTA_CUSTOMER_PHONE,
    )


def test_a_refusal_of_conekta_fails_the_payment_with_its_reason(api, at_conekta, settings):
    settings.CONEKTA_CUSTOMER_EMAIL = ""  # Conekta wants one

    answer = api.post("/v1/payments", {**OXXO, "customer": {"name": "Ana"}})

    body = answer.json()
    assert answer.status_code == 201
    assert body["status"] == "failed"
    assert body["oxxo"] is None
    assert body["failure"]["code"]
    assert "customer_info.email" in body["failure"]["message"]
    assert event_types() == ["payment.created", "payment.failed"]
    failed = Event.objects.order_by("sequence").last()
    assert failed.data == {"object": body, "previous": {"status": "pending"}}
    payment = Payment.objects.get()
    assert [t.to_status for t in payment.transitions.all()] == ["pending", "failed"]
    assert at_conekta.orders() == []


@pytest.mark.parametrize("status", [401, 403, 404, 429])
def test_a_key_that_conekta_rejects_fails_no_payment(api, at_conekta, monkeypatch, status):
    refusal = (status, b'{"object": "error", "type": "authentication_error", "details": []}')
    with monkeypatch.context() as patched:
        patched.setattr(ConektaClient, "_exchange", lambda *args: refusal)
        answer = api.post("/v1/payments", OXXO)

    assert (answer.status_code, answer.json()["status"], answer.json()["oxxo"]) == (201, "pending", None)
    assert at_conekta.orders() == []
    assert_job_brings_the_voucher(api, at_conekta, answer)


@pytest.mark.parametrize("status", [400, 402, 409, 422])
def test_a_search_that_is_refused_fails_no_payment_and_makes_no_order(api, at_conekta, monkeypatch, status):
    at_conekta.move(CLOSED)
    api.post("/v1/payments", OXXO)
    payment = Payment.objects.get()
    at_conekta.move_back()
    exchange = ConektaClient._exchange

    def refuse_searches(self, method, *rest):
        refusal = (status, b'{"object": "error", "details": [{"code": "x", "message": "No."}]}')
        return refusal if method == "GET" else exchange(self, method, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(ConektaClient, "_exchange", refuse_searches)
        payment_service.request_voucher(payment.pk, attempt=1)

    payment.refresh_from_db()
    assert (payment.status, payment.order_id, payment.voucher_asked_until) == ("pending", None, None)
    assert at_conekta.orders() == []
    assert event_types() == ["payment.created"]
    payment_service.request_voucher(payment.pk, attempt=2)
    payment.refresh_from_db()
    assert payment.order_id == at_conekta.orders()[0]["id"]


@pytest.mark.parametrize("first_attempt", [0, 1])
def test_two_who_ask_at_once_make_one_order(api, at_conekta, monkeypatch, first_attempt):
    at_conekta.move(CLOSED)
    api.post("/v1/payments", OXXO)
    payment = Payment.objects.get()
    at_conekta.move_back()
    create, created = ConektaClient.create_cash_order, []

    def slowly(self, **options):
        created.append(options["payment_id"])
        time.sleep(0.5)
        return create(self, **options)

    monkeypatch.setattr(ConektaClient, "create_cash_order", slowly)

    at_once([lambda a=a: payment_service.request_voucher(payment.pk, attempt=a) for a in (first_attempt, 1, 1, 2)])

    (order,) = at_conekta.orders()
    payment.refresh_from_db()
    assert (payment.order_id, created) == (order["id"], [payment.public_id])
    assert event_types() == ["payment.created", "payment.updated"]
    assert len(jobs()) == 2, "the rescue and the retry of the first try"


def test_who_dies_while_asking_keeps_others_away_for_half_a_minute_only(api, at_conekta):
    at_conekta.move(CLOSED)
    api.post("/v1/payments", OXXO)
    payment = Payment.objects.get()
    at_conekta.move_back()
    now = clock.now()
    Payment.objects.update(voucher_asked_until=now + timedelta(seconds=30))

    with time_machine.travel(now + timedelta(seconds=29)):
        payment_service.request_voucher(payment.pk, attempt=1)
    assert at_conekta.orders() == []

    with time_machine.travel(now + timedelta(seconds=31)):
        payment_service.request_voucher(payment.pk, attempt=1)
    assert len(at_conekta.orders()) == 1


def test_a_payment_that_is_not_pending_any_more_gets_no_order(api, at_conekta, settings):
    settings.CONEKTA_CUSTOMER_EMAIL = ""
    api.post("/v1/payments", {**OXXO, "customer": {"name": "Ana"}})
    payment = Payment.objects.get()
    before = rows()

    payment_service.request_voucher(payment.pk, attempt=3)

    assert rows() == before
    assert at_conekta.orders() == []


def test_the_worker_waits_longer_each_time_and_asks_once_at_a_time(api, at_conekta):
    at_conekta.move(CLOSED)
    api.post("/v1/payments", OXXO)
    payment = Payment.objects.get()
    waits = []

    for attempt in range(1, 13):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE procrastinate_jobs SET status = 'succeeded' WHERE status = 'todo'")
        payment_service.request_voucher(payment.pk, attempt=attempt)
        ((_, arguments, wait),) = jobs()
        assert arguments == {"payment_id": payment.pk, "attempt": attempt + 1}
        waits.append(round(wait / 15))

    assert waits == [2, 4, 8, 16, 32, 64, 128, 240, 240, 240, 240, 240]


def test_an_order_of_another_amount_is_never_attached(api, at_conekta):
    at_conekta.move(CLOSED)
    api.post("/v1/payments", OXXO)
    payment = Payment.objects.get()
    at_conekta.move_back()
    ConektaClient(at_conekta.api_key, at_conekta.account.base_url).create_cash_order(
        payment_id=payment.public_id,
        amount=25_001,
        description="",
        customer_name="Ana",
        customer_email="ana@example.mx",
        customer_phone="5555555555",
        expires_at=payment.expires_at,
    )

    payment_service.request_voucher(payment.pk, attempt=1)

    payment.refresh_from_db()
    assert payment.order_id is None
    assert len(at_conekta.orders()) == 1
    assert event_types() == ["payment.created"]
    assert len(jobs()) == 2, "the rescue and one retry"


def test_equal_requests_at_once_make_one_payment_and_one_order(api, at_conekta, monkeypatch):
    monkeypatch.setattr(idempotency, "WAIT_SECONDS", 60)  # eight threads on a busy machine
    barrier = threading.Barrier(8)

    def post(_):
        client = Client(raise_request_exception=False)
        headers = {"Authorization": f"Bearer {api.secret}", "Idempotency-Key": "one"}
        barrier.wait()
        try:
            return client.post("/v1/payments", OXXO, content_type="application/json", headers=headers)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(8)))

    assert {answer.status_code for answer in answers} == {201}
    assert sum("Idempotent-Replayed" not in answer for answer in answers) == 1
    assert len({answer.content for answer in answers}) == 1
    assert Payment.objects.count() == 1
    assert len(at_conekta.orders()) == 1
