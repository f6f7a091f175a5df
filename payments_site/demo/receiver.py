"""A merchant's receiver of webhooks: verifies each with the public library and handles each event once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook

MAX_BYTES = 1024 * 1024


class Receiver:
    """An HTTP server on loopback; ``events`` holds what it received, by id, in the order of arrival."""

    def __init__(self, *, port: int, secret: str) -> None:
        self.url = f"http://127.0.0.1:{port}/webhooks"
        self.secret = secret
        self.events: dict[str, dict[str, Any]] = {}
        self.refused = 0
        """Requests whose signature did not verify."""
        self.on_event: Callable[[dict[str, Any]], None] = lambda event: None
        """Called once for each event."""
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.receiver = self

    def start(self) -> None:
        """Serve in a thread of its own."""
        threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True).start()

    def stop(self) -> None:
        """Close the port. Safe to call twice."""
        self._server.shutdown()
        self._server.server_close()

    def receive(self, headers: dict[str, str], body: bytes) -> int:
        """The status that a request is answered with."""
        try:
            event = Webhook(self.secret).verify(body, headers)
        except Exception:  # the library raises several kinds for malformed headers
            with self._lock:
                self.refused += 1
            return 401
        with self._lock:
            if event["id"] not in self.events:  # a delivery may be repeated
                self.events[event["id"]] = event
                self.on_event(event)
        return 204


def describe(event: dict[str, Any]) -> str:
    """One line about an event."""
    return f"{event['type']:24} {event['data']['object']['id']}  {event['id']}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        body = self.rfile.read(int(length)) if length.isdigit() and int(length) <= MAX_BYTES else b""
        self.send_response(self.server.receiver.receive(dict(self.headers.items()), body))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: ``on_event`` tells what matters."""
