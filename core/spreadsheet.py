"""Writers of tables for people (XLSX) and programs (CSV), from one description of the columns.

Cells are typed values: text, centavos, a date, a timestamp; ``None`` is an empty cell. External text is never evaluated
as a formula (docs/adr/0030-tables-for-people-and-programs.md).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import Enum
from typing import IO, Protocol

from core.clock import MEXICO_CITY
from core.money import centavos_to_pesos

Cell = str | int | date | datetime | time | None


class Kind(Enum):
    """The type of a column's cells."""

    TEXT = "text"
    """Text, even if it looks like a number: ids, CLABEs, telephone numbers."""
    MONEY = "money"
    """Integer centavos, shown as pesos with two decimals."""
    DATE = "date"
    """A date in Mexico City."""
    MOMENT = "moment"
    """A timestamp, shown in Mexico City time with whole seconds."""
    TIME = "time"
    """A time of day, in whole seconds."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading and the type of its cells."""

    heading: str
    kind: Kind = Kind.TEXT


class SupportsWrite(Protocol):
    """An output for text."""

    def write(self, text: str, /) -> object:
        """Write the text."""


class Table(Protocol):
    """A file written row by row; it is complete after ``close``."""

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Append rows with one cell per column. Raises ``ValueError`` for another number of cells."""

    def close(self) -> None:
        """Write the remaining data. The underlying file stays open."""


_FORMULA = re.compile(
    "(^|[;\t\r\n])"
    "([ \t\r\n\u00a0\u3000\ufeff\u200b]*)"
    "(?=[-=+@＝＋－＠﹦﹢﹣﹫\N{MINUS SIGN}])"
)  # fmt: skip
"""Where a spreadsheet may see the start of a formula, also after characters that some take for the end of a cell."""
_SIGNED_NUMBER = re.compile(r"[+-][0-9]+( [0-9]+)*(\.[0-9]+)?")


def inert(text: str) -> str:
    r"""Text for CSV that is not evaluated: a backslash precedes each character that would start a formula.

    All other text stays unchanged, including signed numbers and telephone numbers (``-5``, ``+52 55 1234 5678``).
    """
    return text if _SIGNED_NUMBER.fullmatch(text) else _FORMULA.sub(r"\1\2\\", text)


class CsvTable:
    """RFC 4180 in UTF-8. Every cell is quoted, so that spreadsheets that also split at semicolons keep it whole."""

    def __init__(self, file: SupportsWrite, columns: Sequence[Column]) -> None:
        """``file`` must not translate line ends (``newline=""``)."""
        self._kinds = [column.kind for column in columns]
        self._writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        self._writer.writerow([column.heading for column in columns])

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        self._writer.writerows(list(map(_as_text, self._kinds, _checked(row, self._kinds))) for row in rows)

    def close(self) -> None:
        pass


class XlsxTable:
    """A workbook with typed cells. Holds one row in memory; the others are on disk, in the folder ``scratch``."""

    ROWS = 1_048_576
    """Rows per sheet, the format's limit; more rows continue in further sheets."""
    _NUMBER_FORMATS = {
        Kind.TEXT: "@",
        Kind.MONEY: '"$"#,##0.00;-"$"#,##0.00',
        Kind.DATE: "yyyy-mm-dd",
        Kind.MOMENT: "yyyy-mm-dd hh:mm:ss",
        Kind.TIME: "hh:mm:ss",
    }
    _WIDTHS = {Kind.TEXT: 22, Kind.MONEY: 15, Kind.DATE: 12, Kind.MOMENT: 20, Kind.TIME: 10}

    def __init__(self, file: IO[bytes], columns: Sequence[Column], *, scratch: str) -> None:
        import xlsxwriter  # not needed in web processes

        self._columns = columns
        self._kinds = [column.kind for column in columns]
        self._book = xlsxwriter.Workbook(
            file, {"constant_memory": True, "tmpdir": scratch, "strings_to_formulas": False, "strings_to_urls": False}
        )
        self._heading = self._book.add_format({"bold": True})
        self._plain = self._book.add_format()
        self._formats = {
            kind: self._book.add_format({"num_format": text}) for kind, text in self._NUMBER_FORMATS.items()
        }
        self._add_sheet()

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        for row in rows:
            if self._row == self.ROWS:
                self._add_sheet()
            for number, (kind, cell) in enumerate(zip(self._kinds, _checked(row, self._kinds), strict=True)):
                self._write_cell(number, kind, cell)
            self._row += 1

    def close(self) -> None:
        self._book.close()

    def _add_sheet(self) -> None:
        self._sheet = self._book.add_worksheet()
        self._sheet.freeze_panes(1, 0)
        self._sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{self.ROWS}"})
        for number, column in enumerate(self._columns):
            self._sheet.set_column(number, number, self._WIDTHS[column.kind])
            self._sheet.write_string(0, number, column.heading, self._heading)
        self._row = 1

    def _write_cell(self, number: int, kind: Kind, cell: Cell) -> None:
        if cell is None or cell == "":
            return
        written = self._formats[kind]
        if kind is Kind.TEXT and isinstance(cell, str):
            if cell.startswith("<r>"):  # XlsxWriter would take it for its own XML and write it unescaped
                self._sheet.write_rich_string(self._row, number, "<", self._plain, cell[1:], written)
            else:
                self._sheet.write_string(self._row, number, cell, written)
        elif kind is Kind.MONEY and isinstance(cell, int):
            self._sheet.write_number(self._row, number, centavos_to_pesos(cell), written)
        else:
            self._sheet.write_datetime(self._row, number, _clock(kind, cell), written)


def _as_text(kind: Kind, cell: Cell) -> str:
    if cell is None:
        return ""
    if kind is Kind.TEXT and isinstance(cell, str):
        return inert(cell)
    if kind is Kind.MONEY and isinstance(cell, int):
        return str(centavos_to_pesos(cell))
    return str(_clock(kind, cell))


def _clock(kind: Kind, cell: Cell) -> date | datetime | time:
    """A date or timestamp as the cell shows it."""
    if kind is Kind.MOMENT and isinstance(cell, datetime):
        return cell.astimezone(MEXICO_CITY).replace(tzinfo=None, microsecond=0)
    if (kind is Kind.DATE and isinstance(cell, date)) or (kind is Kind.TIME and isinstance(cell, time)):
        return cell
    raise TypeError(f"A column of kind {kind.value} cannot hold {cell!r}.")


def _checked(row: Sequence[Cell], kinds: Sequence[Kind]) -> Sequence[Cell]:
    if len(row) != len(kinds):
        raise ValueError(f"A row has {len(row)} cells for {len(kinds)} columns.")
    return row
