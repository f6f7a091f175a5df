"""The site as production runs it, each program in a process group of its own, and a client that speaks raw HTTP."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from payments_site.embedded.process import die_with_parent, process_started
from tests.ports import hold_port

ROOT = Path(__file__).resolve().parent.parent


_PATIENT = "-c statement_timeout=60s -c lock_timeout=60s -c idle_in_transaction_session_timeout=60s -c jit=off"


def patient(database_url: str) -> str:
    """The same database for a site that waits for a minute where production waits for seconds: not busy before that."""
    return f"{database_url}?{urlencode({'connect_timeout': 60, 'options': _PATIENT}, quote_via=quote)}"


class Answer:
    """Status, headers (lower case) and body of one answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class SiteProcess:
    """One of the site's programs in a process group of its own; its log is everything it ever wrote.

    It is started from the thread that may be killed last: on Linux it ends with that thread.
    """

    command: tuple[str, ...]

    def __init__(self, log: Path, environ: Mapping[str, str]) -> None:
        self.log = log
        self._environ = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "payments_site.settings.test"}
        self._environ |= environ
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 300.0) -> None:
        """Return once it is ready."""
        self.launch()
        self.wait_ready(seconds)

    def launch(self) -> None:
        """Start it and do not wait."""
        assert self._process is None, "it runs already"
        parent = os.getpid()
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, *self.command],
                cwd=ROOT,
                env=self._environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(parent=parent),  # noqa: PLW1509
            )

    def wait_ready(self, seconds: float = 300.0) -> None:
        """Return once it does its work; AssertionError with its log if it ends or takes longer."""
        end = time.monotonic() + seconds
        while not self.is_ready():
            assert self.is_running, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    def is_ready(self) -> bool:
        raise NotImplementedError

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process that was started, which leads the group."""
        assert self._process is not None
        return self._process.pid

    def children(self) -> list[int]:
        """Process ids of its children, the oldest first."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(parent) == self.pid and state not in "ZX":
                found.append(int(stat.parent.name))
        return sorted(found)

    def kill(self) -> None:
        """SIGKILL for the whole group at once, as when the machine's memory is full."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._forget()

    def kill_leader(self) -> None:
        """SIGKILL for the process that was started; return when the children it leaves have ended by themselves."""
        children = self.children()
        os.kill(self.pid, signal.SIGKILL)
        end = time.monotonic() + 120
        while any(process_started(child) for child in children):
            assert time.monotonic() < end, f"orphans go on: {children}"
            time.sleep(0.01)
        self._forget()

    def kill_child(self, number: int) -> None:
        """SIGKILL for one of its children; it replaces that itself."""
        children = self.children()
        os.kill(children[number % len(children)], signal.SIGKILL)

    def stop(self) -> None:
        """End it as an operator would; nothing happens if it does not run."""
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        self.kill()

    def _forget(self) -> None:
        assert self._process is not None
        self._process.wait(60)
        self._process = None


class Web(SiteProcess):
    """gunicorn on a port that is its own from the first moment to the last, however often it is killed."""

    command = ("-m", "gunicorn", "-c", "payments_site/gunicorn.conf.py", "payments_site.wsgi")

    def __init__(self, log: Path, environ: Mapping[str, str], *, address: str = "127.0.0.1") -> None:
        self.port = hold_port()
        super().__init__(log, {**environ, "WEB_BIND": f"{address}:{self.port}"})

    def is_ready(self) -> bool:
        try:
            return self.get("/healthz").status == 200
        except (OSError, HTTPException):
            return False

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, None, headers)

    def post(self, path: str, body: bytes, **headers: str) -> Answer:
        return self.request("POST", path, body, {"Content-Type": "application/json"} | headers)

    def request(self, method: str, path: str, body: Any, headers: dict[str, str], *, timeout: float = 120.0) -> Answer:
        """One request over a connection of its own. Raises ``OSError`` or ``HTTPException`` if no answer comes."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def raw(self, data: bytes, *, half_close: bool = False) -> bytes:
        """Everything that comes back for bytes that no HTTP library would send; who is not read to the end is reset."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=120) as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            received = b""
            with suppress(ConnectionResetError):
                while chunk := connection.recv(65536):
                    received += chunk
            return received


class Worker(SiteProcess):
    """``manage.py worker``."""

    command = ("manage.py", "worker", "--grace", "3")

    def is_ready(self) -> bool:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return b"worker: ready" in log.read()


def basic(username: str, secret: str) -> str:
    """The Authorization header of HTTP Basic."""
    return "Basic " + base64.b64encode(f"{username}:{secret}".encode()).decode()
