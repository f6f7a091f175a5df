"""RFC and CURP: what a tax id of a SPEI order looks like."""

from __future__ import annotations

import re
from typing import Final

CURP: Final = 18
"""Characters of a CURP."""

PATTERN: Final = r"^\s*([A-Za-z0-9&Ññ]{12,13}|[A-Za-z0-9Ññ]{18})\s*$"
"""What a schema can say: ``fold`` accepts every such text."""

_FORM: Final = re.compile(r"[A-Z0-9&Ñ]{12,13}|[A-Z0-9Ñ]{18}")


def fold(text: str) -> str:
    """``text`` as an order carries it, in capitals. Raises ``ValueError`` if it can be neither an RFC nor a CURP.

    An RFC has 12 characters (company) or 13 (person), a CURP 18. Check digits are not verified: of the RFCs in use,
    more than one in a hundred has a wrong one.
    """
    folded = text.strip().upper()
    if _FORM.fullmatch(folded) is None:
        raise ValueError("neither an RFC nor a CURP")
    return folded
