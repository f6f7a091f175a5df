"""HTTP requests to providers with a total deadline and a defined outcome.

httpx2 limits each read but not the whole exchange, so that a server that sends one byte per second never times out.
Here the timeout of every socket operation is the time left until the deadline. Connections are shared by the process.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore2
import httpx2

from core.errors import OutcomeUnknown, ProviderNotContacted

MAX_CONNECTIONS = 20
KEEPALIVE_SECONDS = 5.0

_NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
    UnicodeError,  # an invalid host name
)

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
_transports: dict[int, DeadlineTransport] = {}
_lock = threading.Lock()


class DeadlineTransport(httpx2.HTTPTransport):
    """httpx2's transport without proxies or environment, over sockets with a deadline."""

    def __init__(self) -> None:
        context = httpx2.create_ssl_context(trust_env=False)
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEEPALIVE_SECONDS,
            network_backend=_DeadlineBackend(),
        )


def shared_transport() -> DeadlineTransport:
    """The connection pool of this process; a forked child gets its own."""
    with _lock:
        pid = os.getpid()
        if pid not in _transports:
            _transports.clear()
            _transports[pid] = DeadlineTransport()
        return _transports[pid]


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Context in which this thread's socket operations time out at the latest ``seconds`` from now."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def exchange(
    provider: str,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes | None,
    connect_seconds: float,
    total_seconds: float,
    max_bytes: int,
    params: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Status and body of one response. Redirects are not followed, cookies not stored, compression not requested.

    ``total_seconds`` limits the whole exchange except the DNS lookup. Raises ``ProviderNotContacted`` if nothing was
    sent, ``OutcomeUnknown`` if the response was lost or is longer than ``max_bytes``; messages name ``provider``.
    """
    limits = httpx2.Timeout(total_seconds, connect=connect_seconds)
    try:
        request = httpx2.Request(
            method,
            url,
            params=None if params is None else dict(params),
            headers={"Accept-Encoding": "identity", **headers},
            content=content,
            extensions={"timeout": limits.as_dict()},
        )
        with deadline(total_seconds):
            response = shared_transport().handle_request(request)
            try:
                received = bytearray()
                for chunk in response.iter_raw():
                    received += chunk
                    if len(received) > max_bytes:
                        raise OutcomeUnknown(f"{provider}'s answer is longer than {max_bytes} bytes.")
                return response.status_code, bytes(received)
            finally:
                response.close()
    except _NEVER_SENT as error:
        raise ProviderNotContacted(f"{provider} could not be reached: {type(error).__name__}.") from error
    except httpx2.HTTPError as error:
        raise OutcomeUnknown(f"{provider}'s answer was lost: {type(error).__name__}.") from error


def _left(timeout: float | None, late: type[Exception]) -> float | None:
    """``timeout`` or the time left until the deadline, whichever is less; raises ``late`` after the deadline."""
    at = _deadline.get()
    if at is None:
        return timeout
    left = at - time.monotonic()
    if left <= 0:
        raise late("the deadline has passed")
    return left if timeout is None else min(timeout, left)


class _DeadlineBackend(httpcore2.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        timeout = _left(timeout, httpcore2.ConnectTimeout)
        return _DeadlineStream(super().connect_tcp(host, port, timeout, local_address, socket_options))


class _DeadlineStream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        timeout = _left(timeout, httpcore2.ConnectTimeout)
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
