"""CLABEs under a prefix that STP assigned to a company: one per merchant or payment.

STP, virtual CLABEs: ``646`` (STP) + ``180`` (plaza) + four digits of the company + seven digits that the company
assigns + check digit. One prefix has ten million accounts; a number is never used twice.
"""

from __future__ import annotations

import re

from core.mx.clabe import check_digit

MAX_NUMBER = 9_999_999

_PREFIX = re.compile(r"646180[0-9]{4}")


def build(prefix: str, number: int) -> str:
    """The 18-digit CLABE of account ``number`` under ``prefix`` (ten digits, ``646180`` and the company's four).

    Raises ``ValueError`` for a prefix that STP does not give out or a number outside 0..9,999,999.
    """
    if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
        raise ValueError("a CLABE prefix at STP is 646180 and four more digits")
    if type(number) is not int or not 0 <= number <= MAX_NUMBER:
        raise ValueError(f"an account number under a CLABE prefix is an integer from 0 to {MAX_NUMBER}")
    first_17 = f"{prefix}{number:07d}"
    return first_17 + check_digit(first_17)
