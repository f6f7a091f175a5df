from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ledger.services import audit


class Command(BaseCommand):
    """Recomputes the books from their entries. Exits with 1 and a line per fault if anything is wrong."""

    help = "Check the ledger: every transaction sums to zero, has two entries or more, and every guard is enabled."

    def handle(self, *args: Any, **options: Any) -> None:
        found = audit.run()
        for fault in found.faults:
            self.stderr.write(f"FAULT: {fault}")
        self.stdout.write(
            f"ledger: {found.transactions} transactions, {found.entries} entries, "
            f"debits {found.debits} = credits {found.credits} centavos, {len(found.faults)} faults"
        )
        if found.faults:
            raise CommandError(f"{len(found.faults)} faults in the ledger.")
