"""Collects INSERTs and UPDATEs and executes them as one SQL statement.

A service decides in Python and registers each row that it inserts or updates; all are written in one round trip.
Triggers, constraints and foreign keys apply as usual, at the end of the statement. Services do not create ``Writes``
themselves: they join those of the unit of work (``core.unit_of_work``).

    writes.insert(deposit)
    writes.insert(DepositTransition(deposit=deposit, …))  # may refer to a row that this statement inserts
    writes.update(payment, "status", "fee")

SQL text consists of names from models and constants only; every value is a parameter. Equal changes share one text,
which is built once per process and prepared once per connection.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from django.db import DEFAULT_DB_ALIAS, DatabaseError, DataError, connection, models
from django.db.models.base import ModelState
from django.db.models.expressions import DatabaseDefault

from core.db import transaction_required
from core.statements import Parameter, can_commit, dump, fetch, send, type_name
from core.write_text import (
    ColumnSource,
    Shape,
    batch_statement_text,
    columns,
    columns_of,
    numbered,
    quoted,
    statement_text,
)

__all__ = [
    "Sql",
    "Writes",
    "column_names",
    "execute_together",
    "fetch",
    "new_instance",
    "hydrate",
    "numbered",
]

M = TypeVar("M", bound=models.Model)

_MISSING = re.compile(r"part (\d+) wrote other rows")
"""The part that failed, in the error text of a statement that commits; the rest of the text is localised."""


_NOT_GIVEN = object()


@dataclass(frozen=True, slots=True)
class Sql:
    """A SQL expression or statement: constant text with ``%s`` for each parameter."""

    text: str
    params: tuple[Any, ...] = ()

    @property
    def types(self) -> tuple[str, ...]:
        """PostgreSQL's names of the parameters' types."""
        return tuple([type_name(dump(param)[1]) for param in self.params])


class _Part(NamedTuple):
    """One row or custom statement; ``missing`` is raised unless it writes ``rows`` rows."""

    row: models.Model | None
    rows: int = 1
    missing: Exception | None = None


class Writes:
    """Rows that are written by one statement, in the order in which they are registered.

    Parts of the statement do not see each other's rows. Registering a row twice raises ``RuntimeError``; a service
    whose second change depends on its first keeps track of it in ``pending``.
    """

    def __init__(self) -> None:
        self._shapes: list[Shape] = []
        self._parts: list[_Part] = []
        self._params: list[Parameter] = []
        self._on_error: list[Callable[[], None]] = []
        self._expected: dict[str, Exception] = {}
        self._condition: Sql | None = None
        self._if_skipped: list[Callable[[], None]] = []
        self._after_write: list[Callable[[], None]] = []
        self._updated: set[tuple[type[models.Model], int]] = set()
        self.pending: Counter[Hashable] = Counter()
        """Unwritten changes that services must take into account, by keys of their own."""
        self.condition_id: int | None = None
        """After execution: the id that the statement of ``only_if`` returned; None if the writes were skipped."""

    def insert(
        self,
        row: models.Model,
        expressions: Mapping[str, Sql] | None = None,
        *,
        on_conflict_do_nothing: tuple[str, ...] = (),
        missing: Exception | None = None,
        returning: tuple[str, ...] = (),
    ) -> None:
        """Insert ``row``; ``expressions`` maps fields to SQL that computes their values.

        ``on_conflict_do_nothing`` names fields that are unique together: if a row with the same values exists, nothing
        is inserted and ``execute`` raises ``missing``; the caller's transaction stays usable. ``returning``: columns
        that a statement ``after`` this row reads.
        """
        values = row.__dict__
        if expressions:
            values = {**values, **expressions}
        self._insert(type(row), values, row._state.fields_cache, row, on_conflict_do_nothing, returning, missing)

    def insert_new(self, model: type[models.Model], **values: Any) -> None:
        """Insert a row without creating a model instance; a value may be a row (for a foreign key) or ``Sql``.

        Other fields get their defaults.
        """
        self._insert(model, values, values, None)

    def _insert(
        self,
        model: type[models.Model],
        values: Mapping[str, Any],
        related: Mapping[str, Any],
        row: models.Model | None,
        on_conflict_do_nothing: tuple[str, ...] = (),
        returning: tuple[str, ...] = (),
        missing: Exception | None = None,
    ) -> None:
        params = self._params
        sources: tuple[ColumnSource, ...] = ()
        for column in columns(model):
            name = column.name
            value = values.get(name, _NOT_GIVEN)
            if value is _NOT_GIVEN:
                value = column.default() if row is None else values[column.attname]
            kind = type(value)
            if kind is Sql:
                sources += (ColumnSource(name, text=value.text, types=self._add_params(value)),)
            elif kind is DatabaseDefault:
                sources += (ColumnSource(name),)
            elif column.is_relation and (target := related.get(name)) is not None:
                if target.pk is None:
                    sources += (ColumnSource(name, part=self._part_of(target)),)
                else:
                    params.append(b"%d" % target.pk)
            else:
                params.append(None if value is None else column.dump(value))
        self._shapes.append(Shape(model, None, sources, on_conflict_do_nothing, returning))
        self._parts.append(_Part(row, 1, missing))

    def _add_params(self, sql: Sql) -> tuple[str, ...]:
        """Add the parameters of ``sql`` and return their types."""
        dumped = [dump(param) for param in sql.params]
        self._params += [value for value, _ in dumped]
        return tuple([type_name(oid) for _, oid in dumped])

    def update(self, row: models.Model, *fields: str) -> None:
        """Update these fields of ``row``, which exists and is locked by the caller."""
        model, values = type(row), row.__dict__
        for column in columns_of(model, fields):
            value = values[column.attname]
            self._params.append(None if value is None else column.dump(value))
        identity = (model, row.pk)
        if row.pk is None or identity in self._updated:
            raise RuntimeError(f"this {model.__name__} is already written by the same statement")
        self._updated.add(identity)
        self._params.append(b"%d" % row.pk)
        self._shapes.append(Shape(model, fields))
        self._parts.append(_Part(row))

    def add(
        self,
        sql: Sql,
        *,
        after: models.Model | None = None,
        count: int = 1,
        missing: Exception | None = None,
        on_error: Callable[[], None] | None = None,
    ) -> None:
        """Add a custom data-modifying statement, which returns ``count`` rows with ``id``.

        If it returns another number of rows, ``execute`` raises ``missing``. ``after`` is an inserted row that the
        statement refers to: its text says ``FROM {after}`` and reads the row as ``t``. ``on_error`` is called if the
        database refuses the whole statement.
        """
        number = None if after is None else self._part_of(after)
        self._shapes.append(Shape(None, text=sql.text, types=self._add_params(sql), after=number, rows=count))
        self._parts.append(_Part(None, count, missing))
        if on_error is not None:
            self._on_error.append(on_error)

    def expect(self, constraint: str, error: Exception) -> None:
        """Raise ``error`` if this constraint refuses the statement."""
        self._expected[constraint] = error

    def only_if(self, sql: Sql) -> None:
        """Execute this data-modifying statement first; write the rest only if it returns a row with ``id``.

        It takes its locks before everything else. A statement of ``add`` then needs ``after``, so that it does nothing
        if its row is not inserted.
        """
        self._condition = sql

    def if_skipped(self, action: Callable[[], None]) -> None:
        """Call ``action`` if the condition of ``only_if`` fails and nothing is written."""
        self._if_skipped.append(action)

    def after_write(self, action: Callable[[], None]) -> None:
        """Call ``action`` in the same transaction after the rows are written and have their keys."""
        self._after_write.append(action)

    @transaction_required
    def execute(self) -> None:
        """Write everything and set the keys of inserted rows. Rows registered later belong to another statement.

        Raises ``django.db.Error`` if the database refuses the statement, or the error given to ``expect``; ``missing``
        if a part writes another number of rows; ``RuntimeError`` if a row to update does not exist. The caller must
        then roll back, unless there was nothing else to write.
        """
        self._execute(commit=False)

    def execute_and_commit(self) -> None:
        """``execute`` as the last statement of an outermost transaction, with COMMIT in the same round trip."""
        self._execute(commit=can_commit(connection))

    def _execute(self, *, commit: bool) -> None:
        parts, condition = self._parts, self._condition
        if not parts and condition is None:
            return
        commit = commit and not self._after_write
        text = statement_text(tuple(self._shapes), commit, "" if condition is None else condition.text)
        if condition is not None:
            self._params += [dump(param)[0] for param in condition.params]
        try:
            (found,) = send(text, self._params, commit=commit)
        except DatabaseError as error:
            self._raise_expected(error)
            raise
        condition_id, actions = None, self._after_write
        if condition is not None:
            permit, found = found[0], found[1:]
            if permit is None:
                parts, actions = [], self._if_skipped
            else:
                condition_id = int(permit)
        for part, value in zip(parts, found, strict=bool(parts)):
            if value is None:
                raise part.missing or RuntimeError("a row that should exist was not written")
            row = part.row
            if row is not None:
                row.pk = int(value)
                row._state.adding = False
                row._state.db = DEFAULT_DB_ALIAS
        self.__init__()  # type: ignore[misc]
        self.condition_id = condition_id
        for action in actions:
            action()

    def _raise_expected(self, error: DatabaseError) -> None:
        """Raise the error that was registered for this database error, if any."""
        if isinstance(error, DataError) and (found := _MISSING.search(str(error))) is not None:
            missing = self._parts[int(found[1])].missing
            raise missing or RuntimeError("a row that should exist was not written") from error
        for on_error in self._on_error:
            on_error()
        diagnosis = getattr(error.__cause__, "diag", None)
        if diagnosis is not None and diagnosis.constraint_name in self._expected:
            raise self._expected[diagnosis.constraint_name] from error

    def _part_of(self, target: models.Model) -> int:
        """The number of the part that inserts this row."""
        return next(number for number, part in enumerate(self._parts) if part.row is target)


@transaction_required
def execute_together(changes: Sequence[Writes], *, commit: bool = False) -> None:
    """Write the changes of several callers; changes of the same shape share a statement and do not see each other.

    ``commit`` commits with the last statement. Rows get no keys. Raises the errors of ``Writes.execute`` of the first
    change of a shape: which change was refused is unknown, and the caller must roll back.
    """
    groups: dict[Any, list[Writes]] = {}
    for change in changes:
        alone = change._condition is not None or change._after_write
        groups.setdefault(id(change) if alone else tuple(change._shapes), []).append(change)
    for number, (shapes, group) in enumerate(groups.items(), 1):
        last = commit and number == len(groups)
        if len(group) == 1:
            group[0]._execute(commit=last)
            continue
        params = [param for change in group for param in change._params]
        try:
            (found,) = send(batch_statement_text(shapes, len(group), last), params, commit=last)
        except DatabaseError as error:
            group[0]._raise_expected(error)
            raise
        for part, value in zip(group[0]._parts, found, strict=True):
            if value is None:
                raise part.missing or RuntimeError("a row that should exist was not written")


def hydrate(model: type[M], values: Sequence[Any]) -> M:
    """An instance of ``model`` from the values of ``column_names(model)`` as ``fetch`` returned them.

    Equivalent to ``Model.from_db`` at half its cost.
    """
    row = model.__new__(model)
    row._state = ModelState()
    row._state.adding = False
    row._state.db = DEFAULT_DB_ALIAS
    for attname, load, value in zip(_attnames(model), _loaders(model), values, strict=True):
        row.__dict__[attname] = load(value) if load and value is not None else value
    return row


def new_instance(model: type[M], **values: Any) -> M:
    """A new instance, equivalent to ``model(**values)`` at a third of its cost. No signals.

    Raises ``TypeError`` for an unknown field.
    """
    row = model.__new__(model)
    row._state = ModelState()
    fields, given = row.__dict__, 0
    fields["id"] = None
    for column in columns(model):
        value = values.get(column.name, _NOT_GIVEN)
        if value is _NOT_GIVEN:
            value = column.default()
        else:
            given += 1
            if column.is_relation and value is not None:
                row._state.fields_cache[column.name] = value
                value = value.pk
        fields[column.attname] = value
    if given < len(values):
        raise TypeError(f"{model.__name__} lacks some of the fields {', '.join(values)}")
    return row


@lru_cache
def column_names(model: type[models.Model], table: str) -> str:
    """All columns of ``model`` for a SELECT in which its table has the alias ``table``."""
    return ", ".join(f"{table}.{quoted(field.column)}" for field in model._meta.concrete_fields)


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
