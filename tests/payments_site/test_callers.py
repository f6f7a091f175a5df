"""Callers that keep us waiting: which one is ended, when, and what it hears."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import gevent.socket
import pytest

from payments_site import callers
from payments_site.callers import Caller, Callers


@pytest.fixture
def connect() -> Iterator[Any]:
    """Makes (our end, the caller's end) of a connection."""
    opened: list[Any] = []

    def make(waiting: Callers, peer: str, forwarded: str | None = None) -> tuple[Caller, Any]:
        ours, theirs = gevent.socket.socketpair()
        opened.extend((ours, theirs))
        caller = Caller(ours, (peer, 1), waiting)
        waiting.open += 1
        if forwarded is not None:
            caller.begin(SimpleNamespace(headers=[("X-FORWARDED-FOR", forwarded)] if forwarded else []))
        return caller, theirs

    yield make
    for one in opened:
        one.close()


def reads(caller: Caller, *, seconds: float | None = 60.0) -> Any:
    """A greenlet that waits for the caller: for a body, or without ``seconds`` for a request."""
    caller.body_until = None if seconds is None else time.monotonic() + seconds
    started = gevent.spawn(caller.recv, 10)
    gevent.sleep(0.001)
    return started


def result(greenlet: Any) -> Any:
    """What a greenlet returned or raised; None while it waits."""
    gevent.sleep(0.01)
    return (greenlet.exception or greenlet.value) if greenlet.dead else None


def test_what_is_there_is_taken_at_once(connect: Any) -> None:
    caller, theirs = connect(Callers(9, 9), "203.0.113.1", "")
    theirs.sendall(b"body")

    assert result(reads(caller)) == b"body"
    caller.sendall(b"x" * 1000)
    assert theirs.recv(2000) == b"x" * 1000


def test_a_body_ends_at_its_deadline_however_it_drips(connect: Any) -> None:
    caller, theirs = connect(Callers(9, 9), "203.0.113.1", "")
    caller.body_until = time.monotonic() + 0.2

    def read_all() -> None:
        while caller.recv(10):
            pass

    reading = gevent.spawn(read_all)
    began = time.monotonic()
    while not reading.dead and time.monotonic() < began + 30:
        theirs.sendall(b".")
        gevent.sleep(0.01)

    assert isinstance(result(reading), TimeoutError)


def test_an_answer_that_is_read_too_slowly_ends(connect: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(callers, "ANSWER_SECONDS", 0.05)
    caller, theirs = connect(Callers(9, 9), "203.0.113.1", "")

    sending = gevent.spawn(caller.sendall, b"x" * 1_000_000)
    began = time.monotonic()
    while not sending.dead and time.monotonic() < began + 30:
        theirs.recv(1)
        gevent.sleep(0.01)

    assert isinstance(result(sending), BrokenPipeError)


def test_a_large_answer_arrives_whole_however_it_is_read(connect: Any, tmp_path: Any) -> None:
    caller, theirs = connect(Callers(9, 9), "203.0.113.1", "")
    whole = bytes(range(256)) * 8_000
    (tmp_path / "file").write_bytes(whole)

    def send() -> None:
        caller.sendall(whole)
        with (tmp_path / "file").open("rb") as file:
            assert caller.sendfile(file, 100, 1_000_000) == 1_000_000
            assert caller.sendfile(file, 2_000_000) == 48_000
        caller.shutdown(1)

    sending, received = gevent.spawn(send), b""
    while piece := theirs.recv(50_000):
        received += piece

    sending.get()
    assert received == whole + whole[100:1_000_100] + whole[2_000_000:]


def test_one_address_keeps_so_many_bodies_and_its_oldest_hears_so(connect: Any) -> None:
    waiting = Callers(99, 3)
    other = reads(connect(waiting, "203.0.113.2", "")[0])
    mine = [reads(connect(waiting, "203.0.113.1", "")[0]) for _ in range(5)]

    assert [type(result(one)) for one in mine[:2]] == [TimeoutError, TimeoutError]
    assert [result(one) for one in [*mine[2:], other]] == [None] * 4


def test_ipv6_is_counted_by_network(connect: Any) -> None:
    waiting = Callers(99, 1)
    first, second, third = (
        reads(connect(waiting, peer, "")[0]) for peer in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
    )

    assert isinstance(result(first), TimeoutError)
    assert (result(second), result(third)) == (None, None)


def test_behind_a_proxy_the_forwarded_address_counts(connect: Any) -> None:
    waiting = Callers(99, 1, proxies=1)
    many = [reads(connect(waiting, "10.0.0.1", f"198.51.100.7, 203.0.113.{n}")[0]) for n in range(5)]
    again = reads(connect(waiting, "10.0.0.1", "203.0.113.3")[0])

    assert [type(result(one)) for one in many] == [type(None)] * 3 + [TimeoutError] + [type(None)]
    assert result(again) is None


def test_a_wait_for_a_request_counts_for_nobody(connect: Any) -> None:
    waiting = Callers(99, 1)
    idle = [reads(connect(waiting, "10.0.0.1")[0], seconds=None) for _ in range(5)]

    assert [result(one) for one in idle] == [None] * 5


def test_a_full_process_ends_the_oldest_of_the_address_with_most(connect: Any) -> None:
    waiting = Callers(6, 99)
    lonely = reads(connect(waiting, "203.0.113.9", "")[0])
    idle = [reads(connect(waiting, "203.0.113.1")[0], seconds=None) for _ in range(4)]
    assert [result(one) for one in [lonely, *idle]] == [None] * 5

    last = reads(connect(waiting, "203.0.113.2", "")[0])

    assert result(idle[0]) == b""
    assert [result(one) for one in [lonely, *idle[1:], last]] == [None] * 5


def test_a_process_whose_callers_all_work_ends_none(connect: Any) -> None:
    waiting = Callers(2, 1)
    connect(waiting, "203.0.113.1", "")
    connect(waiting, "203.0.113.1", "")

    waiting.make_room()
