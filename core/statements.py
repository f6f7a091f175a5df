"""Execution of constant SQL statements with parameters in one round trip.

A statement is prepared once per connection and sent by libpq's pipeline mode: BEGIN (if it is the transaction's first
statement), PREPARE and COMMIT go in the same packet, and the process waits once. psycopg's cursors wait for each of
these; psycopg's own pipeline mode costs twice the CPU time of the waits that it saves (docs/adr/0026).

Statements run in Django's transaction on Django's connection and raise Django's errors.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from select import POLLIN, POLLOUT, poll
from typing import Any

from django.db import DEFAULT_DB_ALIAS, DataError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError
from psycopg import Binary, Connection, errors
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.types.json import Jsonb
from psycopg.types.numeric import Int8

from core import write_guard

MOST_PREPARED = 100
"""Prepared statements that a connection keeps."""

Parameter = bytes | None
"""A value in PostgreSQL's text format, or None for NULL."""

Dump = Callable[[Any], bytes]

_BINARY, _TEXT = Format.BINARY, Format.TEXT
_FATAL, _SYNC, _IDLE = ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_SYNC, TransactionStatus.IDLE


def dump_text(value: Any) -> bytes:
    """Text. Raises ``DataError`` for NUL, at which libpq would truncate it."""
    text = value if type(value) is str else str(value)
    if "\0" in text:
        raise DataError("PostgreSQL text cannot contain NUL (0x00) bytes")
    return text.encode()


def dump_int(value: int) -> bytes:
    return b"%d" % value


def dump_bool(value: bool) -> bytes:  # noqa: FBT001 - the value itself
    return b"t" if value else b"f"


def dump_plain(value: Any) -> bytes:
    """Values whose Python text form PostgreSQL accepts: timestamps, dates, decimals, addresses."""
    return str(value).encode()


def dump_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def dump_bytea(value: bytes) -> bytes:
    """Bytes in PostgreSQL's hex format."""
    return b"\\x" + bytes(value).hex().encode()


def _array(dump: Dump) -> Dump:
    def dump_all(values: Sequence[Any]) -> bytes:
        quoted = (b'"' + dump(v).replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"' for v in values)
        return b"{" + b",".join(quoted) + b"}"

    return dump_all


_TYPES: dict[type, tuple[Dump, int]] = {
    str: (dump_text, 0),
    int: (dump_int, 20),
    Int8: (dump_int, 20),
    bool: (dump_bool, 16),
    datetime: (dump_plain, 1184),
    date: (dump_plain, 1082),
    Decimal: (dump_plain, 1700),
    bytes: (dump_bytea, 17),
    Binary: (lambda value: dump_bytea(value.obj), 17),
    Jsonb: (lambda value: dump_json(value.obj), 3802),
}
"""Type -> dump function and OID of PostgreSQL's type; 0 lets the statement determine it."""
_NAMES = {
    0: "text",
    16: "boolean",
    17: "bytea",
    20: "bigint",
    1009: "text[]",
    1016: "bigint[]",
    1082: "date",
    1184: "timestamptz",
    1700: "numeric",
    3802: "jsonb",
}
_ARRAYS = {str: (_array(dump_text), 1009), int: (_array(dump_int), 1016)}


def dump(value: Any) -> tuple[Parameter, int]:
    """A value as a parameter, and the OID of its type. Raises ``TypeError`` for an unsupported type."""
    if value is None:
        return None, 0
    kind = type(value)
    if kind is list or kind is tuple:
        dumper, oid = _ARRAYS[type(value[0]) if value else str]
        return dumper(value), oid
    found = _TYPES.get(kind)
    if found is None:
        found = next((entry for known, entry in _TYPES.items() if isinstance(value, known)), None)
        if found is None:
            raise TypeError(f"parameters of type {kind.__name__} are not supported")
    return found[0](value), found[1]


def type_name(oid: int) -> str:
    """The SQL name of a type that ``dump`` returned; text for OID 0."""
    return _NAMES[oid]


def fetch(text: str, params: Sequence[Any], *, prepare: bool = True) -> list[tuple[Any, ...]]:
    """Execute a constant SQL ``text`` with ``$1``, ``$2``, … in Django's transaction and return its rows.

    BEGIN is sent together with the first statement of a transaction. Without ``prepare`` the statement gets a plan for
    these parameters: for queries whose best plan depends on how rare a value is. Raises ``django.db.Error``.
    """
    values, oids = [], []
    for param in params:
        value, oid = dump(param)
        values.append(value)
        oids.append(oid)
    return send(text.encode(), values, tuple(oids), load=True, prepare=prepare)


def send(
    text: bytes,
    params: Sequence[Parameter],
    oids: tuple[int, ...] = (),
    *,
    load: bool = False,
    commit: bool = False,
    prepare: bool = True,
) -> list[tuple[Any, ...]]:
    """Execute a constant statement with dumped parameters; rows hold Python values if ``load``, else raw text.

    ``commit`` sends COMMIT with it: an error of COMMIT is raised like one of the statement, and nothing is committed if
    the statement fails. Raises ``WriteBesideUnit`` if a keyed request writes outside its unit of work
    (``core.write_guard``), and ``django.db.Error``; after an ``OperationalError`` of a lost connection, COMMIT may or
    may not have been carried out.
    """
    write_guard.check(text)
    connection = connections[DEFAULT_DB_ALIAS]
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    if connection.queries_logged:
        connection.queries_log.append({"sql": text.decode(), "time": ""})
    if commit and not can_commit(connection):
        raise TransactionManagementError("only the outermost transaction can commit")
    with connection.wrap_database_errors:
        raw = connection.connection
        session = raw.__dict__.get("_core_session")
        if session is None:
            session = raw.__dict__["_core_session"] = _Session(raw)
        result = session.exchange(text, params, oids, commit=commit, prepare=prepare)
        if load:
            return session.load(result)
    columns = range(result.nfields)
    return [tuple([result.get_value(row, column) for column in columns]) for row in range(result.ntuples)]


def can_commit(connection: BaseDatabaseWrapper) -> bool:
    """True in an outermost ``atomic`` block that will commit at its end."""
    return bool(connection.in_atomic_block and connection.commit_on_exit and not connection.savepoint_ids)


class _Session:
    """The libpq side of one connection, with the prepared statements of this module.

    psycopg prepares none itself (``prepare_threshold`` is None): it would deallocate ours with its own.
    """

    def __init__(self, raw: Connection[Any]) -> None:
        self.raw = raw
        self.pgconn: PGconn = raw.pgconn
        self.transformer = Transformer(raw)
        self.names: OrderedDict[tuple[bytes, tuple[int, ...]], bytes] = OrderedDict()
        self.evicted: list[bytes] = []
        """Names to deallocate with the next statement."""
        self.prepared = 0
        self.readable = poll()
        self.readable.register(self.pgconn.socket, POLLIN)

    def load(self, result: PGresult) -> list[tuple[Any, ...]]:
        self.transformer.set_pgresult(result)
        return self.transformer.load_rows(0, result.ntuples, tuple)

    def exchange(
        self, text: bytes, params: Sequence[Parameter], oids: tuple[int, ...], *, commit: bool, prepare: bool
    ) -> PGresult:
        """Send the statement with BEGIN, PREPARE and COMMIT as needed, wait once, and return its result."""
        begins, known = self.pgconn.transaction_status == _IDLE, (text, oids) in self.names
        try:
            return self._exchange(text, params, oids, commit=commit, prepare=prepare)
        except (errors.FeatureNotSupported, errors.InvalidSqlStatementName):
            # The prepared statement is stale: a release changed its result type, or the server has deallocated it.
            self.names.clear()
            self.evicted.clear()
            if not (begins and known and prepare):
                raise
        self.raw.rollback()  # it was the transaction's first statement
        return self._exchange(text, params, oids, commit=commit, prepare=prepare)

    def _exchange(
        self, text: bytes, params: Sequence[Parameter], oids: tuple[int, ...], *, commit: bool, prepare: bool
    ) -> PGresult:
        raw, pgconn = self.raw, self.pgconn
        if raw.closed:
            raise errors.OperationalError("the connection is closed")
        before, key, new = 0, (text, oids), b""
        try:
            pgconn.enter_pipeline_mode()
            if not raw.autocommit and pgconn.transaction_status == _IDLE:
                pgconn.send_query_params(b"BEGIN", None)
                before = 1
            while self.evicted:
                pgconn.send_query_params(b"DEALLOCATE " + self.evicted.pop(), None)
                before += 1
            if prepare:
                name = self.names.get(key)
                if name is None:
                    self.prepared += 1
                    name = new = b"core_%d" % self.prepared
                    pgconn.send_prepare(name, text, oids or None)
                    before += 1
                pgconn.send_query_prepared(name, params)
            else:
                pgconn.send_query_params(text, params, oids or None)
            if commit:
                pgconn.send_query_params(b"COMMIT", None)
            pgconn.pipeline_sync()
            results, broken = self._receive()
            for result in results:
                if result.status == _FATAL:
                    raise errors.error_from_result(result)
            if broken is not None:
                raise broken
            pgconn.exit_pipeline_mode()
        except BaseException as error:
            # After an error response of the server the connection is usable; otherwise results are left unread.
            if not isinstance(error, errors.Error) or not self._recovered():
                raw.close()
            raise
        if new:
            self.names[key] = new
            if len(self.names) > MOST_PREPARED:
                self.evicted.append(self.names.popitem(last=False)[1])
        elif prepare:
            self.names.move_to_end(key)
        if commit and results[before + 1].command_status != b"COMMIT":
            raise errors.InternalError("the database did not commit")
        return results[before]

    def _receive(self) -> tuple[list[PGresult], errors.Error | None]:
        """All results up to the pipeline's end; if the connection broke, the results before it and the error."""
        pgconn, results = self.pgconn, list[PGresult]()
        try:
            while pgconn.flush():  # the socket's buffer is full
                self.readable.modify(pgconn.socket, POLLIN | POLLOUT)
                self.readable.poll()
                self.readable.modify(pgconn.socket, POLLIN)
                pgconn.consume_input()
            while True:
                while pgconn.is_busy():
                    self.readable.poll()
                    pgconn.consume_input()
                result = pgconn.get_result()
                if result is not None:
                    if result.status == _SYNC:
                        return results, None
                    results.append(result)
                elif pgconn.status != ConnStatus.OK:
                    raise errors.OperationalError("the connection is lost")
        except errors.Error as broken:
            return results, broken

    def _recovered(self) -> bool:
        pgconn = self.pgconn
        if pgconn.status != ConnStatus.OK:
            return False
        try:
            pgconn.exit_pipeline_mode()
        except errors.Error:
            return False
        return True
