"""Statements of merchants."""

from __future__ import annotations

from datetime import date

from ledger.resources.statement import Figures, Movement, Statement
from ledger.services import statement
from merchants.models import Merchant

NOTHING = Figures(0, 0, 0, 0, 0)


def take(merchant: Merchant, first_day: date, last_day: date) -> tuple[Statement, list[Movement]]:
    found = statement.of_merchant(merchant, livemode=False, first_day=first_day, last_day=last_day)
    return found, list(found.movements)
