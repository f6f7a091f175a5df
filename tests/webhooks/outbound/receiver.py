"""A merchant's receiver whose answers a test defines, down to the bytes."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable


class Receiver:
    """Takes connections on loopback; reads each request whole and hands the socket to ``answer``."""

    def __init__(self) -> None:
        self.answer: Callable[[socket.socket], None] = says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.tls: ssl.SSLContext | None = None
        self.requests: list[bytes] = []
        self.current: dict[int, bytes] = {}
        """The request that each thread serves."""
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook?shop=7"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self.current[threading.get_ident()] = request = read_request(connection)
            self.requests.append(request)
            self.answer(connection)
        except OSError:
            pass  # the client hung up, as it should
        finally:
            connection.close()


def read_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def says(*parts: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)

    return answer


def repeats(first: bytes, again: bytes, pause: float = 0.0) -> Callable[[socket.socket], None]:
    """For ever, until the client hangs up."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            time.sleep(pause)
            connection.sendall(again)

    return answer


def resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stays_silent(connection: socket.socket) -> None:
    connection.recv(1)
