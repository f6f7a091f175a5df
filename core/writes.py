"""All rows of one change, written by one SQL statement.

A service decides in Python, names every row it inserts or updates, and writes them together: one round trip instead of
one for each row. Triggers, constraints and foreign keys see the same rows as ever; they judge the statement's end.
Services do not make ``Writes`` themselves: they join those of the unit of work (``core.unit_of_work``).

    writes.insert(deposit)
    writes.insert(DepositTransition(deposit=deposit, …))  # may point to a row that this statement inserts
    writes.update(payment, "status", "fee")

Texts of SQL come from models and from constants only; every value is a parameter. Equal changes have equal texts: the
text of a change is made once in a process, and prepared once on a connection.
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
from core.write_text import Odd, Shape, columns, columns_of, numbered, quoted, text_of, text_of_many

__all__ = [
    "Sql",
    "Writes",
    "column_names",
    "execute_together",
    "fetch",
    "fresh",
    "hydrate",
    "numbered",
]

M = TypeVar("M", bound=models.Model)

_MISSING = re.compile(r"part (\d+) wrote other rows")
"""How a statement that commits says which part did not do what it should: PostgreSQL quotes it in its own language."""


_NOT_GIVEN = object()


@dataclass(frozen=True, slots=True)
class Sql:
    """A value that the database works out: constant text with ``%s`` for each parameter."""

    text: str
    params: tuple[Any, ...] = ()

    @property
    def types(self) -> tuple[str, ...]:
        """What PostgreSQL calls the types of the parameters."""
        return tuple([type_name(dump(param)[1]) for param in self.params])


class _Part(NamedTuple):
    """One row, or one statement of a caller's own; ``missing`` if it writes another number of rows than ``rows``."""

    row: models.Model | None
    rows: int = 1
    missing: Exception | None = None


class Writes:
    """Rows that go into the database together, in the order in which they are named.

    Two rows of one statement do not see each other. No row is named twice (``RuntimeError``), and a service whose
    second change depends on its first keeps count of it in ``pending``.
    """

    def __init__(self) -> None:
        self._shapes: list[Shape] = []
        self._parts: list[_Part] = []
        self._params: list[Parameter] = []
        self._refused: list[Callable[[], None]] = []
        self._expected: dict[str, Exception] = {}
        self._condition: Sql | None = None
        self._otherwise: list[Callable[[], None]] = []
        self._afterwards: list[Callable[[], None]] = []
        self._named: set[tuple[type[models.Model], int]] = set()
        self.pending: Counter[Hashable] = Counter()
        """What services named here and must remember until it is written, by keys of their own."""
        self.permitted_by: int | None = None
        """After the writing: the id that the statement of ``only_if`` returned; None if it let nothing be written."""

    def insert(
        self,
        row: models.Model,
        worked_out: Mapping[str, Sql] | None = None,
        *,
        unless_there: tuple[str, ...] = (),
        missing: Exception | None = None,
        returning: tuple[str, ...] = (),
    ) -> None:
        """Insert ``row``; ``worked_out`` gives fields whose value the database finds.

        ``unless_there`` names fields that are unique together: where a row has these values already nothing is
        inserted, and ``execute`` raises ``missing``, so that the caller's transaction lives on. ``returning``: columns
        that a statement ``after`` this row reads.
        """
        values = row.__dict__
        if worked_out:
            values = {**values, **worked_out}
        self._insert(type(row), values, row._state.fields_cache, row, unless_there, returning, missing)

    def insert_new(self, model: type[models.Model], **values: Any) -> None:
        """Insert a new row that nobody needs as an object: by field, a value, a row for a foreign key, or a ``Sql``.

        What is not given has the field's default, as it would in an object.
        """
        self._insert(model, values, values, None)

    def _insert(
        self,
        model: type[models.Model],
        values: Mapping[str, Any],
        related: Mapping[str, Any],
        row: models.Model | None,
        unless_there: tuple[str, ...] = (),
        returning: tuple[str, ...] = (),
        missing: Exception | None = None,
    ) -> None:
        params = self._params
        odd: tuple[Odd, ...] = ()
        for column in columns(model):
            name = column.name
            value = values.get(name, _NOT_GIVEN)
            if value is _NOT_GIVEN:
                value = column.default() if row is None else values[column.attname]
            kind = type(value)
            if kind is Sql:
                odd += (Odd(name, text=value.text, types=self._take(value)),)
            elif kind is DatabaseDefault:
                odd += (Odd(name),)
            elif column.is_relation and (target := related.get(name)) is not None:
                if target.pk is None:
                    odd += (Odd(name, part=self._part_of(target)),)
                else:
                    params.append(b"%d" % target.pk)
            else:
                params.append(None if value is None else column.dump(value))
        self._shapes.append(Shape(model, None, odd, unless_there, returning))
        self._parts.append(_Part(row, 1, missing))

    def _take(self, sql: Sql) -> tuple[str, ...]:
        """Take over the parameters of ``sql``; their types."""
        dumped = [dump(param) for param in sql.params]
        self._params += [value for value, _ in dumped]
        return tuple([type_name(oid) for _, oid in dumped])

    def update(self, row: models.Model, *fields: str) -> None:
        """Write these fields of ``row``, which is there and locked by the caller."""
        model, values = type(row), row.__dict__
        for column in columns_of(model, fields):
            value = values[column.attname]
            self._params.append(None if value is None else column.dump(value))
        name = (model, row.pk)
        if row.pk is None or name in self._named:
            raise RuntimeError(f"this {model.__name__} is written by the same statement already")
        self._named.add(name)
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
        refused: Callable[[], None] | None = None,
    ) -> None:
        """Add a data-modifying statement of one's own, which returns ``count`` rows with ``id``.

        If it returns another number of rows, ``execute`` raises ``missing``. ``after`` is a row that this statement
        inserts: the text says ``FROM {after}`` and reads it as ``t``. ``refused`` is called if the database refuses
        the whole.
        """
        number = None if after is None else self._part_of(after)
        self._shapes.append(Shape(None, text=sql.text, types=self._take(sql), after=number, rows=count))
        self._parts.append(_Part(None, count, missing))
        if refused is not None:
            self._refused.append(refused)

    def expect(self, constraint: str, error: Exception) -> None:
        """Raise ``error`` if the database refuses the whole because of this constraint."""
        self._expected[constraint] = error

    def only_if(self, sql: Sql) -> None:
        """Carry this data-modifying statement out first, and the rest only if it returns a row with ``id``.

        What it locks or waits for comes before everything else. A statement of ``add`` can only be part of the rest
        with ``after``: where no row is inserted, it has none to work on.
        """
        self._condition = sql

    def otherwise(self, act: Callable[[], None]) -> None:
        """Call ``act`` if ``only_if`` lets nothing be written: that is certain then."""
        self._otherwise.append(act)

    def afterwards(self, act: Callable[[], None]) -> None:
        """Call ``act`` in the same transaction when everything is written and has its keys."""
        self._afterwards.append(act)

    @transaction_required
    def execute(self) -> None:
        """Write everything, and give inserted rows their keys. What is named afterwards is another statement.

        Raises ``django.db.Error`` for whatever the database refuses, or what ``expect`` was given for it; what ``add``
        was given for missing rows; ``RuntimeError`` if a row to update is gone. The caller must roll back then, unless
        nothing else was to be written.
        """
        self._execute(commit=False)

    def execute_and_commit(self) -> None:
        """``execute`` as the last statement of an outermost transaction, with COMMIT in the same exchange."""
        self._execute(commit=can_commit(connection))

    def _execute(self, *, commit: bool) -> None:
        parts, condition = self._parts, self._condition
        if not parts and condition is None:
            return
        commit = commit and not self._afterwards
        text = text_of(tuple(self._shapes), commit, "" if condition is None else condition.text)
        if condition is not None:
            self._params += [dump(param)[0] for param in condition.params]
        try:
            (found,) = send(text, self._params, commit=commit)
        except DatabaseError as error:
            self._explain(error)
            raise
        permitted_by, acts = None, self._afterwards
        if condition is not None:
            permit, found = found[0], found[1:]
            if permit is None:
                parts, acts = [], self._otherwise
            else:
                permitted_by = int(permit)
        for part, value in zip(parts, found, strict=bool(parts)):
            if value is None:
                raise part.missing or RuntimeError("a row that should be there was not written")
            row = part.row
            if row is not None:
                row.pk = int(value)
                row._state.adding = False
                row._state.db = DEFAULT_DB_ALIAS
        self.__init__()  # type: ignore[misc]
        self.permitted_by = permitted_by
        for act in acts:
            act()

    def _explain(self, error: DatabaseError) -> None:
        """Raise the error that was given for this refusal, if there is one."""
        if isinstance(error, DataError) and (found := _MISSING.search(str(error))) is not None:
            missing = self._parts[int(found[1])].missing
            raise missing or RuntimeError("a row that should be there was not written") from error
        for refused in self._refused:
            refused()
        diagnosis = getattr(error.__cause__, "diag", None)
        if diagnosis is not None and diagnosis.constraint_name in self._expected:
            raise self._expected[diagnosis.constraint_name] from error

    def _part_of(self, target: models.Model) -> int:
        """The part that inserts this row, which has no key yet."""
        return next(number for number, part in enumerate(self._parts) if part.row is target)


@transaction_required
def execute_together(changes: Sequence[Writes], *, commit: bool = False) -> None:
    """Write the changes of several callers: those of the same shape by one statement; no change sees another one.

    ``commit`` ends the transaction with the last statement. Rows get no keys. Raises what ``Writes.execute`` would for
    the first of those of a shape: which of them was refused is not known then, and the caller must roll back.
    """
    alike: dict[Any, list[Writes]] = {}
    for change in changes:
        alone = change._condition is not None or change._afterwards
        alike.setdefault(id(change) if alone else tuple(change._shapes), []).append(change)
    kinds = list(alike.items())
    for number, (shapes, same) in enumerate(kinds, 1):
        last = commit and number == len(kinds)
        if len(same) == 1:
            same[0]._execute(commit=last)
            continue
        params = [param for change in same for param in change._params]
        try:
            (found,) = send(text_of_many(shapes, len(same), last), params, commit=last)
        except DatabaseError as error:
            same[0]._explain(error)
            raise
        for part, value in zip(same[0]._parts, found, strict=True):
            if value is None:
                raise part.missing or RuntimeError("a row that should be there was not written")


def hydrate(model: type[M], values: Sequence[Any]) -> M:
    """An instance of ``model`` from the values of ``column_names(model)`` as ``fetch`` returned them.

    As ``Model.from_db`` makes it, at half of its cost.
    """
    row = model.__new__(model)
    row._state = ModelState()
    row._state.adding = False
    row._state.db = DEFAULT_DB_ALIAS
    for attname, load, value in zip(_attnames(model), _loaders(model), values, strict=True):
        row.__dict__[attname] = load(value) if load and value is not None else value
    return row


def fresh(model: type[M], **values: Any) -> M:
    """A new row of ``model``, as ``model(**values)`` makes it, at a third of its cost: by field a value, or a row for a
    foreign key. No signals. ``TypeError`` for a field that is not there.
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
        raise TypeError(f"{model.__name__} has not all of {', '.join(values)}")
    return row


@lru_cache
def column_names(model: type[models.Model], table: str) -> str:
    """Every column of ``model`` for a SELECT in which its table is called ``table``."""
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
