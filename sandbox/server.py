"""HTTP/1.1 server for the WSGI application: the standard library's, with a thread per request and short log lines."""

from __future__ import annotations

import socket
import socketserver
import sys
from datetime import UTC, datetime
from typing import IO, Any, cast
from wsgiref.headers import Headers
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer
from wsgiref.types import WSGIApplication, WSGIEnvironment


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread per request; shutdown does not wait for slow requests."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def server_bind(self) -> None:
        """Bind without the reverse DNS lookup of the host name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do not log clients that disconnected."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Server6(Server):
    """The server for IPv6 addresses such as ``::1``."""

    address_family = socket.AF_INET6


class Exchange(ServerHandler):
    """HTTP/1.1 with one request per connection."""

    http_version = "1.1"
    headers: Headers | None
    status: str | None
    environ: WSGIEnvironment | None
    server_software = "sandbox"

    def cleanup_headers(self) -> None:
        """Add ``Connection: close``, which WSGI applications may not set."""
        super().cleanup_headers()
        if self.headers is not None:
            self.headers["Connection"] = "close"

    def close(self) -> None:
        """Log one line per request, without query, headers and body, which may contain secrets."""
        if self.status is not None and self.environ is not None:
            path = str(self.environ["PATH_INFO"]).encode("unicode_escape").decode()
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            print(now, self.environ["REQUEST_METHOD"], path, self.status.split(" ", 1)[0], file=sys.stderr, flush=True)
        # Skip ServerHandler.close(), which logs a line of its own.
        super(ServerHandler, self).close()


class RequestHandler(WSGIRequestHandler):
    """Reads one request and passes it to the application."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    error_message_format = '{"error": {"code": "bad_request", "message": "HTTP error %(code)d"}}'
    error_content_type = "application/json"

    def handle(self) -> None:
        """Like the base class, but with ``Exchange``, for which there is no other hook."""
        self.raw_requestline = self.rfile.readline(65537)
        if len(self.raw_requestline) > 65536:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
        elif self.parse_request():
            streams = cast("IO[bytes]", self.rfile), cast("IO[bytes]", self.wfile)
            exchange = Exchange(*streams, self.get_stderr(), self.get_environ(), multithread=True)
            exchange.run(cast("WSGIApplication", cast("Server", self.server).get_app()))

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: ``Exchange`` logs requests, and malformed ones are not logged."""


def listen(host: str, port: int) -> Server:
    """A bound server without an application. Raises ``OSError`` if the address is in use."""
    return (Server6 if ":" in host else Server)((host, port), RequestHandler)
