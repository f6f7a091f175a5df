"""Tables for spreadsheets: cells that are only ever shown, written as CSV that Excel reads right."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from typing import IO

BOM = "\ufeff"
"""Excel takes a file for UTF-8 by its byte order mark."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "﹦", "﹢", "﹣", "﹫", "\N{MINUS SIGN}")
"""What makes a spreadsheet compute a cell, also as wide and small forms, which some turn into the plain ones."""

_BLANKS = " \u00a0\u3000\ufeff\u200b"


def safe_cell(text: str) -> str:
    """Text that a spreadsheet shows and never computes: a leading apostrophe where it would see a formula."""
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip(_BLANKS).startswith(_FORMULA) else text


class Table:
    """A CSV file (RFC 4180) with a byte order mark, written row by row."""

    def __init__(self, file: IO[str], headings: Sequence[str]) -> None:
        file.write(BOM)
        self._writer = csv.writer(file)
        self._writer.writerow(headings)

    def write(self, rows: Iterable[Sequence[str]]) -> None:
        """Add rows; what came from outside went through ``safe_cell``."""
        self._writer.writerows(rows)
