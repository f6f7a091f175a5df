import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from payments_site.embedded.postgres import EmbeddedPostgres
from payments_site.embedded.process import (
    EmbeddedError,
    ManagedProcess,
    free_port,
    process_started,
    stop_recorded,
)

CLONE = Path(__file__).resolve().parents[2]


def start_sleeper(folder: Path, name: str = "sleeper") -> ManagedProcess:
    return ManagedProcess.start(name, ["sleep", "60"], run_dir=folder, log=folder / "log")


def gone_within(seconds: float, *pids: int) -> bool:
    deadline = time.monotonic() + seconds
    while any(process_started(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def written(file: Path) -> str:
    deadline = time.monotonic() + 120
    while not (file.exists() and file.read_text().endswith("\n")):
        assert time.monotonic() < deadline, f"{file} was never written"
        time.sleep(0.02)
    return file.read_text()


def test_a_started_process_leads_its_own_session_and_is_recorded(tmp_path: Path) -> None:
    process = start_sleeper(tmp_path)

    record = json.loads((tmp_path / "sleeper.pid").read_text())

    assert os.getsid(process.pid) == process.pid
    assert record == {
        "name": "sleeper",
        "pid": process.pid,
        "started": process_started(process.pid),
        "signal": signal.SIGTERM,
    }
    process.stop()


def test_stop_ends_the_process_and_removes_its_pid_file(tmp_path: Path) -> None:
    process = start_sleeper(tmp_path)

    process.stop()

    assert process.poll() == -signal.SIGTERM
    assert list(tmp_path.iterdir()) == [tmp_path / "log"]


def test_stop_kills_a_process_that_ignores_the_signal(tmp_path: Path) -> None:
    script = "trap '' TERM; echo deaf; while :; do sleep 1; done"
    process = ManagedProcess.start("deaf", ["sh", "-c", script], run_dir=tmp_path, log=tmp_path / "log")
    written(tmp_path / "log")

    process.stop(timeout=0.2)

    assert process.poll() == -signal.SIGKILL


def test_stop_takes_the_children_of_the_process_along(tmp_path: Path) -> None:
    process = ManagedProcess.start(
        "tree", ["sh", "-c", "sleep 60 & echo $!; wait"], run_dir=tmp_path, log=tmp_path / "log"
    )
    grandchild = int(written(tmp_path / "log"))

    process.stop()

    assert gone_within(60, grandchild)


def test_a_second_process_of_the_same_name_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    first = start_sleeper(tmp_path)

    with pytest.raises(EmbeddedError, match=f"^sleeper already runs as pid {first.pid} "):
        start_sleeper(tmp_path)

    first.stop()


def test_a_program_that_does_not_exist_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"^nothing cannot be started: .*'/no/such/program'$"):
        ManagedProcess.start("nothing", ["/no/such/program"], run_dir=tmp_path, log=tmp_path / "log")


def test_a_log_is_readable_by_its_user_only(tmp_path: Path) -> None:
    process = start_sleeper(tmp_path)

    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600
    process.stop()


def test_a_process_that_dies_before_it_is_ready_shows_its_own_log_lines_only(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("an earlier run\n")
    process = ManagedProcess.start("broken", ["sh", "-c", "echo no disk >&2; exit 3"], run_dir=tmp_path, log=log)

    with pytest.raises(EmbeddedError) as caught:
        process.wait_ready(lambda: False, timeout=120)

    assert str(caught.value) == (f"broken ended with exit code 3 before it was ready. Last lines of {log}:\n  no disk")
    assert not (tmp_path / "broken.pid").exists()


def test_a_process_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    process = start_sleeper(tmp_path)

    with pytest.raises(EmbeddedError, match=r"^sleeper was not ready after 0\.1 s\."):
        process.wait_ready(lambda: False, timeout=0.1)

    assert process.poll() == -signal.SIGTERM


def test_stop_recorded_stops_everything_last_started_first(tmp_path: Path) -> None:
    processes = []
    for name in ("b-first", "c-second", "a-third"):
        processes.append(start_sleeper(tmp_path, name))
        time.sleep(0.02)

    stopped = stop_recorded(tmp_path)

    assert stopped == ["a-third", "c-second", "b-first"]
    assert [process.poll() for process in processes] == [-signal.SIGTERM] * 3
    assert list(tmp_path.glob("*.pid")) == []


def test_stop_recorded_kills_a_deaf_process_and_its_children(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 60 & echo $!; while :; do wait; done"
    process = ManagedProcess.start("deaf", ["sh", "-c", script], run_dir=tmp_path, log=tmp_path / "log")
    grandchild = int(written(tmp_path / "log"))

    stopped = stop_recorded(tmp_path, timeout=0.2)

    assert stopped == ["deaf"]
    assert process.poll() == -signal.SIGKILL
    assert gone_within(60, grandchild)


def test_a_pid_that_now_belongs_to_another_process_is_never_touched(tmp_path: Path) -> None:
    stranger = start_sleeper(tmp_path)
    pid_file = tmp_path / "sleeper.pid"
    pid_file.write_text(json.dumps(json.loads(pid_file.read_text()) | {"started": "1"}))

    stopped = stop_recorded(tmp_path)

    assert stopped == []
    assert stranger.poll() is None
    assert not pid_file.exists()
    stranger.stop()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": "x", "pid": 4194303, "started": null, "signal": 15}'])
def test_a_pid_file_that_means_nothing_is_removed(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.pid").write_text(content)

    stopped = stop_recorded(tmp_path)

    assert stopped == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_has_nothing_to_stop(tmp_path: Path) -> None:
    assert stop_recorded(tmp_path / "missing") == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children when their parent is killed")
def test_killing_the_parent_leaves_no_child(tmp_path: Path) -> None:
    """With both servers, because PostgreSQL may run as another user than the parent."""
    script = f"""
import json, time
from pathlib import Path
from payments_site.embedded.postgres import EmbeddedPostgres
from payments_site.embedded.process import ManagedProcess
from payments_site.embedded.redis import EmbeddedRedis
folder = Path({str(tmp_path)!r})
postgres = EmbeddedPostgres(folder / "postgres", run_dir=folder / "run", durable=False)
redis = EmbeddedRedis(folder / "redis", run_dir=folder / "run")
postgres.start()
redis.start()
sleeper = ManagedProcess.start("sleeper", ["sleep", "60"], run_dir=folder / "run", log=folder / "log")
print(json.dumps([postgres.pid, redis.pid, sleeper.pid]), flush=True)
time.sleep(60)
"""
    with (tmp_path / "pids").open("wb") as output:
        parent = subprocess.Popen([sys.executable, "-c", script], cwd=CLONE, stdout=output)
    pids = json.loads(written(tmp_path / "pids"))
    assert all(process_started(pid) for pid in pids)

    parent.kill()
    parent.wait()

    assert gone_within(60, *pids)
    EmbeddedPostgres(tmp_path / "postgres", run_dir=tmp_path / "run").remove()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows a parent-death signal")
def test_die_with_parent_signals_at_once_when_the_parent_is_already_another() -> None:
    script = "from payments_site.embedded.process import die_with_parent; die_with_parent(parent=1 << 22)"

    ended = subprocess.run([sys.executable, "-c", script], cwd=CLONE, check=False)

    assert ended.returncode == -signal.SIGTERM


def test_a_free_port_can_be_bound() -> None:
    port = free_port()

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
