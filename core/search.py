"""Searching texts: case and accents do not matter, and no character of what is looked for has a meaning of its own.

The work is done by three functions of the database (a migration of payments made them), which indexes can use:

- ``search_fold(text)``: without accents, in lower case: ``"José PEÑA"`` -> ``"jose pena"``.
- ``search_pattern(text)``: what is looked for as a LIKE pattern, folded, its ``%``, ``_`` and ``\\`` literal. Three
  characters or more are found anywhere. One or two would be anywhere: they are found where a word begins.
- ``search_text(text, …)``: several texts folded, each that is not empty on a line that begins with a blank.

Identifiers are copied in groups: ``6461 8015 7000 0035 77``. They are stored without separators, so a search also looks
for the joined form (``joined``).

What is looked for is always a parameter, never part of the statement's text.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from django.db.models import CharField, Func, Lookup, QuerySet, TextField

from core import ids

MAX_LENGTH = 100
"""Longest text that may be looked for."""

LIKE = {
    1: "LIKE public.search_pattern(?)",
    2: "LIKE ANY (ARRAY[public.search_pattern(?), public.search_pattern(?)])",
}
"""Number of spellings -> the condition on a search text. Trigram indexes serve both."""

_IDENTIFIER = re.compile(r"(?=\w*[0-9])\w{6,}", re.ASCII)
_SEPARATOR_CATEGORIES = {"Zs", "Zl", "Zp", "Cc", "Cf", "Pd"}
_SEPARATORS = "\u2212.()+"  # minus sign, and what phone numbers are written with


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
        terms = spellings(self.rhs)
        return f"{left} {LIKE[len(terms)]}".replace("?", "%s"), (*left_params, *terms)


class SearchText(Func):
    """What can be looked for in a row: ``SearchText(F("external_id"), F("payer_name"))``."""

    function = "public.search_text"
    output_field = TextField()


def joined(term: str) -> str | None:
    """``term`` without the separators that people put into identifiers; None if there are none, or it is no identifier.

    Separators are blanks of any width (none included), hyphens and dashes of any kind, dots, brackets and ``+``. An
    identifier is six or more ASCII letters, digits or ``_``, with at least one digit: a CLABE, a reference, a tracking
    key, a public id, a phone number.
    """
    text = "".join(c for c in unicodedata.normalize("NFKC", term) if not _separates(c))
    return text if text != term.strip(" ") and _IDENTIFIER.fullmatch(text) else None


def spellings(term: str) -> list[str]:
    """``term`` as it was written, and its joined form if it has one."""
    other = joined(term)
    return [term] if other is None else [term, other]


def public_id(term: str) -> str | None:
    """The public id that ``term`` is: in groups, capitalised, or as it should be."""
    text = (joined(term) or term.strip()).lower()
    return text if ids.is_id(text) else None


def _separates(character: str) -> bool:
    return unicodedata.category(character) in _SEPARATOR_CATEGORIES or character in _SEPARATORS


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
    if (found := public_id(term)) is not None:
        return rows.filter(**{key: found})
    return rows.alias(looked_at=text).filter(looked_at__found_in=term[:MAX_LENGTH])
