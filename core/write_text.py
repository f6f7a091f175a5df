"""SQL text of the statements that ``core.writes`` executes.

A text is built once per process for each kind of change and prepared once per connection. It consists of names from
models and constants only; every value is a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection, models

from core.statements import Dump, dump, dump_bool, dump_int, dump_json, dump_plain, dump_text

AFTER = "{after}"
"""Placeholder in a custom statement for the row that another part inserts, which the statement reads as ``t``."""

Types = tuple[str, ...]
"""PostgreSQL's names of the types of parameters, in order."""

_PLAIN_FIELDS = (
    models.DateTimeField,
    models.DateField,
    models.DecimalField,
    models.GenericIPAddressField,
)
"""Fields whose values PostgreSQL accepts in Python's text form."""

_LENGTH = re.compile(r"\(.*\)")


class ColumnSource(NamedTuple):
    """Source of an inserted column's value other than a parameter: the key of another part's row, or an expression.

    With neither, the column's database default.
    """

    name: str
    part: int | None = None
    text: str = ""
    types: Types = ()


class Shape(NamedTuple):
    """All that determines the SQL text of one part: an INSERT, an UPDATE or a custom statement."""

    model: type[models.Model] | None
    """None for a custom statement."""
    fields: tuple[str, ...] | None = None
    """Updated fields; None for an INSERT."""
    sources: tuple[ColumnSource, ...] = ()
    """Inserted columns that are not plain parameters."""
    on_conflict_do_nothing: tuple[str, ...] = ()
    """Unique fields of an INSERT that does nothing if a row with their values exists."""
    returning: tuple[str, ...] = ()
    """Columns besides the key that a later part reads."""
    text: str = ""
    """Text of a custom statement."""
    types: Types = ()
    after: int | None = None
    """The part whose row a custom statement reads."""
    rows: int = 1


class _References(NamedTuple):
    """How a part's text refers to its values, to the rows they come from and to the keys of other parts' rows."""

    values: Iterator[str]
    source: str
    key: str
    after: str
    keyed: frozenset[int | None] = frozenset()
    """Parts whose keys are drawn before they are written."""


@lru_cache(maxsize=500)
def statement_text(shapes: tuple[Shape, ...], commit: bool, condition: str) -> bytes:
    """The statement for parts of these shapes; parameters follow the order of parts and columns.

    With a ``condition``, a statement that returns ``id``, the parts are written only if it returns a row.
    """
    form = _References(_numbered(), " FROM permit" if condition else "", "(SELECT id FROM w{})", "w{} t")
    texts = [f"w{number} AS ({_part(number, shape, form)})" for number, shape in enumerate(shapes)]
    results = [_result(number, shape.rows, commit, condition) for number, shape in enumerate(shapes)]
    if condition:
        texts.insert(0, f"permit AS ({bind(condition, form.values)})")
        results.insert(0, "(SELECT id FROM permit)")
    return f"WITH {', '.join(texts)} SELECT {', '.join(results)}".encode()


@lru_cache(maxsize=500)
def batch_statement_text(shapes: tuple[Shape, ...], count: int, commit: bool) -> bytes:
    """The statement for ``count`` changes of the same shapes; parameters follow change by change.

    Each part writes the rows of all changes. A row that another part refers to gets its key before it is written.
    """
    types = [name for shape in shapes for name in _types(shape)]
    names = [f"c{number}" for number in range(len(types))]
    keyed = {source.part for shape in shapes for source in shape.sources} | {shape.after for shape in shapes}
    keys = [f"nextval('{_sequence(shape)}') AS k{n}" for n, shape in enumerate(shapes) if n in keyed]
    values = f"({rows_of_values(types, count)}) v (n, {', '.join(names)})"
    form = _References(
        (f"input.{name}" for name in names),
        " FROM input",
        "input.k{}",
        "input JOIN w{0} t ON t.id = input.k{0}",
        frozenset(keyed),
    )
    texts = [f"input AS MATERIALIZED (SELECT {', '.join(['v.*', *keys])} FROM {values})"]  # noqa: S608 - constants only
    texts += [f"w{number} AS ({_part(number, shape, form)})" for number, shape in enumerate(shapes)]
    results = [_result(number, shape.rows * count, commit, "") for number, shape in enumerate(shapes)]
    return f"WITH {', '.join(texts)} SELECT {', '.join(results)}".encode()


def rows_of_values(types: Sequence[str], count: int) -> str:
    """VALUES with ``count`` rows of parameters of these types; the first column numbers the rows from 0."""
    values = _numbered()
    first = ", ".join(["0", *[f"{next(values)}::{name}" for name in types]])
    rows = [", ".join([str(row), *[next(values) for _ in types]]) for row in range(1, count)]
    return f"VALUES ({'), ('.join([first, *rows])})"


def numbered(text: str) -> str:
    """Replace each ``%s`` in a text by ``$1``, ``$2``, …"""
    return bind(text, _numbered())


def bind(text: str, values: Iterator[str]) -> str:
    """Replace each ``%s`` in a text by the next of ``values``."""
    first, *pieces = text.split("%s")
    return first + "".join([f"{next(values)}{piece}" for piece in pieces])


def _numbered() -> Iterator[str]:
    return (f"${number}" for number in range(1, 100_000))


def _part(number: int, shape: Shape, form: _References) -> str:
    if shape.model is None:
        if "permit" in form.source and shape.after is None:
            raise ValueError("in a keyed unit of work, a custom statement must refer to a row that the unit inserts")
        return bind(shape.text.replace(AFTER, form.after.format(shape.after)), form.values)
    table = quoted(shape.model._meta.db_table)
    if shape.fields is not None:
        new = ", ".join([f"{column.quoted} = {next(form.values)}" for column in columns_of(shape.model, shape.fields)])
        return f"UPDATE {table} SET {new}{form.source} WHERE {table}.id = {next(form.values)} RETURNING {table}.id"  # noqa: S608
    sources = {source.name: source for source in shape.sources}
    names, values = [], []
    if number in form.keyed:
        names.append("id")
        values.append(form.key.format(number))
    for column in columns(shape.model):
        source = sources.get(column.name)
        if source is None:
            values.append(next(form.values))
        elif source.part is not None:
            values.append(form.key.format(source.part))
        elif source.text:
            values.append(f"({bind(source.text, form.values)})")
        else:
            continue
        names.append(column.quoted)
    text = f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)}{form.source}"
    if shape.on_conflict_do_nothing:
        text += f" ON CONFLICT ({_list(shape.model, shape.on_conflict_do_nothing)}) DO NOTHING"
    key = shape.model._meta.pk.column
    return f"{text} RETURNING {', '.join([f'{quoted(key)} AS id', *map(quoted, shape.returning)])}"


def _types(shape: Shape) -> list[str]:
    """The types of a part's parameters."""
    if shape.model is None:
        return list(shape.types)
    if shape.fields is not None:
        return [*[column.type for column in columns_of(shape.model, shape.fields)], "bigint"]
    sources, types = {source.name: source for source in shape.sources}, list[str]()
    for column in columns(shape.model):
        types += sources[column.name].types if column.name in sources else (column.type,)
    return types


def _sequence(shape: Shape) -> str:
    """The sequence of a table's identity column, by PostgreSQL's naming rule."""
    if shape.model is None:
        raise ValueError("only inserted rows can be referred to")
    return f"public.{shape.model._meta.db_table}_id_seq"


def _result(number: int, rows: int, commit: bool, condition: str) -> str:
    if rows == 1:
        value = f"(SELECT id FROM w{number})"  # noqa: S608
    else:
        value = f"(SELECT count(*) FROM w{number} HAVING count(*) = {rows})"  # noqa: S608
    if not commit:
        return value
    # COMMIT follows at once, so a missing row must fail the statement itself: the cast of a text that is not a number
    # does. random() keeps the planner from evaluating it early.
    checked = f"coalesce({value}, ('part {number} wrote other rows ' || random())::bigint)"
    return f"CASE WHEN (SELECT id FROM permit) IS NOT NULL THEN {checked} END" if condition else checked  # noqa: S608


@dataclass(frozen=True, slots=True)
class Column:
    """A writable column of a model."""

    name: str
    attname: str
    quoted: str
    type: str
    is_relation: bool
    dump: Dump
    default: Callable[[], Any]


@lru_cache
def columns(model: type[models.Model]) -> tuple[Column, ...]:
    """The writable columns of ``model``, in order: neither identity nor generated columns."""
    return tuple(
        Column(
            field.name,
            field.attname,
            quoted(field.column),
            _type(field),
            bool(field.is_relation),
            _dumper(field),
            field.get_default,
        )
        for field in model._meta.concrete_fields
        if not isinstance(field, models.AutoField | models.BigAutoField) and not field.generated
    )


@lru_cache
def columns_of(model: type[models.Model], fields: tuple[str, ...]) -> tuple[Column, ...]:
    """The columns of these fields, in the table's order. Raises ``ValueError`` if one is not writable."""
    selected = tuple(column for column in columns(model) if column.name in fields)
    if len(selected) != len(fields):
        raise ValueError(f"{model.__name__} lacks some of the fields {', '.join(fields)}")
    return selected


def _list(model: type[models.Model], fields: tuple[str, ...]) -> str:
    return ", ".join([column.quoted for column in columns_of(model, fields)])


def _type(field: models.Field[Any, Any]) -> str:
    """The column's type without its length: a cast would truncate a value that is too long."""
    return _LENGTH.sub("", field.db_type(connection) or "text")


def _dumper(field: models.Field[Any, Any]) -> Dump:
    if isinstance(field, models.ForeignKey | models.IntegerField):
        return dump_int
    if isinstance(field, models.JSONField):
        return dump_json
    if isinstance(field, models.CharField | models.TextField):
        return dump_text
    if isinstance(field, models.BooleanField):
        return dump_bool
    if type(field) in _PLAIN_FIELDS:
        return dump_plain
    return lambda value: dump(field.get_db_prep_save(value, connection))[0] or b""


@lru_cache
def quoted(name: str) -> str:
    """A quoted SQL identifier."""
    return connection.ops.quote_name(name)
