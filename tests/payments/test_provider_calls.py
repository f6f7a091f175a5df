"""Every call to a provider is recorded before it is sent, and its outcome afterwards."""

from __future__ import annotations

import json
import os
import signal
import threading

import pytest
from django.db import OperationalError, connection, transaction

from core.errors import OutcomeUnknown, ProviderNotContacted, ProviderRefused, UnknownToProvider
from payments.models import Payment, ProviderCall
from payments.providers.conekta.client import ConektaClient
from payments.services import order as order_service
from payments.services import payment as payment_service
from payments.services import provider_client
from tests.concurrency.threads import soon
from tests.payments.providers.conftest import server as server  # noqa: PLC0414 - a fixture
from tests.payments.providers.http_server import hang, replies

pytest_plugins = ["tests.sandbox_process"]
pytestmark = pytest.mark.usefixtures("committed_db")

CUSTOMER = {"name": "Ana Núñez", "email": "ana@example.mx", "phone": "5555555555"}
OXXO = {"method": "oxxo", "amount": 25_000, "currency": "MXN", "customer": CUSTOMER}


def calls() -> list[tuple[str, str, int | None]]:
    return list(ProviderCall.objects.order_by("id").values_list("operation", "outcome", "status"))


def test_a_voucher_leaves_one_row_that_names_the_payment_and_no_person(api, at_conekta):
    payment = api.post("/v1/payments", OXXO).json()

    call = ProviderCall.objects.get()
    assert (call.operation, call.object_id, call.outcome, call.status) == (
        "create_order",
        payment["id"],
        "accepted",
        200,
    )
    assert (call.account, call.livemode) == (at_conekta.account, False)
    assert call.duration_ms is not None
    assert json.loads(call.request)["body"]["metadata"] == {"payment_id": payment["id"]}
    assert json.loads(call.answer)["id"] == Payment.objects.get().order_id
    for secret in (at_conekta.api_key, *CUSTOMER.values()):
        assert secret not in call.request + call.answer


def test_every_call_of_a_payments_life_is_recorded(api, at_conekta):
    payment = api.post("/v1/payments", OXXO).json()
    api.post(f"/v1/payments/{payment['id']}/cancel", {}, key="c")
    pk = Payment.objects.get().pk

    order_service.withdraw(pk, attempt=0)
    order_service.withdraw(pk, attempt=1)

    assert calls() == [
        ("create_order", "accepted", 200),
        ("cancel_order", "accepted", 200),
        ("cancel_order", "refused", 422),
        ("get_order", "accepted", 200),
    ]
    assert set(ProviderCall.objects.values_list("object_id", flat=True)) == {payment["id"]}


@pytest.mark.parametrize(
    ("status", "body", "error", "outcome"),
    [
        (422, {"object": "error", "details": [{"code": "x", "message": "No."}]}, ProviderRefused, "refused"),
        (404, {"object": "error", "details": []}, UnknownToProvider, "refused"),
        (429, {"object": "error", "details": []}, ProviderNotContacted, "not_sent"),
        (500, {"object": "error", "details": []}, OutcomeUnknown, "unknown"),
        (200, {"object": "order", "id": "ord_other"}, OutcomeUnknown, "unknown"),
    ],
)
def test_what_the_caller_is_told_is_what_is_recorded(conekta, server, status, body, error, outcome):
    server.answer = replies(status, body, Connection="close")
    conekta.account.base_url, conekta.account.credentials = server.address, {"api_key": "key_S3cr3t"}

    with pytest.raises(error):
        provider_client.connect_for_cash(conekta.account, about="pay_x").get_order("ord_1")

    assert calls() == [("get_order", outcome, status)]


def test_an_answer_that_is_no_json_is_kept_masked_and_cut(conekta, server):
    page = b"<html>" + b"key_S3cr3tS3cr3t ana@example.mx 646180157000000004 " + b"x" * 9_000
    server.answer = replies(403, page, Connection="close")
    conekta.account.base_url, conekta.account.credentials = server.address, {"api_key": "key_S3cr3tS3cr3t"}

    with pytest.raises(ProviderNotContacted):
        provider_client.connect_for_cash(conekta.account, about="").get_order("ord_1")

    call = ProviderCall.objects.get()
    assert 3_900 < len(call.answer) <= 4_000
    assert call.answer.startswith("<html>")
    for secret in ("S3cr3t", "ana@", "646180157000000004"):
        assert secret not in call.answer


def test_during_a_call_its_row_is_committed_and_the_connection_released(conekta, server, monkeypatch):
    conekta.account.base_url, conekta.account.credentials = server.address, {"api_key": "key_S3cr3t"}
    server.answer = replies(200, {"object": "list", "data": []}, Connection="close")
    exchange, seen = ConektaClient._exchange, []

    def watching(*args):
        held = connection.connection is not None
        thread = threading.Thread(target=lambda: seen.append((held, calls())))
        thread.start()
        thread.join()
        return exchange(*args)

    monkeypatch.setattr(ConektaClient, "_exchange", watching)
    assert provider_client.connect_for_cash(conekta.account, about="pay_x").find_order("pay_x") is None

    assert seen == [(False, [("find_order", "", None)])]
    assert calls() == [("find_order", "accepted", 200)]


def test_no_provider_is_called_inside_a_transaction(conekta, server):
    conekta.account.base_url, conekta.account.credentials = server.address, {"api_key": "key_S3cr3t"}

    with pytest.raises(RuntimeError, match="inside a transaction"), transaction.atomic():
        provider_client.connect_for_cash(conekta.account, about="").find_order("pay_x")

    assert (calls(), server.requests) == ([], [])


def test_without_its_row_no_call_is_made(conekta, server, monkeypatch):
    conekta.account.base_url, conekta.account.credentials = server.address, {"api_key": "key_S3cr3t"}

    def away(**fields):
        raise OperationalError("the database is away")

    monkeypatch.setattr(ProviderCall.objects, "create", away)
    with pytest.raises(OperationalError):
        provider_client.connect_for_cash(conekta.account, about="").find_order("pay_x")

    assert server.requests == []


def test_an_answer_counts_even_if_its_record_cannot_be_written(api, at_conekta, monkeypatch, caplog):
    with monkeypatch.context() as patched:
        patched.setattr(provider_client, "outcome_of", lambda call, error: "no such outcome")
        answer = api.post("/v1/payments", OXXO)

    assert answer.json()["oxxo"] is not None
    assert calls() == [("create_order", "", None)]
    assert "the outcome of a provider call was not recorded" in caplog.text


def test_a_process_that_dies_during_a_call_leaves_the_row_open(conekta, server):
    server.answer = hang
    conekta.account.base_url, conekta.account.credentials = server.address, {"api_key": "key_S3cr3t"}
    connection.close()
    pid = os.fork()
    if pid == 0:
        provider_client.connect_for_cash(conekta.account, about="pay_x").find_order("pay_x")
        os._exit(1)

    assert soon(lambda: len(server.requests) == 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

    assert calls() == [("find_order", "", None)]


def test_a_lost_answer_is_unknown_and_a_closed_port_is_not_sent(api, at_conekta, server):
    at_conekta.move("http://127.0.0.1:9")
    api.post("/v1/payments", OXXO)
    server.answer = lambda handler: handler.connection.close()
    at_conekta.move(server.address)
    payment_service.request_voucher(Payment.objects.get().pk, attempt=0)

    assert calls() == [("create_order", "not_sent", None), ("create_order", "unknown", None)]
