"""core.spreadsheet: one description of columns, a table for people and one for programs."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from datetime import UTC, date, datetime, time
from decimal import Decimal

import openpyxl
import pytest

from core.money import MAX_AMOUNT
from core.spreadsheet import Column, CsvTable, Kind, XlsxTable, inert

COLUMNS = [
    Column("Texto"),
    Column("Importe", Kind.MONEY),
    Column("Día", Kind.DATE),
    Column("Momento", Kind.MOMENT),
    Column("Hora", Kind.TIME),
]
ROW = ["000179", -125_050, date(2026, 11, 30), datetime(2026, 12, 1, 5, 59, 59, 999_999, tzinfo=UTC), time(9, 5, 7)]


def as_csv(rows, columns=COLUMNS) -> str:
    file = io.StringIO(newline="")
    table = CsvTable(file, columns)
    table.write(rows)
    table.close()
    return file.getvalue()


def as_xlsx(rows, tmp_path, columns=COLUMNS) -> io.BytesIO:
    file = io.BytesIO()
    table = XlsxTable(file, columns, scratch=str(tmp_path))
    try:
        table.write(rows)
    finally:
        table.close()
    assert list(tmp_path.iterdir()) == []
    return file


def test_csv_is_rfc_4180_without_byte_order_mark_or_apostrophes():
    text = as_csv([ROW, ['Ana "la" López,\nhija', 0, None, None, None]])

    assert text == (
        '"Texto","Importe","Día","Momento","Hora"\r\n'
        '"000179","-1250.50","2026-11-30","2026-11-30 23:59:59","09:05:07"\r\n'
        '"Ana ""la"" López,\nhija","0.00","","",""\r\n'
    )


def test_xlsx_cells_are_text_numbers_and_mexico_city_dates(tmp_path):
    sheet = openpyxl.load_workbook(as_xlsx([ROW, [None, 0, None, None, None]], tmp_path)).active

    assert [cell.value for cell in sheet[1]] == ["Texto", "Importe", "Día", "Momento", "Hora"]
    assert [str(cell.value) for cell in sheet[2]] == [
        "000179", "-1250.5", "2026-11-30 00:00:00", "2026-11-30 23:59:59", "09:05:07",
    ]  # fmt: skip
    assert [cell.data_type for cell in sheet[2]] == ["s", "n", "d", "d", "d"]
    assert [cell.number_format for cell in sheet[2]] == [
        "@", '"$"#,##0.00;-"$"#,##0.00', "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss", "hh:mm:ss",
    ]  # fmt: skip
    assert [cell.value for cell in sheet[3]] == [None, 0, None, None, None]


def test_money_in_a_workbook_is_exact_to_the_centavo(tmp_path):
    amounts = [1, 10, 29, 57, 105, 1_001, 100_000_001, 12_345_678_901_234, MAX_AMOUNT - 1, MAX_AMOUNT]
    amounts += [-amount for amount in amounts] + list(range(0, 20_000, 37))

    file = as_xlsx([[amount] for amount in amounts], tmp_path, [Column("Importe", Kind.MONEY)])

    xml = zipfile.ZipFile(file).read("xl/worksheets/sheet1.xml").decode()
    assert [Decimal(text) for text in re.findall(r"<v>(.*?)</v>", xml)] == [Decimal(a) / 100 for a in amounts]


STRANGE = [
    "<r>a</r>",
    "<r><t>a</t></r>",
    "<r>",
    "_x0041_",
    "\x01",
    "\ufffe",
    " a ",
    "a\nb",
    "😀",
    "=1+1",
    "https://a.example",
    "#N/A",
]


def test_a_workbook_keeps_every_text_as_text(tmp_path):
    sheet = openpyxl.load_workbook(as_xlsx([[text] for text in STRANGE], tmp_path, [Column("Texto")])).active

    cells = [row[0] for row in sheet.iter_rows(min_row=2)]
    assert [(cell.data_type, cell.hyperlink) for cell in cells] == [("s", None)] * len(STRANGE)
    assert [openpyxl.utils.escape.unescape(cell.value) for cell in cells] == STRANGE


def test_rows_beyond_a_sheet_go_on_in_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(XlsxTable, "ROWS", 3)

    book = openpyxl.load_workbook(as_xlsx([[str(n)] for n in range(5)], tmp_path, [Column("Número")]))

    assert [[row[0].value for row in sheet.iter_rows()] for sheet in book] == [
        ["Número", "0", "1"],
        ["Número", "2", "3"],
        ["Número", "4"],
    ]


@pytest.mark.parametrize(
    "row",
    [[1, 1, None, None, None], ["a", "1", None, None, None], ["a", 1, None, date(2026, 1, 1), None]],
)
def test_a_cell_of_another_kind_is_an_error_in_both(row, tmp_path):
    with pytest.raises(TypeError, match="^A column of kind"):
        as_csv([row])
    with pytest.raises(TypeError, match="^A column of kind"):
        as_xlsx([row], tmp_path)


def test_a_row_of_another_length_is_an_error_in_both(tmp_path):
    with pytest.raises(ValueError, match="^A row has 1 cells for 5 columns"):
        as_csv([["a"]])
    with pytest.raises(ValueError, match="^A row has 1 cells for 5 columns"):
        as_xlsx([["a"]], tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "000179",
        "741E5",
        "1/2",
        "3-4",
        "4152313412345678",
        "-17",
        "+5215512345678",
        "+52 55 1234 5678",
        "-0.5",
        "a=b",
        "a - b",
        "\\x",
        "'x",
    ],
)
def test_harmless_text_is_the_same_to_the_byte(text):
    assert inert(text) == text


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_reader_of_csv_finds_a_cell_that_begins_like_a_formula(separator):
    rows = [
        [f"{lead}{blank}{sign}cmd|'/c calc'!A0{tail}"]
        for lead in ("", "a;", "a\t", "a\n", "a,", 'a";', '";')
        for blank in ("", " ", "\t", "\u00a0", "\ufeff")
        for sign in "=+-@＝＋－＠"
        for tail in ("", ";b", '";"')
    ]

    text = as_csv(rows, [Column("Texto")])

    for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
        for cell in line:
            assert not cell.lstrip(" \t\u00a0\ufeff").startswith(tuple("=+-@＝＋－＠")), (line, separator)
