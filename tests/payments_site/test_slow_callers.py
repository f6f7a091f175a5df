"""Nothing holds a database connection while bytes come or go, and slow callers are bounded: real sockets, gunicorn."""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from payments.models import Payment
from payments.services.report_file import path_of
from tests import cluster
from tests.conftest import Api
from tests.payments.report_orders import link, order
from tests.promises import pick
from tests.provider_messages import StpSender
from tests.web_process import Web, basic, patient

POOL = 2
"""Database connections of the site's only process."""
HEAD = "POST /v1/payments HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
UNKNOWN = "POST /webhooks/conekta HTTP/1.1\r\nHost: 127.0.0.1\r\n"
"""Needs no key: the body is what proves a notice."""


@pytest.fixture
def site(committed_db: None, tmp_path: Path) -> Iterator[Callable[..., Web]]:
    """Starts the site; it is stopped afterwards."""
    with ExitStack() as running:

        def start(**environ: str) -> Web:
            given = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
            given |= dict.fromkeys(("RATE_LIMIT_READ", "RATE_LIMIT_WRITE"), "1000000/s")
            given |= {"DATABASE_URL": patient(cluster.url("payments_app")), "WEB_CONCURRENCY": "1"}
            web = Web(tmp_path / "web.jsonl", given | {"DATABASE_POOL_SIZE": str(POOL)} | environ)
            running.callback(web.stop)
            web.start()
            return web

        yield start


@pytest.fixture
def api(merchant: Any, make_api: Any) -> Api:
    return make_api(merchant, scopes=["payments:read", "payments:write", "reports:read"])


@contextmanager
def callers(
    web: Web, heads: Sequence[str], *, source: str = "127.0.0.1", buffer: int | None = None
) -> Iterator[list[socket.socket]]:
    """Connections that have sent these bytes, one each, and wait."""
    with ExitStack() as opened:
        found = []
        for head in heads:
            one = opened.enter_context(socket.socket())
            if buffer:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            one.settimeout(120)
            one.bind((source, 0))
            one.connect(("127.0.0.1", web.port))
            one.sendall(head.encode())
            found.append(one)
        yield found


@contextmanager
def dripping(connections: Sequence[socket.socket]) -> Iterator[None]:
    """A byte on each of these every half second."""
    stopped = threading.Event()

    def drip() -> None:
        while not stopped.wait(0.5):
            for connection in connections:
                with suppress(OSError):
                    connection.sendall(b" ")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def everything(connection: socket.socket) -> bytes:
    """What comes until the site closes the connection."""
    received = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            received += piece
    return received


def open_ones(connections: Sequence[socket.socket]) -> list[int]:
    """The places of those that the site has neither answered nor closed."""
    found = []
    for number, connection in enumerate(connections):
        connection.setblocking(False)
        try:
            connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            found.append(number)
        except ConnectionResetError:
            pass
        connection.settimeout(120)
    return found


def assert_served(web: Web, api: Api, stp: StpSender, times: int = 4) -> list[float]:
    """Health, the balance and STP's notices are answered; returns their seconds."""
    seconds = []

    def timed(ask: Callable[[], Any]) -> Any:
        began = time.monotonic()
        answer = ask()
        seconds.append(time.monotonic() - began)
        return answer

    for _ in range(times):
        assert timed(lambda: web.get("/healthz")).status == 200
        assert timed(lambda: web.get("/readyz")).status == 200
        assert timed(lambda: web.get("/v1/balance", Authorization=f"Bearer {api.secret}")).status == 200
        notice = stp.deposit("646180157099999997", 100, claveRastreo=secrets.token_hex(12))
        told = timed(
            lambda: web.post("/webhooks/stp/deposits", notice, Authorization=basic(stp.username, stp.secret))  # noqa: B023
        )
        assert (told.status, json.loads(told.body)) == (200, {"mensaje": "confirmar"})
    return seconds


def test_callers_that_send_slowly_hold_no_connection_and_hear_408(
    site: Callable[..., Web], api: Api, stp: StpSender
) -> None:
    web = site()
    key = f"Authorization: Bearer {api.secret}\r\nIdempotency-Key: k\r\n"
    length, chunked = "Content-Length: 5000\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n1388\r\n{"
    notice = "POST /webhooks/stp/deposits HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n"
    notice += f"Authorization: {basic(stp.username, stp.secret)}\r\n\r\n{{"
    began = time.monotonic()

    with callers(web, [HEAD + key + length, HEAD + key + chunked, notice] * 4) as slow, dripping(slow):
        assert_served(web, api, stp)
        still_open = open_ones(slow)
        answers = [everything(one) for one in slow]

    assert still_open == list(range(12))
    assert time.monotonic() - began > 9
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 408")
        assert b'"code":"request_timeout"' in answer
    assert Payment.objects.count() == 0


def test_callers_that_read_a_file_slowly_hold_no_connection(site: Callable[..., Web], api: Api, stp: StpSender) -> None:
    from payments.services import report as report_service

    report = order(api)
    report_service.write(report.pk)
    size = 32 * 1024 * 1024
    os.truncate(path_of(report), size)
    web = site()
    ask = f"GET {link(report)} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"

    with callers(web, [ask] * 8, buffer=4096) as slow:
        heads = [one.recv(12) for one in slow]
        assert_served(web, api, stp)
        whole = web.get(link(report))
        more = [one.recv(1_000) for one in slow]

    assert heads == [b"HTTP/1.1 200"] * 8
    assert (len(whole.body), all(more)) == (size, True)


def test_callers_that_read_a_list_slowly_hold_no_connection(site: Callable[..., Web], api: Api, stp: StpSender) -> None:
    notes = {f"note-{number}": "ñ" * 500 for number in range(50)}  # 5 MB in all: more than the kernel takes
    wanted = {"method": "spei", "amount": 1_000, "currency": "MXN", "metadata": notes}
    raw = json.dumps(wanted, ensure_ascii=False).encode()
    for number in range(100):
        key = {"Authorization": f"Bearer {api.secret}", "Idempotency-Key": f"k{number}"}
        assert api.client.post("/v1/payments", raw, "application/json", headers=key).status_code == 201
    web = site()
    ask = "GET /v1/payments?limit=100 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    ask += f"Authorization: Bearer {api.secret}\r\n\r\n"

    with ExitStack() as opened:
        slow, heads = [], []
        for _ in range(16):  # one after the other: what is tried is not a rush
            slow += opened.enter_context(callers(web, [ask], buffer=4096))
            heads.append(slow[-1].recv(12))
        assert_served(web, api, stp)
        more = [one.recv(1_000) for one in slow]

    assert (heads, all(more)) == ([b"HTTP/1.1 200"] * 16, True)


@pytest.mark.promise("P32", "unfinished bodies of one address: health, balance and notices are answered, p99 < 1 s")
def test_unfinished_bodies_of_one_address_stop_nobody(
    trials: Any, site: Callable[..., Web], api: Api, stp: StpSender
) -> None:
    processes, kept = pick(1, 2), pick(20, 100)
    small = {"WEB_CONNECTIONS": str(pick(60, 500)), "WEB_CONNECTIONS_PER_ADDRESS": str(kept)}
    web = site(WEB_CONCURRENCY=str(processes), **small)
    count = pick(130, 1_050)

    for source in ("127.0.0.9", "127.0.0.1"):  # an address of their own, then that of health and STP
        with callers(web, [UNKNOWN + "Content-Length: 100\r\n\r\n{"] * count, source=source) as unfinished:
            rounds = [sorted(assert_served(web, api, stp, pick(5, 25))) for _ in range(2)]
            left = open_ones(unfinished)
        trials.done(count, "unfinished bodies")

        assert min(times[int(len(times) * 0.99) - 1] for times in rounds) < 1  # another round had a busy machine
        assert len(left) <= kept * processes


@pytest.mark.promise("P32", "unfinished heads and idle connections fill a process: new callers are served")
def test_callers_that_ask_for_nothing_make_room(
    trials: Any, site: Callable[..., Web], api: Api, stp: StpSender
) -> None:
    web = site(WEB_CONNECTIONS="40")

    for head in ("", HEAD):
        with callers(web, [head] * 100):
            times = assert_served(web, api, stp, 2)
        trials.done(100, "connections")

        assert min(times) < 1  # a place is free after 5 s by itself


def test_a_load_balancer_is_not_one_caller(site: Callable[..., Web], api: Api, stp: StpSender) -> None:
    web = site(TRUSTED_PROXIES="1", WEB_CONNECTIONS_PER_ADDRESS="3")

    def unfinished(address: str) -> str:
        return f"{UNKNOWN}X-Forwarded-For: 192.0.2.1, {address}\r\nContent-Length: 100\r\n\r\n{{"

    many = [unfinished(f"203.0.113.{number}:4{number}") for number in range(20)]
    with callers(web, many) as different, callers(web, [unfinished("198.51.100.7")] * 8) as same:
        ended = [everything(one) for one in same[:5]]
        left = open_ones(different), open_ones(same)

    assert left == (list(range(20)), [5, 6, 7])
    assert all(answer.startswith(b"HTTP/1.1 408") for answer in ended)
