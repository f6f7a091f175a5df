"""The site as production runs it: gunicorn in a process group of its own, and a client that speaks raw HTTP to it."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from payments_site.embedded.process import free_port

ROOT = Path(__file__).resolve().parent.parent


class Answer:
    """Status, headers (lower case) and body of one answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class Web:
    """gunicorn on a free port; its log is everything it ever wrote."""

    def __init__(self, log: Path, environ: Mapping[str, str]) -> None:
        self.log = log
        self.port = free_port()
        self._environ = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "payments_site.settings.test"}
        self._environ |= environ | {"WEB_BIND": f"127.0.0.1:{self.port}"}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 40.0) -> None:
        """Return once it answers."""
        command = [sys.executable, "-m", "gunicorn", "-c", "payments_site/gunicorn.conf.py", "payments_site.wsgi"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self._environ, stdout=log, stderr=log, start_new_session=True
            )
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self._process.poll() is None, self.log.read_text()
            try:
                if self.get("/healthz").status == 200:
                    return
            except (OSError, HTTPException):
                time.sleep(0.02)
        raise AssertionError(self.log.read_text())

    def kill(self) -> None:
        """SIGKILL for master and workers at once, as when the machine's memory is full."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        self._process = None

    def stop(self) -> None:
        """End it as an operator would; nothing happens if it does not run."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, None, headers)

    def post(self, path: str, body: bytes, **headers: str) -> Answer:
        return self.request("POST", path, body, {"Content-Type": "application/json"} | headers)

    def request(self, method: str, path: str, body: Any, headers: dict[str, str], *, timeout: float = 20.0) -> Answer:
        """One request over a connection of its own. Raises ``OSError`` or ``HTTPException`` if no answer comes."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def raw(self, data: bytes, *, half_close: bool = False) -> bytes:
        """Everything that comes back for bytes that no HTTP library would send."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
            return received


def basic(username: str, secret: str) -> str:
    """The Authorization header of HTTP Basic."""
    return "Basic " + base64.b64encode(f"{username}:{secret}".encode()).decode()
