"""The texts of statements that write rows: made once in a process for each kind of change, prepared once a connection.

They come from models and from constants only; every value is a parameter. ``core.writes`` collects what is written.
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
"""In a text of a caller's own: the row of the part that it comes after, as ``t``."""

Types = tuple[str, ...]
"""What PostgreSQL calls the types of parameters, in their order."""

_AS_IT_IS = (
    models.DateTimeField,
    models.DateField,
    models.DecimalField,
    models.GenericIPAddressField,
)
"""Fields whose Python values PostgreSQL reads as they are."""

_LENGTH = re.compile(r"\(.*\)")


class Odd(NamedTuple):
    """A column of an insertion that is no plain parameter: the key of another part's row, or an expression.

    With neither, the database's own default.
    """

    name: str
    part: int | None = None
    text: str = ""
    types: Types = ()


class Shape(NamedTuple):
    """What makes a part's text."""

    model: type[models.Model] | None
    fields: tuple[str, ...] | None = None
    """Of an update; None for an insertion."""
    odd: tuple[Odd, ...] = ()
    unless_there: tuple[str, ...] = ()
    """Of an insertion: columns that are unique together; where their values are there already, nothing is inserted."""
    returning: tuple[str, ...] = ()
    """Columns beside the key that a later part reads."""
    text: str = ""
    """Of a statement of a caller's own."""
    types: Types = ()
    after: int | None = None
    rows: int = 1


class _Form(NamedTuple):
    """How a part names what it writes: the next parameter, the rows they come from, the keys of other parts' rows."""

    values: Iterator[str]
    source: str
    key: str
    after: str
    keyed: frozenset[int | None] = frozenset()
    """Parts that do not leave their keys to the database."""


@lru_cache(maxsize=500)
def text_of(shapes: tuple[Shape, ...], commit: bool, condition: str) -> bytes:
    """The statement for parts of these shapes, whose parameters come in the order of their columns.

    With a ``condition``, a statement that returns ``id``, the rest is written only if that returned a row.
    """
    form = _Form(_numbered(), " FROM permit" if condition else "", "(SELECT id FROM w{})", "w{} t")
    texts = [f"w{number} AS ({_part(number, shape, form)})" for number, shape in enumerate(shapes)]
    results = [_result(number, shape.rows, commit, condition) for number, shape in enumerate(shapes)]
    if condition:
        texts.insert(0, f"permit AS ({bind(condition, form.values)})")
        results.insert(0, "(SELECT id FROM permit)")
    return f"WITH {', '.join(texts)} SELECT {', '.join(results)}".encode()


@lru_cache(maxsize=500)
def text_of_many(shapes: tuple[Shape, ...], count: int, commit: bool) -> bytes:
    """The statement for ``count`` changes of the same shapes; the parameters come change by change.

    Each part writes the rows of all changes. A row that another part points to gets its key before it is written.
    """
    types = [name for shape in shapes for name in _types(shape)]
    names = [f"c{number}" for number in range(len(types))]
    pointed_to = {odd.part for shape in shapes for odd in shape.odd} | {shape.after for shape in shapes}
    keys = [f"nextval('{_sequence(shape)}') AS k{n}" for n, shape in enumerate(shapes) if n in pointed_to]
    given = f"({rows_of_values(types, count)}) v (n, {', '.join(names)})"
    form = _Form(
        (f"input.{name}" for name in names),
        " FROM input",
        "input.k{}",
        "input JOIN w{0} t ON t.id = input.k{0}",
        frozenset(pointed_to),
    )
    texts = [f"input AS MATERIALIZED (SELECT {', '.join(['v.*', *keys])} FROM {given})"]  # noqa: S608 - constants only
    texts += [f"w{number} AS ({_part(number, shape, form)})" for number, shape in enumerate(shapes)]
    results = [_result(number, shape.rows * count, commit, "") for number, shape in enumerate(shapes)]
    return f"WITH {', '.join(texts)} SELECT {', '.join(results)}".encode()


def rows_of_values(types: Sequence[str], count: int) -> str:
    """``count`` rows of parameters of these types, each after its number, from 0."""
    values = _numbered()
    first = ", ".join(["0", *[f"{next(values)}::{name}" for name in types]])
    rows = [", ".join([str(row), *[next(values) for _ in types]]) for row in range(1, count)]
    return f"VALUES ({'), ('.join([first, *rows])})"


def numbered(text: str) -> str:
    """A text with ``%s`` for each parameter, with ``$1``, ``$2``, … for them."""
    return bind(text, _numbered())


def bind(text: str, values: Iterator[str]) -> str:
    """A text with ``%s`` for each parameter, with the next of ``values`` in their place."""
    first, *pieces = text.split("%s")
    return first + "".join([f"{next(values)}{piece}" for piece in pieces])


def _numbered() -> Iterator[str]:
    return (f"${number}" for number in range(1, 100_000))


def _part(number: int, shape: Shape, form: _Form) -> str:
    if shape.model is None:
        if "permit" in form.source and shape.after is None:
            raise ValueError("in a keyed unit of work, a statement of one's own depends on a row that the unit inserts")
        return bind(shape.text.replace(AFTER, form.after.format(shape.after)), form.values)
    table = quoted(shape.model._meta.db_table)
    if shape.fields is not None:
        new = ", ".join([f"{column.quoted} = {next(form.values)}" for column in columns_of(shape.model, shape.fields)])
        return f"UPDATE {table} SET {new}{form.source} WHERE {table}.id = {next(form.values)} RETURNING {table}.id"  # noqa: S608
    odd = {column.name: column for column in shape.odd}
    names, values = [], []
    if number in form.keyed:
        names.append("id")
        values.append(form.key.format(number))
    for column in columns(shape.model):
        special = odd.get(column.name)
        if special is None:
            values.append(next(form.values))
        elif special.part is not None:
            values.append(form.key.format(special.part))
        elif special.text:
            values.append(f"({bind(special.text, form.values)})")
        else:
            continue
        names.append(column.quoted)
    text = f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)}{form.source}"
    if shape.unless_there:
        text += f" ON CONFLICT ({_list(shape.model, shape.unless_there)}) DO NOTHING"
    key = shape.model._meta.pk.column
    return f"{text} RETURNING {', '.join([f'{quoted(key)} AS id', *map(quoted, shape.returning)])}"


def _types(shape: Shape) -> list[str]:
    """The types of a part's parameters."""
    if shape.model is None:
        return list(shape.types)
    if shape.fields is not None:
        return [*[column.type for column in columns_of(shape.model, shape.fields)], "bigint"]
    odd, types = {column.name: column for column in shape.odd}, list[str]()
    for column in columns(shape.model):
        types += odd[column.name].types if column.name in odd else (column.type,)
    return types


def _sequence(shape: Shape) -> str:
    """Where PostgreSQL takes the keys of a table from, by the name that it gives an identity column's sequence."""
    if shape.model is None:
        raise ValueError("only inserted rows can be pointed to")
    return f"public.{shape.model._meta.db_table}_id_seq"


def _result(number: int, rows: int, commit: bool, condition: str) -> str:
    if rows == 1:
        value = f"(SELECT id FROM w{number})"  # noqa: S608
    else:
        value = f"(SELECT count(*) FROM w{number} HAVING count(*) = {rows})"  # noqa: S608
    if not commit:
        return value
    # Nobody can look before COMMIT: what is missing must fail the statement. A text that is no number does, and with
    # random() PostgreSQL does not work it out while it plans.
    checked = f"coalesce({value}, ('part {number} wrote other rows ' || random())::bigint)"
    return f"CASE WHEN (SELECT id FROM permit) IS NOT NULL THEN {checked} END" if condition else checked  # noqa: S608


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a statement may write."""

    name: str
    attname: str
    quoted: str
    type: str
    is_relation: bool
    dump: Dump
    default: Callable[[], Any]


@lru_cache
def columns(model: type[models.Model]) -> tuple[Column, ...]:
    """All columns of ``model`` that are not the database's own, in their order."""
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
    """The columns of these fields, in the table's order; ``ValueError`` if one cannot be written."""
    wanted = tuple(column for column in columns(model) if column.name in fields)
    if len(wanted) != len(fields):
        raise ValueError(f"{model.__name__} has not all of {', '.join(fields)}")
    return wanted


def _list(model: type[models.Model], fields: tuple[str, ...]) -> str:
    return ", ".join([column.quoted for column in columns_of(model, fields)])


def _type(field: models.Field[Any, Any]) -> str:
    """Without its length: a cast would cut a value that is too long, the column refuses it."""
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
    if type(field) in _AS_IT_IS:
        return dump_plain
    return lambda value: dump(field.get_db_prep_save(value, connection))[0] or b""


@lru_cache
def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return connection.ops.quote_name(name)
