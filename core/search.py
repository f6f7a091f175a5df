"""Searching texts: case and accents do not matter, and no character of what is looked for has a meaning of its own.

The work is done by three functions of the database (a migration of payments made them), which indexes can use:

- ``search_fold(text)``: without accents, in lower case: ``"José PEÑA"`` -> ``"jose pena"``.
- ``search_pattern(text)``: what is looked for as a LIKE pattern, folded, its ``%``, ``_`` and ``\\`` literal. Three
  characters or more are found anywhere. One or two would be anywhere: they are found where a word begins.
- ``search_text(text, …)``: several texts folded, each that is not empty on a line that begins with a blank.

What is looked for is always a parameter, never part of the statement's text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import CharField, Func, Lookup, QuerySet, TextField

from core import ids

MAX_LENGTH = 100
"""Longest text that may be looked for."""


if TYPE_CHECKING:
    _Lookup = Lookup[str]
else:
    _Lookup = Lookup


@CharField.register_lookup
@TextField.register_lookup
class FoundIn(_Lookup):
    """``filter(search_text__found_in=term)``: rows whose folded search text contains ``term``."""

    lookup_name = "found_in"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"{left} LIKE public.search_pattern({right})", (*left_params, *right_params)


class SearchText(Func):
    """What can be looked for in a row: ``SearchText(F("external_id"), F("payer_name"))``."""

    function = "public.search_text"
    output_field = TextField()


def literal_prefix(text: str) -> str:
    """A LIKE pattern for texts that begin with exactly ``text``."""
    for character in ("\\", "%", "_"):
        text = text.replace(character, "\\" + character)
    return text + "%"


def looked_for(rows: QuerySet[Any], term: str, text: Any, *, key: str = "public_id") -> QuerySet[Any]:
    """Of ``rows`` the one with the whole id ``term``; else those whose ``text`` holds it, case and accents aside.

    ``text`` is an expression as an index has it.
    """
    term = term.strip()
    if not term:
        return rows
    if ids.is_id(term):
        return rows.filter(**{key: term})
    return rows.alias(looked_at=text).filter(looked_at__found_in=term[:MAX_LENGTH])
