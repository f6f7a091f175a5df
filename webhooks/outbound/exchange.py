"""One HTTP request to a merchant's endpoint, bounded in time and size, to public addresses only.

httpcore2 speaks HTTP over sockets that this module opens: the name is resolved once, every address is judged, and the
connection goes to a judged address. One deadline bounds the whole exchange; each socket operation gets the time left.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import httpcore2
import httpx2

from webhooks.outbound import address
from webhooks.outbound.address import UrlRefused

MAX_ANSWER_BYTES = 64 * 1024
"""Of an answer with its headers; reading stops there."""
EXCERPT_BYTES = 1024
CONNECT_SECONDS = 5.0
"""For one of several addresses, so that one that does not answer leaves time for the next."""
MAX_ADDRESSES = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. The delivery succeeded if ``error`` is None and ``status`` is 2xx."""

    status: int | None
    """Also set if the answer broke off after its headers."""
    headers: dict[str, str]
    """Lower-case names; repeated headers are joined by commas."""
    excerpt: bytes
    """The first 1,024 bytes of the body, as received."""
    error: str | None
    """None or one of ``timeout``, ``refused_url``, ``refused_address``, ``unresolvable``, ``connection``, ``tls``,
    ``protocol``, ``too_large``."""
    latency_ms: int


class _Failed(Exception):
    """The exchange ended with this ``Answer.error``."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


@dataclass(slots=True)
class _Received:
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    excerpt: bytearray = field(default_factory=bytearray)


def post(url: str, headers: Mapping[str, str], body: bytes, *, deadline: float = 15.0) -> Answer:
    """Post ``body`` and read the answer, all within ``deadline`` seconds. Thread-safe.

    No fault of the network or the receiver raises. Redirects are not followed, cookies not kept, proxies and
    certificates not taken from the environment; each exchange has a connection of its own.
    """
    started = time.monotonic()
    received = _Received()
    error = None
    try:
        _exchange(url, headers, body, started + deadline, received)
    except _Failed as failure:
        error = failure.error
    except httpcore2.RemoteProtocolError:
        error = "protocol"
    return Answer(
        status=received.status,
        headers=received.headers,
        excerpt=bytes(received.excerpt),
        error=error,
        latency_ms=round((time.monotonic() - started) * 1000),
    )


def _exchange(url: str, headers: Mapping[str, str], body: bytes, until: float, received: _Received) -> None:
    """Fill in ``received`` as far as the answer arrives. Raises ``_Failed`` and httpcore's ``RemoteProtocolError``."""
    try:
        target = address.parse(url)
    except UrlRefused:
        raise _Failed("refused_url") from None
    request = httpcore2.Request(
        method="POST",
        url=httpcore2.URL(scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path),
        headers={
            **{name.lower(): value for name, value in headers.items()},
            "host": target.netloc.decode("ascii"),
            "accept-encoding": "identity",
            "connection": "close",
            "content-length": str(len(body)),
        },
        content=body,
    )
    stream = _open(request.url.origin, until)
    with httpcore2.HTTP11Connection(request.url.origin, stream) as connection:
        response = connection.handle_request(request)
        received.status = response.status
        received.headers.update(_joined(response.headers))
        for chunk in response.iter_stream():
            received.excerpt += chunk[: EXCERPT_BYTES - len(received.excerpt)]


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _open(origin: httpcore2.Origin, until: float) -> _Stream:
    """A connection to one of the addresses of ``origin``, all of which are allowed. Raises ``_Failed``."""
    host = origin.host.decode("ascii")
    try:
        addresses = address.allowed(address.resolve(host, _left(until)))
    except UrlRefused as refusal:
        raise _Failed("unresolvable" if refusal.code == "unresolvable" else "refused_address") from None
    except TimeoutError:
        raise _Failed("timeout") from None
    stream = _Stream(_connect_to_one(addresses[:MAX_ADDRESSES], origin.port, until), until)
    if origin.scheme == b"https":
        stream.start_tls(_tls_context(), host)
    return stream


def _connect_to_one(addresses: Sequence[str], port: int, until: float) -> socket.socket:
    *others, last = addresses
    for each in others:
        try:
            return connect(each, port, min(_left(until), CONNECT_SECONDS))
        except OSError:
            continue
    try:
        return connect(last, port, _left(until))
    except OSError as failure:
        raise _Failed(_error(failure)) from failure


def connect(at: str, port: int, seconds: float) -> socket.socket:
    """A TCP connection to the address ``at``. Tests replace this function. Raises ``OSError``."""
    connected = socket.create_connection((at, port), seconds)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


@cache
def _tls_context() -> ssl.SSLContext:
    context = httpx2.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Stream(httpcore2.NetworkStream):
    """A socket with a deadline and a limit on what is read from it; ``timeout`` arguments are ignored."""

    def __init__(self, connected: socket.socket, until: float) -> None:
        self._socket = connected
        self._until = until
        self._allowance = MAX_ANSWER_BYTES
        self._unsent = bytearray()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self._allowance:
            raise _Failed("too_large")
        self._send()
        try:
            self._socket.settimeout(_left(self._until))
            received = self._socket.recv(min(max_bytes, self._allowance))
        except OSError as failure:
            raise _Failed(_error(failure)) from failure
        self._allowance -= len(received)
        return received

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._unsent += buffer  # sent before the answer is read: the request's head and body together

    def _send(self) -> None:
        try:
            while self._unsent:
                self._socket.settimeout(_left(self._until))
                del self._unsent[: self._socket.send(self._unsent)]
        except TimeoutError as failure:
            raise _Failed("timeout") from failure
        except OSError:
            self._unsent.clear()  # the receiver stopped reading, and may have answered before

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        try:
            self._socket.settimeout(_left(self._until))
            self._socket = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
        except (OSError, ValueError) as failure:
            self.close()
            raise _Failed("tls" if isinstance(failure, ValueError) else _error(failure)) from failure
        return self

    def close(self) -> None:
        self._socket.close()


def _left(until: float) -> float:
    """Seconds until the deadline. Raises ``_Failed``."""
    left = until - time.monotonic()
    if left <= 0:
        raise _Failed("timeout")
    return left


def _error(failure: OSError) -> str:
    if isinstance(failure, TimeoutError):
        return "timeout"
    return "tls" if isinstance(failure, ssl.SSLError) else "connection"
