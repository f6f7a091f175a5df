from __future__ import annotations

import tempfile
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.errors import InvalidRequest
from core.spreadsheet import CsvTable, XlsxTable
from ledger.management.output import day, destination, whole_file
from ledger.resources.statement import COLUMNS, Statement, table_rows, text_lines
from ledger.services import statement, stream
from merchants.models import Merchant


class Command(BaseCommand):
    """Writes a merchant's statement over Mexico City days, as an Excel workbook, CSV or text."""

    help = "Write a merchant's statement: opening balance, movements with fee and IVA, closing balance."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("merchant", help="Public id, mer_…")
        parser.add_argument("--from", dest="first_day", type=day, required=True, metavar="DAY", help="2026-11-01")
        parser.add_argument("--to", dest="last_day", type=day, required=True, metavar="DAY", help="2026-11-30, too")
        parser.add_argument("--live", action="store_true", help="Real money; test money unless given.")
        parser.add_argument("--format", choices=["xlsx", "csv", "text"], default="text")
        parser.add_argument("--output", metavar="FILE", help="Standard output unless given; xlsx needs one.")

    def handle(self, *args: Any, **options: Any) -> None:
        merchant = Merchant.objects.filter(public_id=options["merchant"]).first()
        if merchant is None:
            raise CommandError(f"There is no merchant {options['merchant']}.")
        period = {"first_day": options["first_day"], "last_day": options["last_day"]}
        if options["format"] == "xlsx":
            _write_workbook(merchant, options["live"], period, options["output"])
            return
        with stream.snapshot(), destination(options["output"], self.stdout) as write:
            found = _statement(merchant, options["live"], period)
            if options["format"] == "csv":
                CsvTable(_Rows(write), COLUMNS).write(table_rows(found))
            else:
                for line in text_lines(found):
                    write(line + "\n")


def _write_workbook(merchant: Merchant, livemode: bool, period: dict[str, date], output: str | None) -> None:
    if output is None:
        raise CommandError("xlsx needs a file: use --output.")
    with whole_file(output) as file, tempfile.TemporaryDirectory() as scratch:
        table = XlsxTable(file, COLUMNS, scratch=scratch)
        with stream.snapshot():
            table.write(table_rows(_statement(merchant, livemode, period)))
        table.close()


def _statement(merchant: Merchant, livemode: bool, period: dict[str, date]) -> Statement:
    try:
        return statement.of_merchant(merchant, livemode=livemode, **period)
    except InvalidRequest as error:
        raise CommandError(error.message) from error


class _Rows:
    """File-like target of ``csv.writer``."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write = write
