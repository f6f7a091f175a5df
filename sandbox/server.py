"""HTTP/1.1 around the WSGI application: the standard library's server, one thread per request, quiet log."""

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
    """A thread per request; at the end of the process nobody waits for a slow one."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def server_bind(self) -> None:
        """Bind without the reverse look-up of the host's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about a client that went away."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Server6(Server):
    """For ``--host ::1``."""

    address_family = socket.AF_INET6


class Exchange(ServerHandler):
    """HTTP/1.1 with one exchange per connection."""

    http_version = "1.1"
    headers: Headers | None
    status: str | None
    environ: WSGIEnvironment | None
    server_software = "sandbox"

    def cleanup_headers(self) -> None:
        """Say that the connection ends: the application itself may not."""
        super().cleanup_headers()
        if self.headers is not None:
            self.headers["Connection"] = "close"

    def close(self) -> None:
        """One line per request: no query, no headers, no body, so no secret."""
        if self.status is not None and self.environ is not None:
            path = str(self.environ["PATH_INFO"]).encode("unicode_escape").decode()
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            print(now, self.environ["REQUEST_METHOD"], path, self.status.split(" ", 1)[0], file=sys.stderr, flush=True)
        # Not ServerHandler's, which writes a line of its own.
        super(ServerHandler, self).close()


class RequestHandler(WSGIRequestHandler):
    """Reads one request and hands it to the application."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    error_message_format = '{"error": {"code": "bad_request", "message": "HTTP error %(code)d"}}'
    error_content_type = "application/json"

    def handle(self) -> None:
        """As the base class, with our ``Exchange``, for which there is no other hook."""
        self.raw_requestline = self.rfile.readline(65537)
        if len(self.raw_requestline) > 65536:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
        elif self.parse_request():
            streams = cast("IO[bytes]", self.rfile), cast("IO[bytes]", self.wfile)
            exchange = Exchange(*streams, self.get_stderr(), self.get_environ(), multithread=True)
            exchange.run(cast("WSGIApplication", cast("Server", self.server).get_app()))

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are logged by ``Exchange``; malformed ones are not worth a line."""


def listen(host: str, port: int) -> Server:
    """A bound server without an application yet. Raises OSError if the address is taken."""
    return (Server6 if ":" in host else Server)((host, port), RequestHandler)
