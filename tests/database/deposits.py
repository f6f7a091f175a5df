"""A raw deposit with its posting."""

from __future__ import annotations

from tests.database.conftest import NEW_DEPOSIT
from tests.database.raw_books import account, post

BOOKED_AS = {"credited": "spei_deposit", "suspended": "deposit_suspended"}


def a_deposit(attacker, **changes) -> int:
    """A copy of the first deposit, in the books."""
    made = attacker.clone("payments_deposit", **NEW_DEPOSIT | changes)
    kind = BOOKED_AS[changes.get("status", "suspended")]
    legs = [(account(attacker, "platform:stp_cash"), 100_000), (account(attacker, "platform:suspense"), -100_000)]
    post(attacker, "dep_new", *legs, kind=kind)
    return made
