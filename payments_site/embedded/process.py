"""Child processes with pid files that never outlive their parent."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LOG_TAIL_LINES = 20
_POLL_SECONDS = 0.01

# Resolved at import: a forked child should do as little as possible.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


class EmbeddedError(RuntimeError):
    """An embedded server or child process failed; the message is written for people."""


class ManagedProcess:
    """One child process with a log and a pid file; made by ``start``."""

    def __init__(
        self,
        name: str,
        popen: subprocess.Popen[bytes],
        *,
        pid_file: Path,
        log: Path,
        log_start: int,
        death_signal: signal.Signals,
    ) -> None:
        """Called by ``start`` only. ``log_start`` is the offset in ``log`` where this process's output begins."""
        self.name = name
        self.log = log
        self._popen = popen
        self._pid_file = pid_file
        self._log_start = log_start
        self._death_signal = death_signal
        self._stopped = False

    @classmethod
    def start(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        run_dir: Path,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        user: tuple[int, int] | None = None,
        death_signal: signal.Signals = signal.SIGTERM,
        pass_fds: Sequence[int] = (),
    ) -> ManagedProcess:
        """Start ``argv`` as leader of its own session and record it in ``run_dir/<name>.pid``.

        In its own session, Ctrl-C in the terminal reaches only the supervisor. ``env=None`` inherits the environment.
        ``user`` is the (uid, gid) to switch to, for root only. ``death_signal`` asks the program to exit cleanly:
        ``stop`` sends it, and on Linux the kernel sends it when the parent dies, even by SIGKILL. Output is appended
        to ``log``.

        Linux ties a child to the *thread* that started it: call this from a thread that outlives the child.
        EmbeddedError if a process of this name already runs, or the program cannot be executed.
        """
        run_dir.mkdir(parents=True, exist_ok=True)
        pid_file = run_dir / f"{name}.pid"
        if running := _recorded_pid(pid_file):
            raise EmbeddedError(f"{name} already runs as pid {running} ({pid_file}).")
        uid, gid = user or (None, None)
        # Private from the start: a server's log may quote stored data.
        with open(log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as output:
            log_start = output.tell()
            try:
                popen = subprocess.Popen(  # noqa: S603 - the callers are this site's own code
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=env,
                    cwd=cwd,
                    user=uid,
                    group=gid,
                    extra_groups=None if user is None else [],
                    start_new_session=True,
                    # Runs after the change of user, which would clear the parent-death signal.
                    preexec_fn=_tie_to_parent(os.getpid(), death_signal),  # noqa: PLW1509 - the child only makes two system calls
                    pass_fds=pass_fds,
                )
            except OSError as error:
                raise EmbeddedError(f"{name} cannot be started: {error}") from error
        record = {"name": name, "pid": popen.pid, "started": process_started(popen.pid), "signal": int(death_signal)}
        scratch = pid_file.with_suffix(".tmp")
        scratch.write_text(json.dumps(record))
        scratch.replace(pid_file)
        return cls(name, popen, pid_file=pid_file, log=log, log_start=log_start, death_signal=death_signal)

    @property
    def pid(self) -> int:
        """The process id, which is also the session and process group id."""
        return self._popen.pid

    def poll(self) -> int | None:
        """The exit code (negative for a signal), or None while running."""
        return self._popen.poll()

    def stop(self, timeout: float = 10.0) -> None:
        """Send the death signal, wait up to ``timeout`` seconds, then SIGKILL the process and its group.

        Removes the pid file. Idempotent.
        """
        if self._stopped:
            return
        self._popen.send_signal(self._death_signal)
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout)
        if self.poll() is None:
            self._popen.kill()
            self._popen.wait()
        _kill_group(self.pid)
        self._pid_file.unlink(missing_ok=True)
        self._stopped = True

    def wait_ready(self, check: Callable[[], bool], timeout: float) -> None:
        """Return once ``check()`` is true.

        If the process exits first or ``timeout`` seconds pass, it is stopped and EmbeddedError shows the last lines of
        its log.
        """
        deadline = time.monotonic() + timeout
        while not check():
            if (code := self.poll()) is not None:
                raise self._failure(f"ended with exit code {code} before it was ready")
            if time.monotonic() > deadline:
                raise self._failure(f"was not ready after {timeout:g} s")
            time.sleep(_POLL_SECONDS)

    def wait_done(self, timeout: float) -> None:
        """Return once it has exited with code 0; otherwise fail like ``wait_ready``."""
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self._failure(f"was not done after {timeout:g} s") from None
        if code:
            raise self._failure(f"ended with exit code {code}")
        self.stop()

    def _failure(self, what: str) -> EmbeddedError:
        self.stop()
        with self.log.open("rb") as lines:
            lines.seek(self._log_start)
            tail = lines.read().decode(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        shown = "\n".join(f"  {line}" for line in tail) or "  (nothing)"
        return EmbeddedError(f"{self.name} {what}. Last lines of {self.log}:\n{shown}")


def stop_recorded(run_dir: Path, timeout: float = 10.0) -> list[str]:
    """Stop the processes recorded in ``run_dir``, last started first, and return their names.

    A process is signalled only if both pid and start time match the record, so a reused pid is safe. Each process and
    its group get ``timeout`` seconds before SIGKILL. Every pid file is removed.
    """
    stopped = []
    for pid_file in sorted(run_dir.glob("*.pid"), key=lambda file: file.stat().st_mtime_ns, reverse=True):
        if pid := _recorded_pid(pid_file):
            record = json.loads(pid_file.read_text())
            _end(pid, record["started"], record["signal"], timeout)
            stopped.append(str(record["name"]))
        pid_file.unlink(missing_ok=True)
    return stopped


def process_started(pid: int) -> str | None:
    """The start time of ``pid``, or None if there is no such process or it is a zombie.

    Pid and start time together identify a process. Compare for equality only: clock ticks since boot on Linux (field
    22 of /proc/<pid>/stat, proc(5)), a date elsewhere.
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # Field 2 is the program's name in parentheses, which may contain spaces and parentheses.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    query = ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)]
    answer = subprocess.run(query, capture_output=True, text=True, check=False)  # noqa: S603
    state, _, started = answer.stdout.strip().partition(" ")
    return None if state[:1] in ("", "Z") else started.strip()


def die_with_parent(death_signal: signal.Signals = signal.SIGTERM, *, parent: int | None = None) -> None:
    """Have the kernel send this process ``death_signal`` when its parent dies; a no-op outside Linux.

    ``parent`` is the expected parent pid: if that process has already died, the signal is raised at once.
    """
    if _prctl is None:
        return
    _prctl(_PR_SET_PDEATHSIG, int(death_signal))
    if parent is not None and os.getppid() != parent:
        signal.raise_signal(death_signal)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tie_to_parent(parent: int, death_signal: signal.Signals) -> Callable[[], None]:
    """A ``preexec_fn`` that ties the child to its parent."""

    def tie() -> None:
        die_with_parent(death_signal)
        # If the parent died before the prctl call, the kernel sends no signal.
        if _prctl is not None and os.getppid() != parent:
            os._exit(1)

    return tie


def _recorded_pid(pid_file: Path) -> int | None:
    """The pid recorded in ``pid_file``, if that same process still runs."""
    try:
        record = json.loads(pid_file.read_text())
        pid, started = int(record["pid"]), record["started"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if started is not None and process_started(pid) == started else None


def _end(pid: int, started: str, death_signal: int, timeout: float) -> None:
    """Stop a process, which need not be our child, and its group."""
    with suppress(ProcessLookupError):
        os.kill(pid, death_signal)
    deadline = time.monotonic() + timeout
    while process_started(pid) == started:
        if time.monotonic() > deadline:
            _kill_group(pid, started)
            deadline = float("inf")
        time.sleep(_POLL_SECONDS)
    _kill_group(pid)


def _kill_group(leader: int, started: str | None = None) -> None:
    """SIGKILL the process group of ``leader``, unless that pid was reused.

    ``started`` is the leader's start time, or None if it has exited: the kernel does not reuse its pid while the
    group has members.
    """
    if process_started(leader) == started:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
