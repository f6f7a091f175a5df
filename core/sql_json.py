"""JSON built by PostgreSQL: expressions of SQL that give the text of a JSON value.

A page of many objects costs a fraction of what building each in Python does: PostgreSQL joins the text, Python passes
it on. Arguments are SQL that we wrote, never a caller's input; a value that comes from outside is a parameter of the
query. ``concat`` joins without looking at each piece twice, and writes what is no text yet; ``to_json`` escapes only
where a text may need it. A value of more than one piece stays apart until it must be one, so that constant text between
two values is one piece.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping


class Pieces(tuple[str, ...]):
    """SQL of texts that follow each other."""


Value = str | Pieces
"""SQL of one value, which ``concat`` writes as JSON."""

NULL = "'null'"


def obj(members: Mapping[str, Value], more: Value | None = None) -> Pieces:
    """An object; ``members`` are names and the SQL of their values, ``more`` is SQL of further ``members_of``."""
    return Pieces((quoted("{"), *_joined(members), *(() if more is None else _pieces(more)), quoted("}")))


def members_of(members: Mapping[str, Value]) -> Pieces:
    """Members that follow others."""
    return Pieces((quoted(","), *_joined(members)))


def one(value: Value) -> str:
    """SQL of the whole text of a value."""
    return f"concat({', '.join(_merged(value))})" if isinstance(value, Pieces) else value


def constant(value: str | int | bool | None) -> str:
    """A value of ours that is the same in every row."""
    return quoted(json.dumps(value, ensure_ascii=False))


def text(sql: str) -> str:
    """A text of any kind, never NULL."""
    return f"to_json({sql})"


def plain(sql: str, *, before: str = "") -> Pieces:
    """A text of letters, digits and signs of ours that needs no escaping, never NULL; ``before`` begins it."""
    return Pieces((quoted('"' + before), sql, quoted('"')))


def boolean(sql: str) -> str:
    """True or false, never NULL."""
    return f"CASE WHEN {sql} THEN 'true' ELSE 'false' END"


def moment(sql: str) -> Pieces:
    """A ``timestamptz`` as ``core.clock.to_rfc3339`` writes it, never NULL."""
    return plain(f"""to_char({sql} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""")


def or_null(sql: str, value: Value) -> str:
    """``value``, or null where ``sql`` is NULL."""
    return when(f"{sql} IS NOT NULL", value)


def or_null_if_empty(sql: str, value: Value) -> str:
    """``value``, or null where ``sql`` is the empty text."""
    return when(f"{sql} <> ''", value)


def when(condition: str, value: Value, otherwise: Value = NULL) -> str:
    """``value`` where ``condition`` holds, else ``otherwise``."""
    return f"CASE WHEN {condition} THEN {one(value)} ELSE {one(otherwise)} END"


def looked_up(names: str, key: str) -> str:
    """The text that the catalogue ``names`` (SQL of ``jsonb``) has for the text ``key``, or null."""
    return f"coalesce({names} -> {key}, {NULL})"


def catalogue(names: Mapping[str, str]) -> str:
    """A catalogue of ours as SQL, for ``looked_up``."""
    return quoted(json.dumps(names, ensure_ascii=False)) + "::jsonb"


def quoted(value: str) -> str:
    """Text of ours as a literal, for queries whose parameters are ``$1``, ``$2``, … (``core.writes.fetch``)."""
    return "'" + value.replace("'", "''") + "'"


def _joined(members: Mapping[str, Value]) -> Iterable[str]:
    for position, (name, value) in enumerate(members.items()):
        yield quoted(f"{',' if position else ''}{json.dumps(name)}:")
        yield from _pieces(value)


def _pieces(value: Value) -> tuple[str, ...]:
    return value if isinstance(value, Pieces) else (value,)


def _merged(pieces: Iterable[str]) -> list[str]:
    """The same text in fewer pieces: literals side by side become one."""
    merged: list[str] = []
    for piece in pieces:
        if merged and _is_literal(piece) and _is_literal(merged[-1]):
            merged[-1] = merged[-1][:-1] + piece[1:]
        else:
            merged.append(piece)
    return merged


def _is_literal(sql: str) -> bool:
    """Whether this is what ``quoted`` gives, and nothing else."""
    return len(sql) > 1 and sql[0] == sql[-1] == "'" and "'" not in sql[1:-1].replace("''", "")
