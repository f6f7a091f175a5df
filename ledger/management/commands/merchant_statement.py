from __future__ import annotations

import csv
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.errors import InvalidRequest
from ledger.management.output import day, destination
from ledger.resources.statement import Statement, csv_rows, text_lines
from ledger.services import statement, stream
from merchants.models import Merchant


class Command(BaseCommand):
    """Writes a merchant's statement over Mexico City days, as a table for Excel or as text."""

    help = "Write a merchant's statement: opening balance, movements with fee and IVA, closing balance."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("merchant", help="Public id, mer_…")
        parser.add_argument("--from", dest="first_day", type=day, required=True, metavar="DAY", help="2026-11-01")
        parser.add_argument("--to", dest="last_day", type=day, required=True, metavar="DAY", help="2026-11-30, too")
        parser.add_argument("--live", action="store_true", help="Real money; test money unless given.")
        parser.add_argument("--format", choices=["csv", "text"], default="text")
        parser.add_argument("--output", metavar="FILE", help="Standard output unless given.")

    def handle(self, *args: Any, **options: Any) -> None:
        merchant = Merchant.objects.filter(public_id=options["merchant"]).first()
        if merchant is None:
            raise CommandError(f"There is no merchant {options['merchant']}.")
        first_day, last_day = options["first_day"], options["last_day"]
        with stream.snapshot(), destination(options["output"], self.stdout) as write:
            try:
                found = statement.of_merchant(
                    merchant, livemode=options["live"], first_day=first_day, last_day=last_day
                )
            except InvalidRequest as error:
                raise CommandError(error.message) from error
            (_write_csv if options["format"] == "csv" else _write_text)(found, write)


def _write_csv(found: Statement, write: Callable[[str], object]) -> None:
    """Excel takes a file for UTF-8 by its byte order mark."""
    write("\ufeff")
    csv.writer(_Rows(write)).writerows(csv_rows(found))


def _write_text(found: Statement, write: Callable[[str], object]) -> None:
    for line in text_lines(found):
        write(line + "\n")


class _Rows:
    """What ``csv.writer`` writes to."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write = write
