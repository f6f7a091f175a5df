"""Delivery of notices to the integrator: immediate, retried after a failure, and resent on request.

Pending notices are rows in ``job``, so a restart loses none. Each attempt writes a row in ``delivery``. A ``Channel``
per provider builds the request, evaluates the response and sets the retry delays.
"""

from __future__ import annotations

import base64
import sqlite3
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NotRequired, Protocol, TypedDict
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx2

from .errors import Refused
from .storage import Storage
from .world import World

TIMEOUT = 10.0
MAX_PARALLEL = 64
MAX_STORED_BODY = 2000


@dataclass(frozen=True)
class Request:
    """One POST with its final bytes, so that a retry is identical."""

    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """A response. Without one, ``status`` is None and ``body`` says why."""

    status: int | None
    body: str


class Attempt(TypedDict):
    """One delivery attempt, as the control API returns it."""

    at: str
    status: int | None
    body: str
    webhook_id: NotRequired[str]


class Channel(Protocol):
    """A provider's rules for sending notices."""

    tries: int

    def prepare(self, db: sqlite3.Connection, target: str, webhook: str) -> Request | None:
        """The request to send, or None if there is no receiver any more."""

    def settle(self, db: sqlite3.Connection, target: str, answer: Answer) -> bool:
        """Process the response; True if the provider would not retry."""

    def delay(self, tries_done: int) -> float:
        """Seconds until the next attempt."""

    def give_up(self, db: sqlite3.Connection, target: str) -> None:
        """Handle the failure of the last attempt."""


def check_url(url: object, param: str) -> str:
    """Return an absolute http(s) URL. Raises ``Refused`` (422) without quoting it: it may contain a secret."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        valid = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise Refused(422, "invalid_url", f"{param} must be an absolute http or https URL", param=param)
    return str(url)


def without_credentials(url: str) -> tuple[str, dict[str, str]]:
    """Split ``https://user:secret@host/path`` into the URL without credentials and an ``Authorization`` header."""
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    if parts.username is None:
        return bare, {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return bare, {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def attempts(db: sqlite3.Connection, kind: str, target: str) -> list[Attempt]:
    """Delivery attempts of one notice, oldest first."""
    query = "SELECT at, webhook, status, body FROM delivery WHERE kind = ? AND target = ? ORDER BY id"
    return [_attempt(*row) for row in db.execute(query, (kind, target))]


def _attempt(at: float, webhook: str, status: int | None, body: str) -> Attempt:
    stamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    attempt = Attempt(at=stamp, status=status, body=body)
    if webhook:
        attempt["webhook_id"] = webhook
    return attempt


class Delivery:
    """Background sender: one thread that polls for due jobs, and a short-lived thread per attempt."""

    def __init__(self, storage: Storage, world: World) -> None:
        self._storage = storage
        self._world = world
        self._channels: dict[str, Channel] = {}
        self._in_flight: set[int] = set()
        self._slots = threading.Semaphore(MAX_PARALLEL)
        self._wake = threading.Event()
        # No proxies and no keep-alive: a receiver that closes an idle connection would look like a failure.
        limits = httpx2.Limits(max_keepalive_connections=0)
        self._client = httpx2.Client(timeout=TIMEOUT, trust_env=False, limits=limits)

    def register(self, kind: str, channel: Channel) -> None:
        """Use ``channel`` for jobs of ``kind``."""
        self._channels[kind] = channel

    def start(self) -> None:
        """Start sending, including jobs left by an earlier process."""
        threading.Thread(target=self._loop, name="delivery", daemon=True).start()

    def enqueue(self, db: sqlite3.Connection, kind: str, target: str, webhook: str = "", *, after: float = 0.0) -> None:
        """Enqueue a delivery in the transaction of its cause; call ``wake`` after the commit."""
        row = (kind, target, webhook, self._world.now() + after)
        db.execute("INSERT INTO job (kind, target, webhook, due_at) VALUES (?, ?, ?, ?)", row)

    def wake(self) -> None:
        """Poll for due jobs now."""
        self._wake.set()

    def send_now(self, kind: str, target: str, webhook: str = "") -> Attempt | None:
        """Send once and wait for the response. None if there is no receiver."""
        channel = self._channels[kind]
        with self._storage.reading() as db:
            request = channel.prepare(db, target, webhook)
        if request is None:
            return None
        at = self._world.now()
        answer = self._post(request)
        with self._storage.transaction() as db:
            self._record(db, (kind, target, webhook), at, answer)
            if channel.settle(db, target, answer):
                self._drop_retries(db, (kind, target, webhook))
        return _attempt(at, webhook, answer.status, answer.body)

    def _loop(self) -> None:
        while True:
            try:
                wait = self._dispatch()
            except Exception as error:  # the loop must survive any error
                print(f"delivery: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                wait = 1.0
            self._wake.wait(wait)
            self._wake.clear()

    def _dispatch(self) -> float:
        """Start every due job; return the seconds until the next poll."""
        now = self._world.now()
        with self._storage.reading() as db:
            jobs = db.execute("SELECT * FROM job ORDER BY due_at, id LIMIT ?", (4 * MAX_PARALLEL,)).fetchall()
        for job in jobs:
            if job["id"] in self._in_flight:
                continue
            if job["due_at"] > now:
                return min(1.0, float(job["due_at"]) - now)
            self._slots.acquire()
            self._in_flight.add(job["id"])
            threading.Thread(target=self._run, args=(job,), daemon=True).start()
        return 1.0

    def _run(self, job: sqlite3.Row) -> None:
        try:
            self._attempt_job(job)
        except Exception as error:  # the job stays in its table and is retried at the next poll
            print(f"delivery: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            time.sleep(1.0)
        finally:
            self._in_flight.discard(job["id"])
            self._slots.release()
            self._wake.set()

    def _attempt_job(self, job: sqlite3.Row) -> None:
        key = (str(job["kind"]), str(job["target"]), str(job["webhook"]))
        channel = self._channels[key[0]]
        with self._storage.transaction() as db:
            # Since it was selected, its previous thread may have sent it, or a success may have removed it.
            same = "SELECT 1 FROM job WHERE id = ? AND tries = ?"
            if db.execute(same, (job["id"], job["tries"])).fetchone() is None:
                return
            request = channel.prepare(db, key[1], key[2])
            if request is None:
                db.execute("DELETE FROM job WHERE id = ?", (job["id"],))
                return
        at = self._world.now()
        answer = self._post(request)
        tries = int(job["tries"]) + 1
        with self._storage.transaction() as db:
            self._record(db, key, at, answer)
            if channel.settle(db, key[1], answer):
                db.execute("DELETE FROM job WHERE id = ?", (job["id"],))
                self._drop_retries(db, key)
            elif tries >= channel.tries:
                db.execute("DELETE FROM job WHERE id = ?", (job["id"],))
                channel.give_up(db, key[1])
            else:
                due_at = self._world.now() + channel.delay(tries)
                db.execute("UPDATE job SET tries = ?, due_at = ? WHERE id = ?", (tries, due_at, job["id"]))

    def _post(self, request: Request) -> Answer:
        url, authorization = without_credentials(request.url)
        headers = {"Content-Type": "application/json", **request.headers, **authorization}
        try:
            response = self._client.post(url, content=request.body, headers=headers)
        except httpx2.TimeoutException:
            return Answer(None, f"no answer within {TIMEOUT:.0f} s")
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            return Answer(None, type(error).__name__)
        return Answer(response.status_code, response.text[:MAX_STORED_BODY])

    @staticmethod
    def _record(db: sqlite3.Connection, key: tuple[str, str, str], at: float, answer: Answer) -> None:
        row = (*key, at, answer.status, answer.body)
        db.execute("INSERT INTO delivery (kind, target, webhook, at, status, body) VALUES (?, ?, ?, ?, ?, ?)", row)

    @staticmethod
    def _drop_retries(db: sqlite3.Connection, key: tuple[str, str, str]) -> None:
        # Only retries: copies that a test requested ("times") are still sent once each.
        db.execute("DELETE FROM job WHERE kind = ? AND target = ? AND webhook = ? AND tries > 0", key)
