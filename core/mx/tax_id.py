"""RFC and CURP: what a tax id of a SPEI order looks like."""

from __future__ import annotations

from typing import Final

CURP: Final = 18
"""Characters of a CURP."""
LENGTHS: Final = (12, 13, CURP)
"""RFC of a company, RFC of a person, CURP."""


def is_plausible(text: str) -> bool:
    """True if ``text`` has the length and the characters of an RFC or CURP; check digits are not verified."""
    return len(text) in LENGTHS and text.isascii() and text.replace("&", "").isalnum()
