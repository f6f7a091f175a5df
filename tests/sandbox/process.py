"""The real simulator process and a small real receiver of webhooks, for the tests beside this file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2

from tests.ports import hold_port

ROOT = Path(__file__).parents[2]


def wait_for(condition: Callable[[], Any], seconds: float = 120.0) -> Any:
    """The first true result of ``condition``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


class Simulator:
    """``python -m sandbox`` on a free port; stop and start it again on the same data and port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = hold_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log.txt"
        self.client = httpx2.Client(base_url=self.url, timeout=60, trust_env=False)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "sandbox", "--port", str(self.port), "--data", str(self.folder / "data")]
        env = {"PATH": os.environ["PATH"], "SANDBOX_RETRY_DELAY": "0.1"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        wait_for(self._is_up)

    def stop(self) -> tuple[int, float]:
        """End it as an operator would; return its exit code and how long that took."""
        assert self.process is not None
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=120)
        self.process = None
        return code, time.monotonic() - begun

    def _is_up(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log.read_text()
        try:
            return self.client.get("/_sim/health").status_code == 200
        except httpx2.HTTPError:
            return False


class Receiver:
    """An integrator's webhook endpoint that remembers (path, headers, raw body) and answers as it is told."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, Any]] = []
        self.default: tuple[int, Any] = (200, {"mensaje": "confirmar"})
        self.delay = 0.0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                time.sleep(receiver.delay)
                status, content = receiver.answers.pop(0) if receiver.answers else receiver.default
                raw = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def bodies(self, kind: str = "") -> list[bytes]:
        """Raw bodies so far, of Conekta events only those of ``kind`` if it is given."""
        return [body for _, _, body in self.received if not kind or json.loads(body).get("type") == kind]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
