"""Text in a SPEI order: what can be written, and how accents are folded.

A concept or a name is signed and sent as ASCII, at most 40 characters, in fields that ``|`` separates. Payouts are
created with the text that is sent, so that what a merchant sees is what the bank shows.
"""

from __future__ import annotations

import unicodedata
from typing import Final

MAX_LENGTH: Final = 40
"""Characters of a concept or a name in a SPEI order."""

PATTERN: Final = (
    r"^[^|\x00-\x1f\x7f-\x9f\u2028\u2029]*[^|\s\x00-\x1f\x7f-\x9f\u2028\u2029][^|\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
)
"""What a schema can say about a text that can be sent: not blank, no control characters, no separator."""

_SEPARATOR: Final = "|"
_PLAIN: Final = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "ß": "ss", "ø": "o", "Ø": "O"}
)
"""Letters and signs that people type and that Unicode does not decompose into ASCII."""


class UnsendableText(ValueError):
    """A text that no SPEI order can carry. ``code`` is stable, the message says what is wrong."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def fold(text: str, *, cut: bool = False) -> str:
    """``text`` as it is sent: accents dropped, spaces collapsed, ``"Peña "`` -> ``"Pena"``. Idempotent.

    ``cut``: a longer one is cut to ``MAX_LENGTH`` (names), else refused (concepts). Raises ``UnsendableText`` with
    code ``blank``, ``too_long``, ``separator`` (``|``), ``control_character`` (line breaks, tabs …) or
    ``unsupported_character`` (emoji, other scripts).
    """
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        raise UnsendableText("control_character", "Line breaks and control characters are not allowed.")
    decomposed = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    folded = " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split())
    if not folded:
        raise UnsendableText("blank", "This text must not be blank.")
    if _SEPARATOR in folded:
        raise UnsendableText("separator", "The character | is not allowed.")
    if not folded.isascii():
        raise UnsendableText("unsupported_character", "Only letters, digits and common punctuation are allowed.")
    if len(folded) > MAX_LENGTH and not cut:
        raise UnsendableText("too_long", "At most 40 characters are allowed.")
    return folded[:MAX_LENGTH].rstrip()


def closest(text: str, *, otherwise: str) -> str:
    """The part of ``text`` that an order can carry, for texts that others wrote; ``otherwise`` if nothing is left."""
    kept = "".join(character if character.isprintable() and character != _SEPARATOR else " " for character in text)
    decomposed = unicodedata.normalize("NFKD", kept.translate(_PLAIN))
    try:
        return fold("".join(c if c.isascii() else "" for c in decomposed), cut=True)
    except UnsendableText:
        return otherwise
