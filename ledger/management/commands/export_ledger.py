from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.errors import PaymentsError
from ledger.management.output import day, destination
from ledger.services import export, stream


class Command(BaseCommand):
    """Writes one mode's ledger for ``bean-check FILE``; reports progress on stderr."""

    help = "Export the ledger as Beancount: accounts, transactions by operating date, balance assertions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=["beancount"], default="beancount")
        parser.add_argument("--live", action="store_true", help="Real money; test money unless given.")
        parser.add_argument("--output", metavar="FILE", help="Standard output unless given.")
        parser.add_argument("--from", dest="first_day", type=day, metavar="DAY", help="First operating date")
        parser.add_argument("--to", dest="last_day", type=day, metavar="DAY", help="Last operating date")

    def handle(self, *args: Any, **options: Any) -> None:
        self._written, self._told = 0, time.monotonic()
        with stream.snapshot(), destination(options["output"], self.stdout) as write:
            try:
                for line in export.beancount(
                    livemode=options["live"],
                    first_day=options["first_day"],
                    last_day=options["last_day"],
                    progress=self._tell,
                ):
                    write(line)
            except PaymentsError as error:
                raise CommandError(error.message) from error
        if options["output"]:
            self.stderr.write(f"{self._written} transactions written to {options['output']}")

    def _tell(self, written: int) -> None:
        self._written = written
        if time.monotonic() - self._told >= 1:
            self._told = time.monotonic()
            self.stderr.write(f"{written} transactions …")
