"""Limits on client connections that wait for a slow client.

A process accepts a limited number of connections. One that waits for its client (for a request, for the rest of a body,
or for the client to read the response) costs only memory, but if all of them wait, no new client is accepted. So each
wait has a timeout, each address a limit, and when no connection is free, the one that has waited longest is closed.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any, BinaryIO

from core import addresses

ANSWER_SECONDS = 30.0
"""Time limit for a client to read each piece of a response."""
PIECE = 64 * 1024


class WaitReason(StrEnum):
    """What a connection waits for."""

    REQUEST = "request"
    BODY = "body"
    ANSWER = "answer"


Group = tuple[bool, str]
"""(whether a request is in flight, client address). Without a request it is the peer's, which may be a proxy."""


class Callers:
    """The connections of one process, and which of them wait for their client."""

    def __init__(self, most: int, most_per_address: int, proxies: int = 0) -> None:
        self.open = 0
        self.proxies = proxies
        """How many trusted proxies append to X-Forwarded-For."""
        self._most = most
        self._most_per_address = most_per_address
        self._groups: dict[Group, set[Caller]] = {}

    def add(self, caller: Caller, group: Group) -> None:
        """Register a waiting caller; close the oldest of its address if that has too many in flight."""
        waiting = self._groups.setdefault(group, set())
        waiting.add(caller)
        if group[0] and len(waiting) > self._most_per_address:
            self._end_oldest(group)
        else:
            self.make_room()

    def remove(self, caller: Caller, group: Group) -> None:
        """Unregister a caller that no longer waits."""
        waiting = self._groups.get(group)
        if waiting is not None:
            waiting.discard(caller)
            if not waiting:
                del self._groups[group]

    def make_room(self) -> None:
        """If the process is full, close the longest waiting connection of the address with most of them."""
        if self.open >= self._most and self._groups:
            self._end_oldest(max(self._groups, key=lambda group: len(self._groups[group])))

    def _end_oldest(self, group: Group) -> None:
        oldest = min(self._groups[group], key=lambda caller: caller.since)
        self.remove(oldest, group)
        oldest.end()


class Caller:
    """A client socket with gunicorn's socket interface. ``sock`` is gevent's: waiting yields to other greenlets."""

    def __init__(self, sock: Any, peer: Any, callers: Callers) -> None:
        self._socket = sock
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        self._callers = callers
        self.request: Any = None
        """gunicorn's request in flight."""
        self.body_until: float | None = None
        """Deadline of the body while it is read."""
        self.since = 0.0
        """When the request began, or since when one is awaited."""
        self._ended = False
        sock.setblocking(False)

    def begin(self, request: Any) -> None:
        """Start a request; its head has been read."""
        self.request = request
        self.since = time.monotonic()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def setblocking(self, flag: bool) -> None:
        """Ignored: the socket stays non-blocking, and ``_wait`` does the waiting."""

    def recv(self, size: int) -> bytes:
        """``b""`` at the end. Raises ``TimeoutError`` if a body is late or the connection was closed to make room."""
        if self.body_until is None:  # the next request is rarely there yet; gunicorn limits this wait
            return self._wait(WaitReason.REQUEST, self._socket.recv, size, None) or b""
        try:
            return self._socket.recv(size)
        except BlockingIOError:
            pass
        received = self._wait(WaitReason.BODY, self._socket.recv, size, self.body_until)
        if received is None:
            raise TimeoutError
        return received

    def sendall(self, data: bytes) -> None:
        """Raises ``BrokenPipeError`` if the client reads too slowly or the connection was closed to make room."""
        left = memoryview(data)
        until = 0.0
        while left:
            try:
                sent = self._socket.send(left)
            except BlockingIOError:
                until = until or time.monotonic() + ANSWER_SECONDS * (1 + len(left) // PIECE)
                sent = self._wait(WaitReason.ANSWER, self._socket.send, left, until)
                if sent is None:
                    raise BrokenPipeError(errno.EPIPE, "the answer was not read in time") from None
            left = left[sent:]

    def send(self, data: bytes) -> int:
        self.sendall(data)
        return len(data)

    def sendfile(self, file: BinaryIO, offset: int = 0, count: int | None = None) -> int:
        """Send ``count`` bytes of ``file`` (default: all); return the number sent."""
        file.seek(offset)
        sent = 0
        while piece := file.read(PIECE if count is None else min(PIECE, count - sent)):
            self.sendall(piece)
            sent += len(piece)
        return sent

    def end(self) -> None:
        """Stop waiting. A client whose body is incomplete can still receive the error."""
        self._ended = True
        self._socket.shutdown(0 if self.body_until is not None else 2)

    def _wait(self, reason: WaitReason, call: Callable[[Any], Any], argument: Any, until: float | None) -> Any:
        """The result of ``call`` once the socket is ready; None after the deadline or ``end``."""
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


def _count(reason: WaitReason) -> None:
    from core.metrics import CALLERS_ENDED  # not loaded in gunicorn's master

    CALLERS_ENDED.labels(reason).inc()
