"""The proxy does what it is told: otherwise an outage that the site survives proves nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.concurrency.threads import soon
from tests.faults.proxy import FaultProxy


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """In front of a server that sends back whatever it gets."""

    def echo(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65_536):
                    connection.sendall(data)
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, daemon=True).start()
    with FaultProxy(listener.getsockname()[1]) as running:
        yield running
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def connect(proxy, timeout=120.0):
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=timeout)


def echoed(connection, text, count=None):
    connection.sendall(text)
    received = b""
    while len(received) < (len(text) if count is None else count) and (chunk := connection.recv(65_536)):
        received += chunk
    return received


def test_it_forwards_and_notices_the_end(proxy):
    big = bytes(range(256)) * 4_000

    with connect(proxy) as connection:
        assert echoed(connection, b"ping") == b"ping"
        assert echoed(connection, big) == big
        assert proxy.open == 1
    assert soon(lambda: proxy.open == 0)
    assert proxy.accepted == 1


def test_latency_delays_each_way_and_ends(proxy):
    with connect(proxy) as connection:
        proxy.latency(2)
        started = time.monotonic()
        assert echoed(connection, b"slow") == b"slow"
        assert 4 <= time.monotonic() - started
        proxy.heal()
        started = time.monotonic()
        assert echoed(connection, b"quick") == b"quick"
        assert time.monotonic() - started < 4


def test_refused_is_what_the_kernel_says_and_open_connections_are_reset(proxy):
    with connect(proxy) as connection:
        assert echoed(connection, b"open") == b"open"
        proxy.refuse()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)

    proxy.heal()

    with connect(proxy) as connection:
        assert echoed(connection, b"again") == b"again"


def test_reset_takes_the_connection_and_breaks_it(proxy):
    with connect(proxy) as before:
        assert echoed(before, b"open") == b"open"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            before.recv(1)

    def speak() -> bytes:
        with connect(proxy) as connection:
            return echoed(connection, b"x")

    for _ in range(3):
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            speak()
    assert proxy.accepted == 4


def test_a_black_hole_answers_nobody_until_it_is_healed(proxy):
    with connect(proxy) as before, connect(proxy) as after:
        assert echoed(before, b"open") == b"open"
        proxy.black_hole()
        for connection in (before, after):
            connection.settimeout(0.2)
            connection.sendall(b"lost?")
            with pytest.raises(TimeoutError):
                connection.recv(1)

        proxy.heal()

        for connection in (before, after):
            connection.settimeout(120)
            assert connection.recv(5, socket.MSG_WAITALL) == b"lost?"


def test_an_answer_is_cut_after_its_bytes(proxy):
    proxy.cut_after(3)

    with connect(proxy) as connection:
        assert echoed(connection, b"abcdef") == b"abc"
    with connect(proxy) as connection:
        assert echoed(connection, b"ab", count=2) == b"ab"
        assert echoed(connection, b"cdef") == b"c"

    proxy.heal()
    with connect(proxy) as connection:
        assert echoed(connection, b"whole") == b"whole"


def test_it_leaves_nothing_behind(proxy):
    held = [connect(proxy) for _ in range(5)]
    assert soon(lambda: proxy.open == 5)
    proxy.black_hole()

    proxy.__exit__()

    for connection in held:
        with connection, pytest.raises(ConnectionResetError):
            connection.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
