"""Callers that keep us waiting are ended before there are too many of them.

A process keeps a number of connections open. One that waits for its caller (for a request, for the rest of a body, for
an answer to be read) costs only memory, but while all of them wait nothing new is accepted. So each wait ends after a
while, one address may only have so many, and where none is free the one that has waited longest makes room.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any, BinaryIO

from core import addresses

ANSWER_SECONDS = 30.0
"""A caller takes each piece of an answer within this time."""
PIECE = 64 * 1024


class Waiting(StrEnum):
    """What we wait for."""

    REQUEST = "request"
    BODY = "body"
    ANSWER = "answer"


Group = tuple[bool, str]
"""(whether a request is known, whose it is): without one the peer's, which may be a proxy that speaks for many."""


class Callers:
    """The connections of one process: how many there are, and which of them wait for their caller."""

    def __init__(self, most: int, most_per_address: int, proxies: int = 0) -> None:
        self.open = 0
        self.proxies = proxies
        """How many trusted proxies append to X-Forwarded-For."""
        self._most = most
        self._most_per_address = most_per_address
        self._groups: dict[Group, set[Caller]] = {}

    def add(self, caller: Caller, group: Group) -> None:
        """``caller`` begins to wait; the oldest of its address ends if that has too many with a request."""
        waiting = self._groups.setdefault(group, set())
        waiting.add(caller)
        if group[0] and len(waiting) > self._most_per_address:
            self._end_oldest(group)
        else:
            self.make_room()

    def remove(self, caller: Caller, group: Group) -> None:
        """``caller`` waits no longer."""
        waiting = self._groups.get(group)
        if waiting is not None:
            waiting.discard(caller)
            if not waiting:
                del self._groups[group]

    def make_room(self) -> None:
        """If the process is full, end the oldest of those that wait, of the address that has most of them."""
        if self.open >= self._most and self._groups:
            self._end_oldest(max(self._groups, key=lambda group: len(self._groups[group])))

    def _end_oldest(self, group: Group) -> None:
        oldest = min(self._groups[group], key=lambda caller: caller.since)
        self.remove(oldest, group)
        oldest.end()


class Caller:
    """A caller's socket, as gunicorn uses it. ``sock`` is gevent's: another greenlet runs while one waits."""

    def __init__(self, sock: Any, peer: Any, callers: Callers) -> None:
        self._socket = sock
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        self._callers = callers
        self.request: Any = None
        """gunicorn's request that is being answered."""
        self.body_until: float | None = None
        """While a body is read: when it has to be complete."""
        self.since = 0.0
        """When that began; without one, since when it is waited for."""
        self._ended = False
        sock.setblocking(False)

    def begin(self, request: Any) -> None:
        """The head of a request is there."""
        self.request = request
        self.since = time.monotonic()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def setblocking(self, flag: bool) -> None:
        """It never blocks: what cannot be done at once waits here."""

    def recv(self, size: int) -> bytes:
        """``b""`` at the end. Raises ``TimeoutError`` if a body is not complete in time, or makes room for another."""
        if self.body_until is None:  # the next request is seldom there yet; gunicorn bounds this wait
            return self._wait(Waiting.REQUEST, self._socket.recv, size, None) or b""
        try:
            return self._socket.recv(size)
        except BlockingIOError:
            pass
        received = self._wait(Waiting.BODY, self._socket.recv, size, self.body_until)
        if received is None:
            raise TimeoutError
        return received

    def sendall(self, data: bytes) -> None:
        """Raises ``BrokenPipeError`` if the caller does not take it in time, or makes room for another."""
        left = memoryview(data)
        until = 0.0
        while left:
            try:
                sent = self._socket.send(left)
            except BlockingIOError:
                until = until or time.monotonic() + ANSWER_SECONDS * (1 + len(left) // PIECE)
                sent = self._wait(Waiting.ANSWER, self._socket.send, left, until)
                if sent is None:
                    raise BrokenPipeError(errno.EPIPE, "the answer was not read in time") from None
            left = left[sent:]

    def send(self, data: bytes) -> int:
        self.sendall(data)
        return len(data)

    def sendfile(self, file: BinaryIO, offset: int = 0, count: int | None = None) -> int:
        """Send ``count`` bytes of ``file`` (all of them unless told); return how many there were."""
        file.seek(offset)
        sent = 0
        while piece := file.read(PIECE if count is None else min(PIECE, count - sent)):
            self.sendall(piece)
            sent += len(piece)
        return sent

    def end(self) -> None:
        """Stop waiting. A caller whose body is missing can still be told so."""
        self._ended = True
        self._socket.shutdown(0 if self.body_until is not None else 2)

    def _wait(self, reason: Waiting, call: Callable[[Any], Any], argument: Any, until: float | None) -> Any:
        """What ``call`` returns once it need not wait; None if it is too late, or this caller was ended."""
        now = time.monotonic()
        if self.request is None:
            self.since = now
        group = self._group()
        self._callers.add(self, group)
        if until is None:
            self._socket.setblocking(True)
        else:
            self._socket.settimeout(max(0.001, until - now))
        try:
            result = call(argument)
            if not self._ended:
                return result
        except TimeoutError:
            pass
        except OSError:
            if not self._ended:
                raise
        finally:
            self._callers.remove(self, group)
            self._socket.setblocking(False)
        _count(reason)
        return None

    def _group(self) -> Group:
        if self.request is None:
            return False, self._peer
        forwarded_for = ",".join(value for name, value in self.request.headers if name == "X-FORWARDED-FOR")
        address = addresses.client(self._peer, forwarded_for, self._callers.proxies)
        return True, addresses.customer(address) if address else ""


def _count(reason: Waiting) -> None:
    from core.metrics import CALLERS_ENDED  # gunicorn's master does not count

    CALLERS_ENDED.labels(reason).inc()
