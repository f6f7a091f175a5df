"""SQL expressions with which PostgreSQL builds JSON text.

A page of many objects costs a fraction of building each in Python: PostgreSQL concatenates the text and Python passes
it on. Arguments are constant SQL, never a caller's input; external values are parameters of the query. ``concat`` joins
all pieces at once and converts them to text; ``to_json`` is used only where text may need escaping. A value of several
pieces is kept as ``Pieces`` as long as possible, so that adjacent constants can be merged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping


class Pieces(tuple[str, ...]):
    """SQL expressions whose texts are concatenated."""


Value = str | Pieces
"""SQL of one value, which ``concat`` turns into JSON text."""

NULL = "'null'"


def obj(members: Mapping[str, Value], more: Value | None = None) -> Pieces:
    """An object; ``members`` maps names to the SQL of their values, ``more`` is the result of ``members_of``."""
    return Pieces((quoted("{"), *_joined(members), *(() if more is None else _pieces(more)), quoted("}")))


def members_of(members: Mapping[str, Value]) -> Pieces:
    """Members that follow other members in an object."""
    return Pieces((quoted(","), *_joined(members)))


def one(value: Value) -> str:
    """A value as one SQL expression."""
    return f"concat({', '.join(_merged(value))})" if isinstance(value, Pieces) else value


def constant(value: str | int | bool | None) -> str:
    """A constant JSON value."""
    return quoted(json.dumps(value, ensure_ascii=False))


def text(sql: str) -> str:
    """A string, escaped; never NULL."""
    return f"to_json({sql})"


def plain(sql: str, *, before: str = "") -> Pieces:
    """A string that needs no escaping, with the constant prefix ``before``; never NULL."""
    return Pieces((quoted('"' + before), sql, quoted('"')))


def boolean(sql: str) -> str:
    """A boolean, never NULL."""
    return f"CASE WHEN {sql} THEN 'true' ELSE 'false' END"


def moment(sql: str) -> Pieces:
    """A ``timestamptz`` in the format of ``core.clock.to_rfc3339``, never NULL."""
    return plain(f"""to_char({sql} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""")


def or_null(sql: str, value: Value) -> str:
    """``value``, or null where ``sql`` is NULL."""
    return when(f"{sql} IS NOT NULL", value)


def or_null_if_empty(sql: str, value: Value) -> str:
    """``value``, or null where ``sql`` is the empty string."""
    return when(f"{sql} <> ''", value)


def when(condition: str, value: Value, otherwise: Value = NULL) -> str:
    """``value`` where ``condition`` holds, else ``otherwise``."""
    return f"CASE WHEN {condition} THEN {one(value)} ELSE {one(otherwise)} END"


def looked_up(names: str, key: str) -> str:
    """The entry of the catalogue ``names`` (SQL of ``jsonb``) for ``key``, or null."""
    return f"coalesce({names} -> {key}, {NULL})"


def catalogue(names: Mapping[str, str]) -> str:
    """A constant catalogue as SQL, for ``looked_up``."""
    return quoted(json.dumps(names, ensure_ascii=False)) + "::jsonb"


def quoted(value: str) -> str:
    """Constant text as a literal, for queries whose parameters are ``$1``, ``$2``, … (``core.statements.fetch``)."""
    return "'" + value.replace("'", "''") + "'"


def _joined(members: Mapping[str, Value]) -> Iterable[str]:
    for position, (name, value) in enumerate(members.items()):
        yield quoted(f"{',' if position else ''}{json.dumps(name)}:")
        yield from _pieces(value)


def _pieces(value: Value) -> tuple[str, ...]:
    return value if isinstance(value, Pieces) else (value,)


def _merged(pieces: Iterable[str]) -> list[str]:
    """The pieces with adjacent literals merged."""
    merged: list[str] = []
    for piece in pieces:
        if merged and _is_literal(piece) and _is_literal(merged[-1]):
            merged[-1] = merged[-1][:-1] + piece[1:]
        else:
            merged.append(piece)
    return merged


def _is_literal(sql: str) -> bool:
    """True if this is a single literal as ``quoted`` returns it."""
    return len(sql) > 1 and sql[0] == sql[-1] == "'" and "'" not in sql[1:-1].replace("''", "")
