"""Requests of Conekta's client, and the meaning of each response."""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from core.errors import OutcomeUnknown, ProviderError, ProviderNotContacted, ProviderRefused
from payments.providers.conekta.client import ConektaClient
from tests.factories.conekta import CHARGE, ORDER, PAYMENT, PUBLIC_KEY, REFUSAL, REQUEST, changed
from tests.payments.providers.http_server import Handler, hang, replies

KEY = "key_S3cr3tS3cr3t"
PENDING = changed(changed(ORDER, "payment_status", "pending_payment"), "charges.data.0.status", "pending_payment")


def create(client: ConektaClient) -> Any:
    return client.create_cash_order(**REQUEST)


def test_an_order_is_created_as_conekta_asks_for_it(server, client):
    server.answer = replies(201, PENDING)

    order = create(client)

    assert (order.order_id, order.reference, order.status) == (ORDER["id"], "93000262276908", "pending_payment")
    assert order.expires_at == datetime(2025, 4, 4, tzinfo=UTC)
    [(method, path, headers, body)] = server.requests
    assert (method, path) == ("POST", "/orders")
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["accept"] == "application/vnd.conekta-v2.3.0+json"
    assert headers["accept-language"] == "es"
    assert headers["content-type"] == "application/json"
    assert headers["host"] == f"127.0.0.1:{server.server_port}"
    assert body["charges"][0]["payment_method"] == {"type": "cash", "expires_at": 1743724800}
    assert body["metadata"] == {"payment_id": PAYMENT}


def test_a_path_in_the_address_is_kept(server):
    server.answer = replies(200, ORDER)

    ConektaClient(KEY, server.address + "/sandbox/conekta/").get_order("ord_2xayxSvfWzQ2TLz7r")

    assert server.requests[0][1] == "/sandbox/conekta/orders/ord_2xayxSvfWzQ2TLz7r"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("amount", 15001),
        ("currency", "USD"),
        ("metadata", {"payment_id": "pay_other"}),
        ("metadata", {}),
        ("charges.data", []),
        ("charges.data.0.payment_method", {}),
        ("amount", 15000.0),
        ("livemode", "no"),
        ("id", None),
    ],
)
def test_an_answer_that_contradicts_the_request_is_an_unknown_outcome(server, client, path, value):
    server.answer = replies(200, changed(PENDING, path, value))

    with pytest.raises(OutcomeUnknown):
        create(client)


@pytest.mark.parametrize("status", [400, 402, 409, 422, 428])
def test_a_refusal_is_final_and_carries_conektas_words(server, client, status):
    server.answer = replies(status, REFUSAL)

    with pytest.raises(ProviderRefused, match="El teléfono no es válido") as refusal:
        create(client)

    assert refusal.value.provider_code == "conekta.errors.parameter_validation.phone"
    assert len(server.requests) == 1


@pytest.mark.parametrize("details", [[], None, "x", [1], [{"code": 5, "message": ["x"]}]])
def test_a_refusal_without_details_is_a_refusal(server, client, details):
    server.answer = replies(422, {**REFUSAL, "details": details})

    with pytest.raises(ProviderRefused, match="422") as refusal:
        create(client)

    assert refusal.value.provider_code == "parameter_validation_error"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, REFUSAL),
        (503, b"<html>down</html>"),
        (502, b""),
        (400, b"<html>bad</html>"),
        (422, {"message": "forbidden"}),
        (408, REFUSAL),
        (200, b""),
        (200, b"garbage \xff"),
        (200, b"[]"),
        (200, b'{"id": "a", "id": "b"}'),
        (200, REFUSAL),
        (204, b""),
        (200, {"object": "order"}),
    ],
)
def test_an_answer_that_tells_nothing_certain_is_an_unknown_outcome(server, client, status, body):
    server.answer = replies(status, body)

    with pytest.raises(OutcomeUnknown):
        create(client)

    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 405, 410, 429])
@pytest.mark.parametrize("body", [REFUSAL, {"message": "forbidden"}, b"slow down", b""])
def test_turned_away_means_that_nothing_was_done(server, client, status, body):
    server.answer = replies(status, body)

    for ask in (lambda: create(client), lambda: client.find_order(PAYMENT)):
        with pytest.raises(ProviderNotContacted, match=str(status)):
            ask()

    assert len(server.requests) == 2


def test_an_order_is_found_by_exactly_our_payment_id(server, client):
    near = [changed(ORDER, "metadata", {"payment_id": PAYMENT + suffix}) for suffix in ("0", " ", "x")]
    server.answer = replies(200, {"object": "list", "has_more": True, "data": [*near, {"id": 1}, 7, ORDER]})

    assert client.find_order(PAYMENT).order_id == ORDER["id"]
    [(method, path, _, body)] = server.requests
    assert (method, urlsplit(path).path, body) == ("GET", "/orders", None)
    assert parse_qs(urlsplit(path).query)["search"] == [PAYMENT]


def test_an_order_that_does_not_exist_is_not_found(server, client):
    server.answer = replies(200, {"object": "list", "has_more": False, "data": [changed(ORDER, "metadata", {})]})

    assert client.find_order(PAYMENT) is None


@pytest.mark.parametrize(
    "answer",
    [
        {"data": [], "has_more": True},
        {"data": [ORDER, ORDER], "has_more": False},
        {"data": None},
        {"object": "order"},
        {"data": [changed(ORDER, "amount", 1.5)]},
    ],
)
def test_a_search_that_proves_nothing_is_an_unknown_outcome(server, client, answer):
    server.answer = replies(200, answer)

    with pytest.raises(OutcomeUnknown):
        client.find_order(PAYMENT)


def test_a_found_order_listed_without_its_charge_is_read_in_full(server, client):
    brief = {"object": "list", "has_more": False, "data": [changed(ORDER, "charges", None)]}
    server.answer = lambda handler: handler.reply(200, ORDER if handler.path == f"/orders/{ORDER['id']}" else brief)

    assert client.find_order(PAYMENT).charge_id == CHARGE["id"]
    assert len(server.requests) == 2


def test_another_order_than_asked_for_is_an_unknown_outcome(server, client):
    server.answer = replies(200, ORDER)

    with pytest.raises(OutcomeUnknown, match="another order"):
        client.get_order("ord_x")
    for wrong in ("", "../webhooks", "a/b", "a?b", "ñ", "x" * 65):
        with pytest.raises(ValueError, match="id"):
            client.get_order(wrong)
    assert len(server.requests) == 1


def test_a_webhook_key_is_made_and_must_be_usable(server, client):
    server.answer = replies(200, {"id": "k1", "active": True, "public_key": PUBLIC_KEY})
    assert client.create_webhook_key() == PUBLIC_KEY
    assert server.requests[0][:2] == ("POST", "/webhook_keys")
    assert server.requests[0][3] == {"active": True}

    for useless in ("", "x", None, 5):
        server.answer = replies(200, {"public_key": useless})
        with pytest.raises(OutcomeUnknown):
            client.create_webhook_key()


def test_a_webhook_is_registered_for_its_events(server, client):
    server.answer = replies(200, {"id": "6307a60c41de27127515a575", "url": "https://pay.example/hooks"})

    assert client.register_webhook("https://pay.example/hooks", ["order.paid"]) == "6307a60c41de27127515a575"
    assert server.requests[0][1] == "/webhooks"
    assert server.requests[0][3] == {"url": "https://pay.example/hooks", "subscribed_events": ["order.paid"]}

    server.answer = replies(200, {"url": "https://pay.example/hooks"})
    with pytest.raises(OutcomeUnknown):
        client.register_webhook("https://pay.example/hooks", ["order.paid"])


def echo_the_key(handler: Handler) -> None:
    said = handler.headers["Authorization"] + "\x00\n"
    handler.reply(422, {"object": "error", "details": [{"message": said + "x" * 999, "code": said}]})


@pytest.mark.parametrize("answer", [echo_the_key, Handler.reset, hang, replies(200, b"garbage"), replies(500, b"")])
def test_the_key_is_in_no_message_no_traceback_no_log_and_no_repr(server, hasty, answer, caplog):
    caplog.set_level(logging.DEBUG)
    server.answer = answer

    with pytest.raises(ProviderError) as failure:
        create(hasty)

    told = [str(failure.value), repr(failure.value), getattr(failure.value, "provider_code", ""), repr(hasty)]
    told += [f"{hasty}", "".join(traceback.format_exception(failure.value)), caplog.text]
    assert not [text for text in told if KEY in text]
    assert len(failure.value.message) <= 300
    assert "\x00" not in failure.value.message


@pytest.mark.parametrize("key", ["", "key with space", "key\r\nX: y", "clé", "x" * 201])
def test_a_key_that_no_header_can_carry_is_refused_without_repeating_it(key):
    with pytest.raises(ValueError, match="visible ASCII") as refusal:
        ConektaClient(key, "https://api.conekta.io")

    assert not key or key not in str(refusal.value)


@pytest.mark.parametrize(
    "address",
    ["", "api.conekta.io", "ftp://x", "https://", "https://u:p@x", "https://x?y=1", "https://x/#f", "file:///x"],
)
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ValueError, match="address"):
        ConektaClient(KEY, address)


@pytest.mark.parametrize("timeouts", [(0, 10), (-1, 10), (2, 1), (2, 10.5)])
def test_no_exchange_may_last_longer_than_ten_seconds(timeouts):
    with pytest.raises(ValueError, match="timeouts"):
        ConektaClient(KEY, "https://api.conekta.io", connect_timeout=timeouts[0], total_timeout=timeouts[1])
