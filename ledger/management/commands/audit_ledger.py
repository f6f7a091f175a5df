from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from ledger.services import audit


class Command(BaseCommand):
    """Recomputes the ledger: one line per fault on stderr, a summary on stdout, exit code 1 if there is a fault."""

    help = "Check the ledger from its entries alone: sums, balances, floors, holds, reversals, triggers, the chain."
    requires_system_checks = ()  # must run with any settings

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--chain", action="store_true", help="also recompute every seal of the chain")

    def handle(self, *args: Any, chain: bool, **options: Any) -> None:
        found = audit.run(
            on_fault=lambda text: self.stderr.write(f"FAULT: {text}"),
            on_warning=lambda text: self.stderr.write(f"WARNING: {text}"),
            on_progress=lambda text: self.stderr.write(f"… {text}"),
            with_chain=chain,
        )
        sign = "=" if found.debits == found.credits else "≠"
        self.stdout.write(
            f"ledger: {found.transactions} transactions, {found.entries} entries, "
            f"debits {found.debits} {sign} credits {found.credits} centavos, {found.faults} faults"
        )
        if chain:
            self.stdout.write(f"chain: {found.seals} seals, head {found.head}")
        if found.faults:
            raise SystemExit(1)
