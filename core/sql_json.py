"""JSON built by PostgreSQL: expressions of SQL that give the text of a JSON value.

A page of many objects costs a fraction of what building each in Python does: PostgreSQL joins the text, Python passes
it on. Arguments are SQL that we wrote, never a caller's input; a value that comes from outside is a parameter of the
query. ``concat`` joins without looking at each piece twice; ``to_json`` escapes only where a text may need it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

NULL = "'null'"


def obj(members: Mapping[str, str], more: str | None = None) -> str:
    """An object; ``members`` are names and the SQL of their values, ``more`` is SQL of further ``members_of``."""
    return f"concat('{{', {_joined(members)}, {more + ', ' if more else ''}'}}')"


def members_of(members: Mapping[str, str]) -> str:
    """Members that follow others."""
    return f"concat(',', {_joined(members)})"


def constant(value: str | int | bool | None) -> str:
    """A value of ours that is the same in every row."""
    return quoted(json.dumps(value, ensure_ascii=False))


def text(sql: str) -> str:
    """A text of any kind, never NULL."""
    return f"to_json({sql})::text"


def plain(sql: str) -> str:
    """A text of letters, digits and signs of ours that needs no escaping, never NULL."""
    return f"""concat('"', {sql}, '"')"""


def number(sql: str) -> str:
    """An integer, never NULL."""
    return f"({sql})::text"


def boolean(sql: str) -> str:
    """True or false, never NULL."""
    return f"CASE WHEN {sql} THEN 'true' ELSE 'false' END"


def moment(sql: str) -> str:
    """A ``timestamptz`` as ``core.clock.to_rfc3339`` writes it, never NULL."""
    return f"""to_char({sql} AT TIME ZONE 'UTC', '"\\""YYYY-MM-DD"T"HH24:MI:SS.US"Z\\""')"""


def or_null(sql: str, value: str) -> str:
    """``value``, or null where ``sql`` is NULL."""
    return when(f"{sql} IS NOT NULL", value)


def or_null_if_empty(sql: str, value: str) -> str:
    """``value``, or null where ``sql`` is the empty text."""
    return when(f"{sql} <> ''", value)


def when(condition: str, value: str, otherwise: str = NULL) -> str:
    """``value`` where ``condition`` holds, else ``otherwise``."""
    return f"CASE WHEN {condition} THEN {value} ELSE {otherwise} END"


def looked_up(names: str, key: str) -> str:
    """The text that the catalogue ``names`` (SQL of ``jsonb``) has for the text ``key``, or null."""
    return f"coalesce(({names} -> {key})::text, {NULL})"


def catalogue(names: Mapping[str, str]) -> str:
    """A catalogue of ours as SQL, for ``looked_up``."""
    return quoted(json.dumps(names, ensure_ascii=False)) + "::jsonb"


def quoted(value: str) -> str:
    """Text of ours as a literal, for queries whose parameters are ``$1``, ``$2``, … (``core.writes.fetch``)."""
    return "'" + value.replace("'", "''") + "'"


def _joined(members: Mapping[str, str]) -> str:
    parts = []
    for position, (name, value) in enumerate(members.items()):
        parts += [quoted(f"{',' if position else ''}{json.dumps(name)}:"), value]
    return ", ".join(parts)
