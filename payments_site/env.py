"""Reads environment variables: the only module that does. Errors name the variable."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

Environ = Mapping[str, str]


class EnvironmentVariableError(Exception):
    """An environment variable is missing or invalid; the message says what it should hold."""


@dataclass(frozen=True, slots=True)
class Site:
    """Addresses, secrets and folders of the site."""

    secret_key: str = field(repr=False)
    allowed_hosts: tuple[str, ...]
    base_url: str
    trusted_proxies: int
    media_root: Path
    metrics_token: str = field(repr=False)

    @classmethod
    def from_env(cls, environ: Environ = os.environ) -> Site:
        """Raises ``EnvironmentVariableError``."""
        base_url = required(environ, "BASE_URL", "the address merchants and payers use, e.g. https://pay.example.mx")
        if not base_url.startswith(("http://", "https://")):
            raise EnvironmentVariableError("BASE_URL must begin with http:// or https://")
        return cls(
            secret_key=required(environ, "SECRET_KEY", "a random text of at least 50 characters"),
            allowed_hosts=words(environ, "ALLOWED_HOSTS"),
            base_url=base_url.rstrip("/"),
            trusted_proxies=number(environ, "TRUSTED_PROXIES", 0),
            media_root=Path(required(environ, "MEDIA_ROOT", "a private folder for KYC documents")),
            metrics_token=environ.get("METRICS_TOKEN", "").strip(),
        )


@dataclass(frozen=True, slots=True)
class Database:
    """PostgreSQL: as the application (``url``) and, for releases, as the schema's owner (``owner_url``)."""

    url: str = field(repr=False)
    owner_url: str | None = field(repr=False)
    pool_size: int
    """Connections per process."""
    web_instances: int
    worker_instances: int
    """How many gunicorns and workers share the database."""

    @classmethod
    def from_env(cls, environ: Environ = os.environ) -> Database:
        """Raises ``EnvironmentVariableError``."""
        url = required(environ, "DATABASE_URL", "postgresql://payments_app:…@host:5432/payments")
        owner_url = environ.get("RELEASE_DATABASE_URL") or None
        for name, value in (("DATABASE_URL", url), ("RELEASE_DATABASE_URL", owner_url)):
            if value is not None:
                connection_parameters(name, value)
        return cls(
            url,
            owner_url,
            pool_size=number(environ, "DATABASE_POOL_SIZE", 4, least=1),
            web_instances=number(environ, "WEB_INSTANCES", 1),
            worker_instances=number(environ, "WORKER_INSTANCES", 1),
        )


@dataclass(frozen=True, slots=True)
class Redis:
    """Counters of sign-in and request limits; no money depends on it."""

    url: str = field(repr=False)

    @classmethod
    def from_env(cls, environ: Environ = os.environ) -> Redis:
        """Raises ``EnvironmentVariableError``."""
        return cls(required(environ, "REDIS_URL", "redis://:password@host:6379/0"))


@dataclass(frozen=True, slots=True)
class Signing:
    """Folder with the STP signing keys (``<account id>.pem``) and their password; for the worker only."""

    stp_keys: Path | None
    stp_password: str = field(repr=False)

    @classmethod
    def from_env(cls, environ: Environ = os.environ) -> Signing:
        """Both are optional: without a key STP is not called."""
        folder = environ.get("STP_SIGNING_KEYS", "").strip()
        return cls(Path(folder) if folder else None, environ.get("STP_SIGNING_PASSWORD", "").strip())


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Requests per API key: ``100/s`` (or ``m``, ``h``, ``d``); ``600/10m`` is 600 in ten minutes."""

    read: str
    write: str
    test: str

    @classmethod
    def from_env(cls, environ: Environ = os.environ) -> RateLimits:
        """Raises ``EnvironmentVariableError``."""
        return cls(
            read=rate(environ, "RATE_LIMIT_READ", "100/s"),
            write=rate(environ, "RATE_LIMIT_WRITE", "50/s"),
            test=rate(environ, "RATE_LIMIT_TEST", "20/s"),
        )


@dataclass(frozen=True, slots=True)
class Encryption:
    """Keys of encrypted columns: the first encrypts, all decrypt."""

    keys: tuple[str, ...] = field(repr=False)

    @classmethod
    def from_env(cls, environ: Environ = os.environ) -> Encryption:
        """Raises ``EnvironmentVariableError``."""
        required(environ, "FIELD_ENCRYPTION_KEYS", "one or more Fernet keys, separated by commas, the newest first")
        return cls(words(environ, "FIELD_ENCRYPTION_KEYS"))


@dataclass(frozen=True, slots=True)
class Web:
    """The web server's size."""

    bind: str
    workers: int
    connections: int
    """Client connections per process. When all are taken, one that waits for its client is closed."""
    connections_per_address: int
    """Unfinished bodies and unread answers per address and process; beyond it the oldest is closed."""
    trusted_proxies: int
    """As in ``Site``: gunicorn needs it before the settings are loaded."""

    @classmethod
    def from_env(cls, environ: Environ = os.environ) -> Web:
        """Raises ``EnvironmentVariableError``."""
        return cls(
            bind=environ.get("WEB_BIND", "").strip() or "127.0.0.1:8000",
            workers=number(environ, "WEB_CONCURRENCY", 2, least=1),
            connections=number(environ, "WEB_CONNECTIONS", 500, least=2),
            connections_per_address=number(environ, "WEB_CONNECTIONS_PER_ADDRESS", 100, least=1),
            trusted_proxies=number(environ, "TRUSTED_PROXIES", 0),
        )


@dataclass(frozen=True, slots=True)
class Mail:
    """The mail server and the sender's address. Without a server no messages are sent, only logged."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    tls: bool
    """Whether the connection is encrypted: STARTTLS, or from the start on port 465."""
    sender: str

    @classmethod
    def from_env(cls, environ: Environ = os.environ) -> Mail:
        """``SMTP_URL``: ``smtp://user:password@host:587``, or ``smtp+insecure://host:25`` without encryption.

        Raises ``EnvironmentVariableError``.
        """
        url = environ.get("SMTP_URL", "").strip()
        try:
            parts = urlsplit(url)
            port = parts.port or 587
        except ValueError:
            parts, port = urlsplit("invalid:"), 0
        if url and (parts.scheme not in ("smtp", "smtp+insecure") or not parts.hostname):
            raise EnvironmentVariableError("SMTP_URL must look like smtp://user:password@host:587")
        sender = environ.get("MAIL_FROM", "").strip()
        if url and "@" not in sender:
            raise EnvironmentVariableError("MAIL_FROM must be the sender's e-mail address, because SMTP_URL is set")
        return cls(
            host=parts.hostname or "",
            port=port,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            tls=parts.scheme == "smtp",
            sender=sender,
        )


LANES = {"money": 2, "providers": 4, "deliver": 4, "slow": 2}
"""The worker's lanes (``core.jobs.Lane``) and their default concurrency."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Concurrent jobs of one worker, by lane."""

    concurrency: Mapping[str, int]

    @classmethod
    def from_env(cls, environ: Environ = os.environ) -> Worker:
        """``WORKER_CONCURRENCY``: ``money=2,slow=1``; other lanes keep their default.

        Raises ``EnvironmentVariableError``.
        """
        given = dict(LANES)
        for word in words(environ, "WORKER_CONCURRENCY"):
            lane, _, jobs = word.partition("=")
            if lane not in LANES or not (jobs.isascii() and jobs.isdigit()) or int(jobs) < 1:
                raise EnvironmentVariableError(
                    f"WORKER_CONCURRENCY must look like money=2,slow=1, not {word!r}; the lanes are {', '.join(LANES)}"
                )
            given[lane] = int(jobs)
        return cls(given)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """URL of the provider simulators, which allow test payments to be paid over the API; "" if there are none."""

    url: str

    @classmethod
    def from_env(cls, environ: Environ = os.environ) -> Sandbox:
        """Raises ``EnvironmentVariableError``."""
        url = environ.get("SANDBOX_URL", "").strip()
        if url and not url.startswith(("http://", "https://")):
            raise EnvironmentVariableError("SANDBOX_URL must begin with http:// or https://")
        return cls(url.rstrip("/"))


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Where merchants may receive webhooks. ``allow_http``: also at http:// URLs, on any port and on this machine."""

    allow_http: bool

    @classmethod
    def from_env(cls, environ: Environ = os.environ) -> Webhooks:
        """Raises ``EnvironmentVariableError``."""
        given = environ.get("WEBHOOK_ALLOW_HTTP", "").strip()
        if given not in ("", "0", "1"):
            raise EnvironmentVariableError(f"WEBHOOK_ALLOW_HTTP must be 0 or 1, not {given!r}")
        return cls(given == "1")


@dataclass(frozen=True, slots=True)
class Demo:
    """Options of ``make demo``: data folder, web port (None: a free one), whether to stop after the report."""

    home: Path
    port: int | None
    once: bool

    @classmethod
    def from_env(cls, environ: Environ = os.environ) -> Demo:
        """Raises ``EnvironmentVariableError``."""
        port = number(environ, "PORT", 0)
        if port > 65535:
            raise EnvironmentVariableError("PORT must be a number from 1 to 65535")
        home = environ.get("DEMO_HOME", "").strip() or Path(__file__).resolve().parent.parent / "var"
        return cls(home=Path(home), port=port or None, once=environ.get("DEMO_ONCE", "") not in ("", "0"))


def required(environ: Environ, name: str, meaning: str) -> str:
    """The variable's value; ``EnvironmentVariableError`` if it is missing or empty."""
    value = environ.get(name, "").strip()
    if not value:
        raise EnvironmentVariableError(f"{name} is not set: it should hold {meaning}")
    return value


def number(environ: Environ, name: str, default: int, *, least: int = 0) -> int:
    """An integer of at least ``least``."""
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or int(text) < least:
        raise EnvironmentVariableError(
            f"{name} must be a whole number{f' from {least}' if least else ''}, not {text!r}"
        )
    return int(text)


def rate(environ: Environ, name: str, default: str) -> str:
    """A rate in django-ratelimit's notation."""
    text = environ.get(name, "").strip() or default
    if not re.fullmatch(r"[1-9][0-9]{0,8}/([1-9][0-9]{0,4})?[smhd]", text):
        raise EnvironmentVariableError(f"{name} must look like 100/s or 600/10m, not {text!r}")
    return text


def words(environ: Environ, name: str) -> tuple[str, ...]:
    """A comma-separated list."""
    return tuple(word for part in environ.get(name, "").split(",") if (word := part.strip()))


def connection_parameters(name: str, url: str) -> dict[str, Any]:
    """host, port, user, password and dbname of the PostgreSQL URL in variable ``name``."""
    from psycopg.conninfo import conninfo_to_dict  # imported late: halves the memory of gunicorn's master

    try:
        parts = conninfo_to_dict(url)
    except Exception as error:
        raise EnvironmentVariableError(f"{name} is not a PostgreSQL address") from error
    missing = [part for part in ("host", "user", "dbname") if not parts.get(part)]
    if missing or not url.startswith(("postgresql://", "postgres://")):
        raise EnvironmentVariableError(f"{name} must look like postgresql://user:password@host:port/database")
    return parts
