"""All rows of one change, written by one SQL statement.

A service decides in Python, names every row it inserts or updates, and writes them together: one round trip instead of
one for each row. Triggers, constraints and foreign keys see the same rows as ever; they judge the statement's end.

    writes = Writes()
    writes.insert(deposit)
    writes.insert(DepositTransition(deposit=deposit, …))  # may point to a row that this statement inserts
    writes.update(payment, "status", "fee")
    writes.execute()

Texts of SQL come from models and from constants only; every value is a parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, models
from django.db.models.expressions import DatabaseDefault
from psycopg import RawCursor
from psycopg.types.json import Jsonb
from psycopg.types.numeric import Int8

from core.db import transaction_required

M = TypeVar("M", bound=models.Model)

_AS_IT_IS = (
    models.BooleanField,
    models.DateTimeField,
    models.DateField,
    models.DecimalField,
    models.GenericIPAddressField,
)
"""Fields whose Python values psycopg writes as they are."""


@dataclass(frozen=True, slots=True)
class Sql:
    """A value that the database works out: constant text with ``%s`` for each parameter."""

    text: str
    params: tuple[Any, ...] = ()


@dataclass(slots=True)
class _Part:
    """One row, or one statement of a caller's own that returns ``count`` rows with ``id``; ``missing`` if not."""

    text: str
    row: models.Model | None = None
    count: int = 1
    missing: Exception | None = None


class Writes:
    """Rows that go into the database together, in the order in which they are named.

    Two rows of one statement do not see each other: no row twice, and no value worked out from another one of them.
    """

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._params: list[Any] = []
        self._refused: list[Callable[[], None]] = []
        self._expected: dict[str, Exception] = {}

    def insert(self, row: models.Model, **worked_out: Sql) -> None:
        """Insert ``row``; ``worked_out`` gives fields whose value the database finds."""
        columns, values = [], []
        for column in _columns(type(row)):
            if (sql := worked_out.get(column.name)) is not None:
                value = f"({self._bind(sql.text, sql.params)})"
            elif (target := self._not_yet_there(row, column)) is not None:
                value = f"(SELECT id FROM {target})"
            else:
                given = row.__dict__[column.attname]
                value = "DEFAULT" if isinstance(given, DatabaseDefault) else self._value(column, given)
            columns.append(column.quoted)
            values.append(value)
        table = _quoted(row._meta.db_table)
        self._parts.append(
            _Part(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(values)}) RETURNING id", row)
        )

    def update(self, row: models.Model, *fields: str) -> None:
        """Write these fields of ``row``, which is there and locked by the caller."""
        wanted = [column for column in _columns(type(row)) if column.name in fields]
        if len(wanted) != len(fields):
            raise ValueError(f"{type(row).__name__} has not all of {', '.join(fields)}")
        new = [f"{column.quoted} = {self._value(column, row.__dict__[column.attname])}" for column in wanted]
        key = self._bind("%s", [Int8(row.pk)])
        table = _quoted(row._meta.db_table)
        self._parts.append(_Part(f"UPDATE {table} SET {', '.join(new)} WHERE id = {key} RETURNING id", row))

    def add(
        self,
        sql: Sql,
        *,
        row: models.Model | None = None,
        count: int = 1,
        missing: Exception | None = None,
        refused: Callable[[], None] | None = None,
    ) -> str:
        """Add a data-modifying statement of one's own, which returns ``count`` rows with ``id``; its name in the SQL.

        If it returns another number of rows, ``execute`` raises ``missing``. ``row`` gets the id. ``refused`` is called
        if the database refuses the whole.
        """
        self._parts.append(_Part(self._bind(sql.text, sql.params), row, count, missing))
        if refused is not None:
            self._refused.append(refused)
        return f"w{len(self._parts) - 1}"

    def expect(self, constraint: str, error: Exception) -> None:
        """Raise ``error`` if the database refuses the whole because of this constraint."""
        self._expected[constraint] = error

    @transaction_required
    def execute(self) -> None:
        """Write everything, and give inserted rows their keys. What is named afterwards is another statement.

        Raises ``django.db.Error`` for whatever the database refuses, or what ``expect`` was given for it; what ``add``
        was given for missing rows; ``RuntimeError`` if a row to update is gone. The caller must roll back then, unless
        nothing else was to be written.
        """
        parts, params = self._parts, self._params
        if not parts:
            return
        texts = ", ".join([f"w{number} AS ({part.text})" for number, part in enumerate(parts)])
        results = ", ".join([_result(number, part) for number, part in enumerate(parts)])
        try:
            found = fetch(f"WITH {texts} SELECT {results}", params)[0]
        except DatabaseError as error:
            for refused in self._refused:
                refused()
            diagnosis = getattr(error.__cause__, "diag", None)
            if diagnosis is not None and diagnosis.constraint_name in self._expected:
                raise self._expected[diagnosis.constraint_name] from error
            raise
        for part, value in zip(parts, found, strict=True):
            if value is None or (part.count != 1 and value != part.count):
                raise part.missing or RuntimeError("a row that should be there was not written")
            if part.row is not None:
                part.row.pk = value
                part.row._state.adding = False
                part.row._state.db = DEFAULT_DB_ALIAS
        self._parts, self._params, self._refused, self._expected = [], [], [], {}

    def _value(self, column: _Column, value: Any) -> str:
        self._params.append(value if value is None else column.adapt(value))
        return f"${len(self._params)}"

    def _bind(self, text: str, params: Sequence[Any]) -> str:
        pieces = text.split("%s")
        if len(pieces) != len(params) + 1:
            raise ValueError("one parameter for each %s")
        bound = pieces[0]
        for piece, value in zip(pieces[1:], params, strict=True):
            self._params.append(value)
            bound += f"${len(self._params)}{piece}"
        return bound

    def _not_yet_there(self, row: models.Model, column: _Column) -> str | None:
        """The part that inserts the row to which this foreign key points, if this statement does."""
        if not column.is_relation or row.__dict__[column.attname] is not None:
            return None
        target = row._state.fields_cache.get(column.name)
        if target is None:
            return None
        return next(f"w{number}" for number, part in enumerate(self._parts) if part.row is target)


@contextmanager
def joined(writes: Writes | None) -> Iterator[Writes]:
    """The ``writes`` of a caller, who executes them; without one, writes of one's own, executed at the end."""
    if writes is not None:
        yield writes
        return
    own = Writes()
    yield own
    own.execute()


def _result(number: int, part: _Part) -> str:
    return f"(SELECT {'id' if part.count == 1 else 'count(*)'} FROM w{number})"


def fetch(text: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Rows of a constant SQL ``text`` with ``$1``, ``$2``, … (psycopg need not parse it), inside Django's transaction.

    Raises ``django.db.Error``.
    """
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    if connection.queries_logged:  # somebody counts statements
        connection.queries_log.append({"sql": text, "time": ""})
    with connection.wrap_database_errors, RawCursor(connection.connection) as cursor:
        cursor.execute(text.encode(), params)
        return cursor.fetchall()


def hydrate(model: type[M], values: Sequence[Any]) -> M:
    """An instance of ``model`` from the values of ``column_names(model)`` as ``fetch`` returned them."""
    given = zip(_loaders(model), values, strict=True)
    loaded = [load(value) if load and value is not None else value for load, value in given]
    return model.from_db(DEFAULT_DB_ALIAS, _attnames(model), loaded)


@lru_cache
def column_names(model: type[models.Model], table: str) -> str:
    """Every column of ``model`` for a SELECT in which its table is called ``table``."""
    return ", ".join(f"{table}.{_quoted(field.column)}" for field in model._meta.concrete_fields)


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    attname: str
    quoted: str
    is_relation: bool
    adapt: Callable[[Any], Any]


@lru_cache
def _columns(model: type[models.Model]) -> tuple[_Column, ...]:
    return tuple(
        _Column(field.name, field.attname, _quoted(field.column), bool(field.is_relation), _adapter(field))
        for field in model._meta.concrete_fields
        if not isinstance(field, models.AutoField | models.BigAutoField) and not field.generated
    )


def _adapter(field: models.Field[Any, Any]) -> Callable[[Any], Any]:
    if isinstance(field, models.ForeignKey):
        return Int8
    if isinstance(field, models.IntegerField):
        return Int8
    if isinstance(field, models.JSONField):
        return Jsonb
    if isinstance(field, models.CharField | models.TextField):
        return _text
    if type(field) in _AS_IT_IS:
        return _same
    return lambda value: field.get_db_prep_save(value, connection)


def _same(value: Any) -> Any:
    return value


def _text(value: Any) -> Any:
    """A member of an enumeration as its text: psycopg looks for its class again and again, a tenth of a request."""
    return value if type(value) is str else str(value)


@lru_cache
def _attnames(model: type[models.Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


@lru_cache
def _loaders(model: type[models.Model]) -> tuple[Callable[[Any], Any] | None, ...]:
    return tuple(_loader(field) for field in model._meta.concrete_fields)


def _loader(field: models.Field[Any, Any]) -> Callable[[Any], Any] | None:
    if not hasattr(field, "from_db_value"):
        return None
    return lambda value: field.from_db_value(value, None, connection)


@lru_cache
def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
