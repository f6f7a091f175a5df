"""The demo's child processes: a private PostgreSQL and Redis, web, worker and the provider simulators."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from payments_site.demo.receiver import Receiver
from payments_site.embedded.postgres import APP, OWNER, EmbeddedPostgres
from payments_site.embedded.process import EmbeddedError, ManagedProcess, free_port, stop_recorded
from payments_site.embedded.redis import EmbeddedRedis

ROOT = Path(__file__).resolve().parent.parent.parent
DATABASE = "payments"
RECEIVER = "receiver of the demo"
"""Description of its webhook endpoint."""
STARTS_WITHIN = 30.0
"""Seconds a process may take to become ready."""

Step = Callable[[str, Callable[[], Any]], Any]


class House:
    """All processes of one demo; the data persists in ``var/``."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.run_dir = var / "run"
        self.logs = var / "log"
        self.signing_keys = var / "stp-keys"
        for folder in (var, self.run_dir, self.logs, self.signing_keys):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _lock(var / "demo.lock")
        stop_recorded(self.run_dir)
        self.secrets = _load_secrets(var / "secrets.json")
        self.postgres = EmbeddedPostgres(var / "postgres", run_dir=self.run_dir)
        self.redis = EmbeddedRedis(var / "redis", run_dir=self.run_dir)
        self.processes: list[ManagedProcess] = []
        self.base_url = ""
        self.sandbox_url = ""
        self.api_key = ""
        self._receiver: Receiver | None = None

    def start(self, step: Step, *, port: int | None) -> Receiver:
        """Start everything in order, each as one ``step``; raises ``EmbeddedError`` naming what failed and why.

        Returns the merchant's receiver of webhooks.
        """
        web_port = port or self._port("web")
        sandbox_port = self._port("sandbox")
        self.base_url = f"http://127.0.0.1:{web_port}"
        self.sandbox_url = f"http://127.0.0.1:{sandbox_port}"
        step("PostgreSQL", self._start_postgres)
        step("Redis", lambda: self.redis.start())
        step("release: migrations and rights", self._release)
        step("provider simulators (STP, Conekta)", lambda: self._start_sandbox(sandbox_port))
        step("merchant, API key, staff users, STP's signing key", self._seed)
        step("web (gunicorn) and worker", lambda: self._start_web_and_worker(web_port))
        receiver: Receiver = step("the merchant's receiver of webhooks", self._start_receiver)
        self._write_files()
        return receiver

    def stop(self) -> None:
        """Stop every child, the last started first. Safe to call twice."""
        if self._receiver is not None:
            self._receiver.stop()
        for process in reversed(self.processes):
            process.stop()
        self.processes.clear()
        self.redis.stop()
        self.postgres.stop()

    def dead_process(self) -> ManagedProcess | None:
        """A child that exited by itself, or None."""
        return next((process for process in self.processes if process.poll() is not None), None)

    def manage(self, *arguments: str, stdin: str = "") -> str:
        """Run ``manage.py`` and return its output; ``EmbeddedError`` with the last lines if it fails."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environ(),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
            raise EmbeddedError(f"manage.py {arguments[0]} failed:\n{tail}")
        return done.stdout

    def environ(self, *, as_owner: bool = False, signs: bool = False) -> dict[str, str]:
        """The environment of the child processes. Only the release gets the owner's database URL, only the worker
        the key that signs orders to STP.
        """
        found = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV")
        }
        found |= {
            "DJANGO_SETTINGS_MODULE": "payments_site.settings.development",
            "SECRET_KEY": self.secrets["secret_key"],
            "FIELD_ENCRYPTION_KEYS": self.secrets["field_encryption_key"],
            "BASE_URL": self.base_url,
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "MEDIA_ROOT": str(self.var / "media"),
            "DATABASE_URL": self.postgres.url(APP, DATABASE),
            "REDIS_URL": self.redis.url,
            "SANDBOX_URL": self.sandbox_url,
            "WEBHOOK_ALLOW_HTTP": "1",
            "WEB_BIND": self.base_url.removeprefix("http://"),
            "PYTHONUNBUFFERED": "1",
        }
        if as_owner:
            found["RELEASE_DATABASE_URL"] = self.postgres.url(OWNER, DATABASE)
        if signs:
            found["STP_SIGNING_KEYS"] = str(self.signing_keys)
        return found

    def _start_postgres(self) -> None:
        self.postgres.start()
        self.postgres.ensure_database(DATABASE)

    def _release(self) -> None:
        self._child("release", ["manage.py", "release"], as_owner=True).wait_done(120)

    def _start_sandbox(self, port: int) -> None:
        sandbox = self._child("sandbox", ["-m", "sandbox", "--port", str(port), "--data", str(self.var / "sandbox")])
        self.processes.append(sandbox)
        sandbox.wait_ready(lambda: _answers(f"{self.sandbox_url}/_sim/health"), STARTS_WITHIN)

    def _seed(self) -> None:
        wishes = {
            name: self.secrets[name]
            for name in (
                "api_key",
                "admin_user",
                "admin_password",
                "approver_user",
                "approver_password",
                "conekta_api_key",
                "stp_username",
                "stp_secret",
                "clabe_prefix",
            )
        }
        answer = json.loads(self.manage("seed_demo", stdin=json.dumps(wishes | {"sandbox_url": self.sandbox_url})))
        self.api_key = self.secrets["api_key"] = answer["api_key"]
        _write_private(self.var / "secrets.json", self.secrets)
        self._tell_providers(public_key=_key_pair(self.signing_keys / f"{answer['stp_account']}.pem"))

    def _tell_providers(self, *, public_key: str) -> None:
        """Register our webhook URLs: STP out of band, with our public key; Conekta through its API."""
        user, secret = quote(self.secrets["stp_username"]), quote(self.secrets["stp_secret"])
        ours = self.base_url.removeprefix("http://")
        wanted = f"{self.base_url}/webhooks/conekta"
        with httpx2.Client(base_url=self.sandbox_url, trust_env=False, timeout=10) as client:
            client.put(
                "/_sim/stp/config",
                json={
                    "empresa": "EMPRESA_DEMO",
                    "public_key": public_key,
                    "deposits_url": f"http://{user}:{secret}@{ours}/webhooks/stp/deposits",
                    "orders_url": f"http://{user}:{secret}@{ours}/webhooks/stp/orders",
                    "clabe_prefix": self.secrets["clabe_prefix"],
                },
            ).raise_for_status()
            client.headers["Authorization"] = f"Bearer {self.secrets['conekta_api_key']}"
            known = client.get("/conekta/webhooks").raise_for_status().json()["data"]
            if known:
                client.put(f"/conekta/webhooks/{known[0]['id']}", json={"url": wanted}).raise_for_status()
            else:
                events = ["charge.paid", "order.paid", "order.expired", "order.canceled"]
                client.post("/conekta/webhooks", json={"url": wanted, "subscribed_events": events}).raise_for_status()

    def _start_web_and_worker(self, port: int) -> None:
        if not _is_free(port):
            raise EmbeddedError(f"Port {port} is taken; choose another one: make demo PORT=…")
        web = self._child("web", ["-m", "gunicorn", "-c", "payments_site/gunicorn.conf.py", "payments_site.wsgi"])
        self.processes.append(web)
        self.processes.append(self._child("worker", ["manage.py", "worker", "--grace", "3"], signs=True))
        web.wait_ready(lambda: _answers(f"{self.base_url}/readyz"), STARTS_WITHIN)
        worker_log = self.logs / "worker.log"
        self.processes[-1].wait_ready(lambda: b"worker: ready" in worker_log.read_bytes(), STARTS_WITHIN)

    def _start_receiver(self) -> Receiver:
        """Start the receiver and register it as a webhook endpoint, as a merchant does: over the API."""
        receiver = self._receiver = Receiver(port=self._port("receiver"), secret=self.secrets["webhook_secret"])
        receiver.start()
        headers = {"Authorization": f"Bearer {self.api_key}"}
        with httpx2.Client(base_url=self.base_url, headers=headers, trust_env=False, timeout=15) as client:
            known = client.get("/v1/webhook-endpoints?limit=100").raise_for_status().json()["data"]
            ours = next((each["id"] for each in known if each["description"] == RECEIVER), None)
            wanted = {"url": receiver.url, "events": ["*"], "description": RECEIVER}
            if ours is None:
                made = client.post("/v1/webhook-endpoints", json={**wanted, "secret": receiver.secret})
            else:
                made = client.patch(f"/v1/webhook-endpoints/{ours}", json={**wanted, "status": "active"})
            if made.is_error:
                raise EmbeddedError(f"The webhook endpoint was not registered: {made.text}")
        return receiver

    def _child(self, name: str, arguments: list[str], *, as_owner: bool = False, signs: bool = False) -> ManagedProcess:
        log = self.logs / f"{name}.log"
        log.unlink(missing_ok=True)
        return ManagedProcess.start(
            name,
            [sys.executable, *arguments],
            run_dir=self.run_dir,
            log=log,
            env=self.environ(as_owner=as_owner, signs=signs),
            cwd=ROOT,
        )

    def _write_files(self) -> None:
        """Write the demo's addresses and credentials to ``var/demo.json``, and ``var/demo.env`` for manage.py."""
        _write_private(
            self.var / "demo.json",
            {
                "base_url": self.base_url,
                "sandbox_url": self.sandbox_url,
                "api_key": self.api_key,
                "admin_url": f"{self.base_url}/admin/",
                "admin_user": self.secrets["admin_user"],
                "admin_password": self.secrets["admin_password"],
                "approver_user": self.secrets["approver_user"],
                "approver_password": self.secrets["approver_password"],
                "database_url": self.postgres.url(APP, DATABASE),
                "owner_database_url": self.postgres.url(OWNER, DATABASE),
            },
        )
        ours = {name: value for name, value in self.environ(as_owner=True).items() if name not in os.environ}
        _write_private(self.var / "demo.env", "".join(f"export {name}='{value}'\n" for name, value in ours.items()))

    def _port(self, name: str) -> int:
        """The port this process used last time if it is free, else any free one."""
        ports = self.var / "ports.json"
        known: dict[str, int] = json.loads(ports.read_text()) if ports.exists() else {}
        if name not in known or not _is_free(known[name]):
            known[name] = free_port()
            ports.write_text(json.dumps(known))
        return known[name]


def wait_until_unused(var: Path, *, seconds: float) -> bool:
    """Wait until no demo of this clone runs; False after ``seconds``. A demo ends when its processes are stopped."""
    until = time.monotonic() + seconds
    while (var / "demo.lock").exists():
        try:
            os.close(_lock(var / "demo.lock"))
        except EmbeddedError:
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        else:
            break
    return True


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise EmbeddedError("A demo of this clone is already running; stop it first (make clean stops it).") from None
    return descriptor


def _load_secrets(path: Path) -> dict[str, str]:
    known = json.loads(path.read_text()) if path.exists() else {}
    fresh = {
        "secret_key": secrets.token_urlsafe(48),
        "field_encryption_key": Fernet.generate_key().decode(),
        "admin_user": "ana",
        "admin_password": secrets.token_urlsafe(12),
        "approver_user": "beto",
        "approver_password": secrets.token_urlsafe(12),
        "conekta_api_key": f"key_{secrets.token_hex(16)}",
        "stp_username": "stp",
        "stp_secret": secrets.token_urlsafe(24),
        "clabe_prefix": "6461801570",
        "webhook_secret": f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "api_key": "",
    }
    found = fresh | known
    _write_private(path, found)
    return found


def _key_pair(path: Path) -> str:
    """The private key at ``path``, made if there is none; returns its public key as PEM."""
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        _write_private(path, key.private_bytes(*form).decode())
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode()


def _write_private(path: Path, content: dict[str, str] | str) -> None:
    text = content if isinstance(content, str) else json.dumps(content, indent=2) + "\n"
    unfinished = path.with_suffix(".new")
    with suppress(FileNotFoundError):
        unfinished.unlink()
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    unfinished.replace(path)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, trust_env=False, timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
