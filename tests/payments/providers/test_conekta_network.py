"""Conekta's client with failing servers and networks."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
import time
from typing import Any

import pytest

from core.errors import OutcomeUnknown, ProviderNotContacted
from payments.providers.conekta.client import MAX_ANSWER_BYTES, ConektaClient
from payments.providers.transport import shared_transport
from tests.concurrency.threads import soon
from tests.factories.conekta import ORDER, REQUEST, changed
from tests.payments.providers.http_server import Handler, hang, replies

KEY = "key_S3cr3tS3cr3t"
PENDING = changed(changed(ORDER, "payment_status", "pending_payment"), "charges.data.0.status", "pending_payment")


def create(client: ConektaClient) -> Any:
    return client.create_cash_order(**REQUEST)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_never_followed(server, client, status):
    server.answer = replies(status, ORDER, Location=server.address + "/elsewhere")

    with pytest.raises(OutcomeUnknown, match=str(status)):
        create(client)

    assert len(server.requests) == 1


def test_a_cookie_is_never_kept_and_the_connection_always(server, client):
    server.answer = replies(200, ORDER, Set_Cookie="session=1; Path=/")

    for _ in range(3):
        client.get_order(ORDER["id"])
    ConektaClient("key_other", server.address).get_order(ORDER["id"])

    assert [request[2].get("cookie") for request in server.requests] == [None] * 4
    assert len(server.connections) == 1


def reply_and_hang_up(handler: Handler) -> None:
    handler.reply(200, ORDER)
    handler.close_connection = True  # without having said so


def test_a_connection_the_server_closed_meanwhile_is_not_used_again(server, client):
    server.answer = reply_and_hang_up

    for closed in (1, 2, 3):
        assert client.get_order(ORDER["id"]).order_id == ORDER["id"]
        assert soon(lambda closed=closed: server.closed == closed)

    assert len(server.connections) == 3


def test_no_proxy_is_taken_from_the_environment(server, client, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.answer = replies(200, ORDER)

    assert client.get_order(ORDER["id"]).order_id == ORDER["id"]


def drip_headers(handler: Handler) -> None:
    handler.connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(200):
        time.sleep(0.1)
        handler.connection.sendall(b"x")


def drip_body(handler: Handler) -> None:
    handler.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(200):
        time.sleep(0.1)
        handler.connection.sendall(b" ")


@pytest.mark.parametrize("slow", [hang, drip_headers, drip_body])
def test_a_slow_answer_is_given_up_in_time(server, hasty, slow):
    server.answer = slow
    started = time.monotonic()

    with pytest.raises(OutcomeUnknown, match="ReadTimeout"):
        create(hasty)

    assert 1.4 < time.monotonic() - started < 15
    assert len(server.requests) == 1


def cut_short(handler: Handler) -> None:
    handler.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{")
    handler.reset()


@pytest.mark.parametrize(
    "broken",
    [
        Handler.reset,
        cut_short,
        lambda handler: setattr(handler, "close_connection", True),
        lambda handler: handler.connection.sendall(b"\x00\x01 no HTTP at all\r\n\r\n"),
        lambda handler: handler.connection.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000),
    ],
    ids=["reset", "reset within the answer", "closed", "not HTTP", "endless header"],
)
def test_a_broken_connection_is_an_unknown_outcome(server, client, broken):
    server.answer = broken

    with pytest.raises(OutcomeUnknown):
        create(client)

    assert len(server.requests) == 1


def test_a_huge_answer_is_not_swallowed(server, client):
    server.answer = replies(200, b" " * (MAX_ANSWER_BYTES + 1) + b"{}")
    with pytest.raises(OutcomeUnknown, match="longer"):
        create(client)

    server.answer = replies(200, json.dumps(PENDING).encode().ljust(MAX_ANSWER_BYTES))
    assert create(client).order_id == ORDER["id"]


def test_a_compressed_answer_was_not_asked_for(server, client):
    server.answer = replies(200, gzip.compress(json.dumps(PENDING).encode()), Content_Encoding="gzip")

    with pytest.raises(OutcomeUnknown):
        create(client)

    assert server.requests[0][2]["accept-encoding"] == "identity"


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid", "a" * 70 + ".invalid", "-.invalid"])
def test_a_server_that_cannot_be_reached_never_saw_the_request(host):
    client = ConektaClient(KEY, f"http://{host}:{unused_port()}", connect_timeout=0.3, total_timeout=0.5)

    with pytest.raises(ProviderNotContacted):
        create(client)


def test_a_server_that_does_not_accept_never_saw_the_request():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        filler = [socket.socket() for _ in range(3)]  # the queue of connections is full
        for waiting in filler:
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        client = ConektaClient(
            KEY, f"http://127.0.0.1:{listener.getsockname()[1]}", connect_timeout=0.2, total_timeout=0.5
        )
        started = time.monotonic()

        with pytest.raises(ProviderNotContacted, match="ConnectTimeout"):
            create(client)

        assert time.monotonic() - started < 15
        for waiting in filler:
            waiting.close()


def test_a_server_without_proper_tls_never_saw_the_request(server):
    client = ConektaClient(KEY, server.address.replace("http:", "https:"), connect_timeout=0.3, total_timeout=0.5)

    with pytest.raises(ProviderNotContacted, match="Connect"):
        create(client)

    assert server.requests == []


def test_certificates_are_verified():
    context = shared_transport()._pool._ssl_context

    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_threads_of_one_process_share_one_pool():
    pools: list[object] = []
    threads = [threading.Thread(target=lambda: pools.append(shared_transport())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(pools) == 8
    assert len(set(map(id, pools))) == 1
