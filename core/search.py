"""Text search without regard to case and accents; wildcard characters in the search term are literal.

Three database functions (created by a migration of payments) do the work, so that indexes can use them:

- ``search_fold(text)``: lower case without accents: ``"José PEÑA"`` -> ``"jose pena"``.
- ``search_pattern(text)``: the folded term as a LIKE pattern with literal ``%``, ``_`` and ``\\``. Terms of three or
  more characters match anywhere. Shorter ones match only at the start of a word, because they occur almost everywhere.
- ``search_text(text, …)``: several texts folded, each non-empty one on a line that starts with a blank.

People copy identifiers in groups: ``6461 8015 7000 0035 77``. They are stored without separators, so a search also
matches the joined form (``joined``).

The search term is always a parameter, never part of the statement's text.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from django.db.models import CharField, Func, Lookup, QuerySet, TextField

from core import ids

MAX_LENGTH = 100
"""Longest search term, in characters."""

LIKE = {
    1: "LIKE public.search_pattern(?)",
    2: "LIKE ANY (ARRAY[public.search_pattern(?), public.search_pattern(?)])",
}
"""Number of spellings -> condition on a search text. Trigram indexes support both."""

_IDENTIFIER = re.compile(r"(?=\w*[0-9])\w{6,}", re.ASCII)
_SEPARATOR_CATEGORIES = {"Zs", "Zl", "Zp", "Cc", "Cf", "Pd"}
_SEPARATORS = "\u2212.()+"  # minus sign, and characters in phone numbers


if TYPE_CHECKING:
    _Lookup = Lookup[str]
else:
    _Lookup = Lookup


@CharField.register_lookup
@TextField.register_lookup
class SearchContains(_Lookup):
    """``filter(search_text__search_contains=term)``: rows whose folded search text contains ``term``."""

    lookup_name = "search_contains"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_params = self.process_lhs(compiler, connection)
        terms = spellings(self.rhs)
        return f"{left} {LIKE[len(terms)]}".replace("?", "%s"), (*left_params, *terms)


class SearchText(Func):
    """The searchable text of a row: ``SearchText(F("external_id"), F("payer_name"))``."""

    function = "public.search_text"
    output_field = TextField()


def joined(term: str) -> str | None:
    """``term`` without the separators in an identifier; None if it has no separators or is not an identifier.

    Separators are blanks of any width (zero-width included), hyphens and dashes of any kind, dots, parentheses and
    ``+``. An identifier is six or more ASCII letters, digits or ``_``, with at least one digit: a CLABE, a reference, a
    tracking key, a public id, a phone number.
    """
    text = "".join(c for c in unicodedata.normalize("NFKC", term) if not _separates(c))
    return text if text != term.strip(" ") and _IDENTIFIER.fullmatch(text) else None


def spellings(term: str) -> list[str]:
    """``term`` as written, and its joined form if it has one."""
    other = joined(term)
    return [term] if other is None else [term, other]


def public_id(term: str) -> str | None:
    """``term`` as a public id, also if it was written in groups or capitals; None if it is not one."""
    text = (joined(term) or term.strip()).lower()
    return text if ids.is_id(text) else None


def _separates(character: str) -> bool:
    return unicodedata.category(character) in _SEPARATOR_CATEGORIES or character in _SEPARATORS


def literal_prefix(text: str) -> str:
    """A LIKE pattern for texts that start with exactly ``text``."""
    for character in ("\\", "%", "_"):
        text = text.replace(character, "\\" + character)
    return text + "%"


def search_rows(rows: QuerySet[Any], term: str, text: Any, *, key: str = "public_id") -> QuerySet[Any]:
    """The row whose id is ``term``; otherwise the rows whose ``text`` contains it, ignoring case and accents.

    ``text`` is an expression that equals an index's.
    """
    term = term.strip()
    if not term:
        return rows
    if (found := public_id(term)) is not None:
        return rows.filter(**{key: found})
    return rows.alias(searched=text).filter(searched__search_contains=term[:MAX_LENGTH])
