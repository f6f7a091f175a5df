"""The simulators' database: one SQLite file with one writer at a time and any number of readers.

Transactions are short and none is open while a webhook is sent, so a single lock is enough for writers; it also orders
concurrent payments of one reference. Reads take no lock. WAL preserves committed data if the process is killed.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS stp_config (
    clabe_prefix TEXT PRIMARY KEY, empresa TEXT NOT NULL, deposits_url TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stp_key (empresa TEXT PRIMARY KEY, public_key TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stp_deposit (
    id INTEGER PRIMARY KEY, clabe_prefix TEXT NOT NULL, clabe TEXT NOT NULL, amount INTEGER NOT NULL,
    tracking_key TEXT NOT NULL, notice TEXT NOT NULL, status TEXT NOT NULL, cause INTEGER, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS stp_company (
    empresa TEXT PRIMARY KEY, orders_url TEXT NOT NULL DEFAULT '', opening_balance INTEGER NOT NULL DEFAULT 0,
    pace REAL NOT NULL DEFAULT 1.0, efws_per_hour INTEGER NOT NULL DEFAULT 0, read_only INTEGER NOT NULL DEFAULT 0,
    closed TEXT NOT NULL DEFAULT '[]', chances TEXT NOT NULL DEFAULT '{}');
CREATE TABLE IF NOT EXISTS stp_order (
    id INTEGER PRIMARY KEY, empresa TEXT NOT NULL, tracking_key TEXT NOT NULL, day INTEGER NOT NULL,
    amount INTEGER NOT NULL, body TEXT NOT NULL, script TEXT NOT NULL, status TEXT NOT NULL, cause INTEGER,
    counts INTEGER NOT NULL, hidden_until REAL NOT NULL, captured_at REAL NOT NULL, seconds REAL NOT NULL,
    settled_at REAL, UNIQUE (empresa, tracking_key, day));
CREATE INDEX IF NOT EXISTS stp_order_day ON stp_order (empresa, day, id);
CREATE TABLE IF NOT EXISTS stp_order_step (
    id INTEGER PRIMARY KEY AUTOINCREMENT, order_id INTEGER NOT NULL, due_at REAL NOT NULL, status TEXT NOT NULL,
    cause INTEGER);
CREATE INDEX IF NOT EXISTS stp_order_step_due ON stp_order_step (due_at);
CREATE TABLE IF NOT EXISTS stp_order_notice (
    id INTEGER PRIMARY KEY AUTOINCREMENT, order_id INTEGER NOT NULL, body TEXT NOT NULL, status TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS stp_order_notice_order ON stp_order_notice (order_id);
CREATE TABLE IF NOT EXISTS stp_return (deposit_id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS stp_script (tracking_key TEXT PRIMARY KEY, script TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stp_account (
    empresa TEXT NOT NULL, clabe TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (empresa, clabe));
CREATE TABLE IF NOT EXISTS stp_question (
    empresa TEXT NOT NULL, hour INTEGER NOT NULL, asked INTEGER NOT NULL, PRIMARY KEY (empresa, hour));
CREATE TABLE IF NOT EXISTS conekta_account (
    id INTEGER PRIMARY KEY, key_hash TEXT NOT NULL UNIQUE, livemode INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS conekta_order (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, account_id INTEGER NOT NULL,
    reference TEXT NOT NULL UNIQUE, status TEXT NOT NULL, expires_at INTEGER NOT NULL, doc TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS conekta_order_due ON conekta_order (status, expires_at);
CREATE TABLE IF NOT EXISTS conekta_webhook_key (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, account_id INTEGER NOT NULL, active INTEGER NOT NULL,
    private_key TEXT NOT NULL, doc TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS conekta_webhook (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, account_id INTEGER NOT NULL, url TEXT NOT NULL,
    doc TEXT NOT NULL, UNIQUE (account_id, url));
CREATE TABLE IF NOT EXISTS conekta_event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, account_id INTEGER NOT NULL,
    order_id TEXT NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS conekta_event_order ON conekta_event (order_id);
CREATE TABLE IF NOT EXISTS job (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, target TEXT NOT NULL, webhook TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, due_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS job_due ON job (due_at);
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, target TEXT NOT NULL, webhook TEXT NOT NULL,
    at REAL NOT NULL, status INTEGER, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS delivery_target ON delivery (kind, target);
"""


class AlreadyOpen(Exception):
    """Another simulator uses this folder; both would send every notice."""


class Storage:
    """The database ``DIR/sandbox.sqlite3``: ``transaction()`` to write, ``reading()`` to read."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._guard = (folder / "sandbox.lock").open("w")
        try:
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyOpen(f"another simulator is running on {folder}") from None
        self._lock = threading.RLock()
        self._file = folder / "sandbox.sqlite3"
        self._db = self._connect()
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction. Do not nest it or keep it open during network I/O."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A read-only snapshot. It does not wait for a writer, thanks to WAL."""
        db = self._connect()
        try:
            db.execute("PRAGMA query_only = ON")
            db.execute("BEGIN")
            yield db
        finally:
            db.close()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._file, check_same_thread=False, isolation_level=None)
        db.row_factory = sqlite3.Row
        return db

    def close(self) -> None:
        """Close the file and keep the lock, so that daemon threads that still write block until the process exits."""
        self._lock.acquire()
        self._db.close()
        self._guard.close()
